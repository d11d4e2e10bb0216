//! Real registries, and images to put into them.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    http::{self, Response},
    scene::Scene,
    server::Server,
    tls::Authority,
    tokens::{self, TokenServer},
    tool::Tool,
};

/// The peer that pushes and pulls, and that serves the simplest registry.
pub const CRANE: &str = "crane";
/// The registry that most others descend from: Debian's build of distribution 2.8.
pub const DOCKER: &str = "docker-registry";
/// A registry that serves the referrers API.
pub const REFERRERS: &str = "referrers-registry";

/// The users that a registry with passwords knows, and their passwords.
pub const USERS: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "builder")];
/// The same as `htpasswd -nbBC 4` writes them: bcrypt is all that this registry takes.
const HTPASSWD: &str = "\
alice:$2b$04$IFhksBp1Ik3vgaYskwHHKeZMTqSJ5AN9yJBIlR11/K3VN.lE1NDja
bob:$2b$04$OtfTjafdKD2sIXqCmsXFwOI9gFzdD2Ol0EzQyJX8puioVOIxZebvG
";

const READY_WITHIN: Duration = Duration::from_secs(30);
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// What someone has who may use a registry: credentials and trust.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The folder of a docker configuration.
    pub docker_config: Option<PathBuf>,
    /// The certificate of an authority to trust.
    pub authority: Option<PathBuf>,
}

impl Access {
    /// Hands it to a program by the variables that all of them honour.
    #[must_use]
    pub fn give(&self, mut tool: Tool) -> Tool {
        if let Some(folder) = &self.docker_config {
            tool = tool.env("DOCKER_CONFIG", folder);
        }
        if let Some(file) = &self.authority {
            tool = tool.env("SSL_CERT_FILE", file);
        }
        tool
    }
}

/// How the registry [`DOCKER`] lets people in; the default lets in anyone, without TLS.
#[derive(Debug, Default)]
pub struct Door<'a> {
    /// Asks for the password of one of [`USERS`].
    pub passwords: bool,
    /// Asks for a token of this server.
    pub tokens: Option<&'a TokenServer>,
    /// Speaks TLS, certified by this authority.
    pub authority: Option<&'a Authority>,
}

/// A registry that was started for a case.
#[derive(Debug)]
pub struct Registry {
    server: Server,
}

impl Registry {
    /// `crane registry serve`: in memory, open to all, no referrers API.
    ///
    /// # Errors
    /// If it does not start.
    pub fn crane(scene: &Scene<'_>) -> Result<Self> {
        Self::start(scene, CRANE, false, |program, address| {
            let mut command = Command::new(program);
            command.args(["registry", "serve", "--address", address]);
            Ok(command)
        })
    }

    /// The registry with a referrers API: in memory, open to all.
    ///
    /// # Errors
    /// If it does not start.
    pub fn referrers(scene: &Scene<'_>) -> Result<Self> {
        Self::start(scene, REFERRERS, false, |program, address| {
            let mut command = Command::new(program);
            command.arg(address);
            Ok(command)
        })
    }

    /// The distribution registry: on disk, behind `door`, no referrers API.
    ///
    /// # Errors
    /// If it does not start.
    pub fn docker(scene: &Scene<'_>, door: &Door<'_>) -> Result<Self> {
        Self::start(scene, DOCKER, door.authority.is_some(), |program, address| {
            let config = docker_config(scene, door, address)?;
            let mut command = Command::new(program);
            command.arg("serve").arg(config);
            Ok(command)
        })
    }

    /// The distribution registry where an earlier one of this case was, with all that it had.
    ///
    /// # Errors
    /// If it does not start.
    pub fn docker_again(scene: &Scene<'_>, host: &str) -> Result<Self> {
        let (_, port) = host.rsplit_once(':').context("a host without a port")?;
        let program = scene.program(DOCKER)?;
        let config = docker_config(scene, &Door::default(), host)?;
        let command = |_| {
            let mut command = Command::new(program);
            command.arg("serve").arg(&config);
            Ok(command)
        };
        let server =
            Server::start_at(port.parse()?, &scene.log(DOCKER), READY_WITHIN, command, answers)
                .with_context(|| format!("start the registry {host} again"))?;
        Ok(Self { server })
    }

    fn start(
        scene: &Scene<'_>,
        peer: &str,
        tls: bool,
        command: impl Fn(&Path, &str) -> Result<Command>,
    ) -> Result<Self> {
        let program = scene.program(peer)?;
        let log = scene.log(peer);
        let command = |port| command(program, &format!("127.0.0.1:{port}"));
        let ready = |port| {
            if tls {
                return TcpStream::connect(("127.0.0.1", port)).is_ok();
            }
            answers(port)
        };
        let server = Server::start(&log, READY_WITHIN, command, ready)
            .with_context(|| format!("start a registry: {peer}"))?;
        Ok(Self { server })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// The server itself.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Pushes a small image of its own kind: each `repository` and `tag` has another digest.
    ///
    /// # Errors
    /// If crane cannot push it.
    pub fn push(
        &self,
        scene: &Scene<'_>,
        access: &Access,
        repository: &str,
        tag: &str,
    ) -> Result<Image> {
        let layer = scene.write("layer/content", format!("{repository}:{tag}\n"))?;
        let archive = scene.path("layer.tar");
        let folder = layer.parent().context("a file is in a folder")?;
        scene.system("tar").arg("-cf").arg(&archive).arg("-C").arg(folder).arg("content").ok()?;
        let name = format!("{}/{repository}", self.host());
        let tagged = format!("{name}:{tag}");
        let crane = access.give(scene.peer(CRANE)?).args(["append", "--new_tag", &tagged]);
        let pushed = crane.arg("--new_layer").arg(&archive).ok()?;
        let reference = pushed.stdout.trim();
        let (_, digest) = reference.split_once('@').with_context(|| format!("pushed {pushed}"))?;
        Ok(Image {
            host: self.host(),
            repository: repository.to_owned(),
            digest: digest.to_owned(),
        })
    }
}

impl Image {
    /// Copies it, and nothing of what belongs to it, to another repository of its registry.
    ///
    /// # Errors
    /// If crane cannot copy it.
    pub fn copy(&self, scene: &Scene<'_>, repository: &str) -> Result<Self> {
        let copy = Self { repository: repository.to_owned(), ..self.clone() };
        let tag = format!("{}:copy", copy.name());
        scene.peer(CRANE)?.args(["copy", &self.by_digest(), &tag]).ok()?;
        Ok(copy)
    }
}

/// Whether a registry without TLS is there. 401 is an answer too.
fn answers(port: u16) -> bool {
    http::send(&format!("127.0.0.1:{port}"), "GET", "/v2/", &[], b"")
        .is_ok_and(|response| matches!(response.status, 200 | 401))
}

/// An image in a registry.
#[derive(Clone, Debug)]
pub struct Image {
    /// The registry's host and port.
    pub host: String,
    /// The repository in the registry.
    pub repository: String,
    /// `sha256:…`
    pub digest: String,
}

impl Image {
    /// `HOST/REPOSITORY`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }

    /// `HOST/REPOSITORY@DIGEST`.
    #[must_use]
    pub fn by_digest(&self) -> String {
        format!("{}@{}", self.name(), self.digest)
    }

    /// The tag under which cosign looks for what belongs to this image; `suffix` is `sig` or `att`.
    #[must_use]
    pub fn cosign_tag(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.digest.replace(':', "-"))
    }

    /// What belongs to this image under a tag of cosign's, or `None` if there is nothing.
    ///
    /// # Errors
    /// If the registry, which must be open and without TLS, does not answer with a manifest.
    pub fn attached(&self, suffix: &str) -> Result<Option<Attached>> {
        Attached::get(&self.host, &self.repository, &self.cosign_tag(suffix))
    }
}

/// The manifest behind a tag of cosign's, in an open registry without TLS.
#[derive(Clone, Debug)]
pub struct Attached {
    host: String,
    repository: String,
    tag: String,
    media_type: String,
    size: usize,
    /// The manifest.
    pub manifest: Value,
    /// Its digest.
    pub digest: String,
}

impl Attached {
    /// Reads the manifest behind a tag, or `None` if there is none.
    ///
    /// # Errors
    /// If the registry does not answer, or not with a manifest.
    pub fn get(host: &str, repository: &str, tag: &str) -> Result<Option<Self>> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let response = http::send(host, "GET", &path, &[("Accept", MANIFESTS)], b"")?;
        if response.status == 404 {
            return Ok(None);
        }
        let response = expect(200, response, &path)?;
        Ok(Some(Self {
            host: host.to_owned(),
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            media_type: response.header("content-type").unwrap_or_default().to_owned(),
            manifest: serde_json::from_slice(&response.body)
                .with_context(|| format!("parse the manifest at {path}"))?,
            digest: digest(&response.body),
            size: response.body.len(),
        }))
    }

    /// Its layers.
    #[must_use]
    pub fn layers(&self) -> &[Value] {
        self.manifest["layers"].as_array().map_or(&[], Vec::as_slice)
    }

    /// What others refer to it by.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.size })
    }

    /// Reads the blob of the layer `index`.
    ///
    /// # Errors
    /// If there is none.
    pub fn blob(&self, index: usize) -> Result<Vec<u8>> {
        let digest = self.manifest["layers"][index]["digest"].as_str().context("no such layer")?;
        let path = format!("/v2/{}/blobs/{digest}", self.repository);
        Ok(expect(200, http::send(&self.host, "GET", &path, &[], b"")?, &path)?.body)
    }

    /// Puts another blob in the place of that of the layer `index`, as someone would who can write
    /// to the repository but has no key. [`Self::push`] makes it so.
    ///
    /// # Errors
    /// If the registry does not take it.
    pub fn replace_blob(&mut self, index: usize, blob: &[u8]) -> Result<()> {
        let digest = push_blob(&self.host, &self.repository, blob)?;
        let layer = &mut self.manifest["layers"][index];
        layer["digest"] = digest.into();
        layer["size"] = blob.len().into();
        Ok(())
    }

    /// Puts the manifest, as it is now, behind its tag again.
    ///
    /// # Errors
    /// If the registry does not take it.
    pub fn push(&self) -> Result<()> {
        self.push_as(&self.repository, &self.tag)
    }

    /// Puts the manifest, as it is now, behind another tag, in a repository that has its blobs.
    ///
    /// # Errors
    /// If the registry does not take it.
    pub fn push_as(&self, repository: &str, tag: &str) -> Result<()> {
        let path = format!("/v2/{repository}/manifests/{tag}");
        let body = serde_json::to_vec(&self.manifest)?;
        let headers = [("Content-Type", self.media_type.as_str())];
        expect(201, http::send(&self.host, "PUT", &path, &headers, &body)?, &path)?;
        Ok(())
    }
}

/// Pushes a blob to an open registry without TLS and tells its digest.
///
/// # Errors
/// If the registry does not take it.
pub fn push_blob(host: &str, repository: &str, blob: &[u8]) -> Result<String> {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let begun = expect(202, http::send(host, "POST", &path, &[], b"")?, &path)?;
    let location = begun.header("location").context("no location for the upload")?;
    let location = location.split_once(host).map_or(location, |(_, path)| path);
    let digest = digest(blob);
    let mark = if location.contains('?') { '&' } else { '?' };
    let path = format!("{location}{mark}digest={digest}");
    let headers = [("Content-Type", "application/octet-stream")];
    expect(201, http::send(host, "PUT", &path, &headers, blob)?, &path)?;
    Ok(digest)
}

/// `sha256:…` of some bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn expect(status: u16, response: Response, path: &str) -> Result<Response> {
    ensure!(
        response.status == status,
        "{path} answered {} where {status} was expected: {}",
        response.status,
        String::from_utf8_lossy(&response.body)
    );
    Ok(response)
}

/// The configuration of the distribution registry, as a file.
fn docker_config(scene: &Scene<'_>, door: &Door<'_>, address: &str) -> Result<PathBuf> {
    use std::fmt::Write as _;
    let name = address.replace(':', "-");
    let store = scene.path(&format!("{name}-store"));
    let mut yaml = format!(
        "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\nstorage:\n  filesystem: {{rootdirectory: {store:?}}}\n\
         http:\n  addr: {address}\n",
    );
    if let Some(authority) = door.authority {
        let keys = authority.certify(scene.folder(), &name)?;
        writeln!(yaml, "  tls: {{certificate: {:?}, key: {:?}}}", keys.certificate, keys.key)?;
    }
    if door.passwords {
        let file = scene.write(&format!("{name}-htpasswd"), HTPASSWD)?;
        writeln!(yaml, "auth:\n  htpasswd: {{realm: chains, path: {file:?}}}")?;
    }
    if let Some(server) = door.tokens {
        let (realm, bundle) = (server.realm(), server.certificate());
        let (issuer, service) = (tokens::ISSUER, tokens::SERVICE);
        writeln!(
            yaml,
            "auth:\n  token: {{realm: {realm:?}, service: {service}, issuer: {issuer}, \
             rootcertbundle: {bundle:?}}}"
        )?;
    }
    scene.write(&format!("{name}.yml"), yaml)
}
