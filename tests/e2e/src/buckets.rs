//! Servers of buckets, each read by a client that its own service publishes.

use std::{
    collections::BTreeMap,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{http, scene::Scene, server::Server, tool::Tool};

/// A server of Google Cloud Storage's API, with Google's own client. It does not hold to preconditions.
pub const FAKE_GCS: &str = "fake-gcs-server";
/// An emulator of AWS, with AWS's own client. It holds to preconditions and checks no credentials.
pub const MINISTACK: &str = "ministack";
/// A server of S3's API that knows one access key, and does not hold to preconditions.
pub const S3RVER: &str = "s3rver";
/// Microsoft's emulator of Azure Blob Storage, with Azure's own client.
pub const AZURITE: &str = "azurite";

/// The account of [`AZURITE`], and its key, which Microsoft publishes.
pub const AZURE_ACCOUNT: &str = "devstoreaccount1";
/// See [`AZURE_ACCOUNT`].
pub const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const READY_WITHIN: Duration = Duration::from_secs(60);

const READ_GCS: &str = "
import base64, json, sys
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
client = storage.Client(project='test', credentials=AnonymousCredentials())
for blob in client.list_blobs(sys.argv[1]):
    print(json.dumps([blob.name, base64.b64encode(blob.download_as_bytes()).decode()]))
";

const READ_S3: &str = "
import base64, json, sys
import botocore.session
from botocore.config import Config
s3 = botocore.session.get_session().create_client(
    's3', endpoint_url=sys.argv[1], region_name='us-east-1', aws_access_key_id='test',
    aws_secret_access_key='test', config=Config(s3={'addressing_style': 'path'}))
for page in s3.get_paginator('list_objects_v2').paginate(Bucket=sys.argv[2]):
    for entry in page.get('Contents', []):
        body = s3.get_object(Bucket=sys.argv[2], Key=entry['Key'])['Body'].read()
        print(json.dumps([entry['Key'], base64.b64encode(body).decode()]))
";

const AZURE: &str = "
const { BlobServiceClient, ContainerSASPermissions } = require('@azure/storage-blob');
const [connection, name, action, argument] = process.argv.slice(1);
const container = BlobServiceClient.fromConnectionString(connection).getContainerClient(name);
(async () => {
  if (action === 'create') return container.create();
  if (action === 'sas') {
    const permissions = ContainerSASPermissions.parse(argument);
    const url = await container.generateSasUrl({ permissions, expiresOn: new Date(Date.now() + 3600e3) });
    return console.log(url.split('?')[1]);
  }
  for await (const blob of container.listBlobsFlat()) {
    const body = await container.getBlobClient(blob.name).downloadToBuffer();
    console.log(JSON.stringify([blob.name, body.toString('base64')]));
  }
})().catch((error) => { console.error(error); process.exit(1); });
";

/// What is in a bucket, by name.
pub type Objects = BTreeMap<String, Vec<u8>>;

/// A server of buckets. It is killed when this is dropped.
#[derive(Debug)]
pub struct Buckets<'s> {
    scene: &'s Scene<'s>,
    peer: &'static str,
    data: PathBuf,
    port: u16,
    server: Option<Server>,
}

impl<'s> Buckets<'s> {
    /// Starts a peer, and waits until it answers.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &'s Scene<'s>, peer: &'static str) -> Result<Self> {
        let data = scene.path(&scene.fresh(peer));
        std::fs::create_dir(&data)?;
        let mut buckets = Self { scene, peer, data, port: 0, server: None };
        let program = scene.program(peer)?;
        let command = |port| buckets.command(program, port);
        let server =
            Server::start(&scene.log(peer), READY_WITHIN, command, |port| answers(peer, port))
                .with_context(|| format!("start {peer}"))?;
        buckets.port = server.port();
        buckets.server = Some(server);
        Ok(buckets)
    }

    /// Kills it; what it has on disk stays.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts it again at the same address, with what it had.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn resume(&mut self) -> Result<()> {
        let program = self.scene.program(self.peer)?;
        let log = self.scene.log(self.peer);
        let command = |port| self.command(program, port);
        let ready = |port| answers(self.peer, port);
        let server = Server::start_at(self.port, &log, READY_WITHIN, command, ready);
        self.server = Some(server.with_context(|| format!("start {} again", self.peer))?);
        Ok(())
    }

    fn command(&self, program: &Path, port: u16) -> Result<Command> {
        let mut command = match self.peer {
            FAKE_GCS => {
                let url = format!("http://127.0.0.1:{port}");
                let mut command = Command::new(program);
                command.args(["-backend", "filesystem", "-filesystem-root"]).arg(&self.data);
                command.args(["-scheme", "http", "-host", "127.0.0.1", "-log-level", "warn"]);
                command.args(["-port", &port.to_string(), "-external-url", &url]);
                command.args(["-public-host", &format!("127.0.0.1:{port}")]);
                command
            }
            MINISTACK => {
                let mut command = Command::new("python3");
                command.env_clear().env("PYTHONPATH", python_path(program)?);
                command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
                command.env("SERVICES", "s3").env("IOT_MTLS_ENABLED", "0").arg(program);
                command
            }
            S3RVER => {
                let mut command = Command::new("node");
                command.arg(program).args(["--address", "127.0.0.1", "--port", &port.to_string()]);
                command.arg("--directory").arg(&self.data);
                command
            }
            _ => {
                let mut command = Command::new("node");
                command.arg(program).args([
                    "--blobHost",
                    "127.0.0.1",
                    "--blobPort",
                    &port.to_string(),
                ]);
                command
                    .args(["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location"])
                    .arg(&self.data);
                command
            }
        };
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.scene.path("home")).current_dir(&self.data);
        Ok(command)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        let account =
            if self.peer == AZURITE { format!("/{AZURE_ACCOUNT}") } else { String::new() };
        format!("http://{}{account}", self.host())
    }

    /// Its address without the scheme.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// If it is refused.
    pub fn create(&self, bucket: &str) -> Result<()> {
        let answer = match self.peer {
            FAKE_GCS => {
                let body = format!("{{\"name\":\"{bucket}\"}}");
                let path = "/storage/v1/b?project=test";
                let headers = [("Content-Type", "application/json")];
                http::send(&self.host(), "POST", path, &headers, body.as_bytes())?
            }
            AZURITE => return self.azure(bucket, "create")?.ok().map(drop),
            _ => http::send(&self.host(), "PUT", &format!("/{bucket}"), &[], b"")?,
        };
        ensure!(answer.status == 200, "{} answered {} {answer:?}", self.peer, answer.status);
        Ok(())
    }

    /// Reads everything in a bucket, with the service's own client.
    ///
    /// # Errors
    /// If that fails.
    pub fn read(&self, bucket: &str) -> Result<Objects> {
        let program = self.scene.program(self.peer)?;
        let python = || self.scene.system("python3").arg("-c");
        let tool = match self.peer {
            FAKE_GCS => {
                // Its packages are beside the folder with the program.
                let packages = program.ancestors().nth(5).context("no folder of packages")?;
                let tool = python().arg(READ_GCS).arg(bucket).env("PYTHONPATH", packages);
                tool.env("STORAGE_EMULATOR_HOST", self.url())
            }
            MINISTACK => {
                let tool = python().arg(READ_S3).arg(self.url()).arg(bucket);
                tool.env("PYTHONPATH", python_path(program)?)
            }
            _ => self.azure(bucket, "read")?,
        };
        let printed = tool.ok()?.stdout;
        let line = |line: &str| {
            let (name, content): (String, String) = serde_json::from_str(line)?;
            Ok((name, STANDARD.decode(content)?))
        };
        printed.lines().map(line).collect()
    }

    /// A SAS of Azure for a container, with these permissions.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn sas(&self, container: &str, permissions: &str) -> Result<String> {
        let printed = self.azure(container, "sas")?.arg(permissions).ok()?.stdout;
        Ok(printed.trim().to_owned())
    }

    fn azure(&self, container: &str, action: &str) -> Result<Tool> {
        let program = self.scene.program(AZURITE)?;
        let of = |path: &&Path| path.ends_with("node_modules");
        let modules = program.ancestors().find(of).context("no folder of modules")?;
        let connection = format!(
            "DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={};",
            self.url()
        );
        let tool = self.scene.system("node").args(["-e", AZURE]).env("NODE_PATH", modules);
        Ok(tool.args(["--", &connection, container, action]))
    }
}

/// The folder that pip filled, of a program in its `bin`.
fn python_path(program: &Path) -> Result<&Path> {
    program.parent().and_then(Path::parent).context("no folder of packages")
}

fn answers(peer: &str, port: u16) -> bool {
    if peer == AZURITE {
        return TcpStream::connect(("127.0.0.1", port)).is_ok();
    }
    let path = if peer == FAKE_GCS { "/storage/v1/b?project=test" } else { "/" };
    http::send(&format!("127.0.0.1:{port}"), "GET", path, &[], b"").is_ok()
}
