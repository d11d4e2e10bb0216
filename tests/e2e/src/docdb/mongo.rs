//! Two servers that speak MongoDB's protocol, and MongoDB's own client of Python.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Document, above, connects};
use crate::{
    scene::Scene,
    server::{Server, free_port},
    tls::ServerKeys,
    tool::Tool,
};

/// A server with users, rights and TLS, among the peers of a case.
pub const SECANTUS: &str = "secantusdb";
/// Another server, among the peers of a case.
pub const FERRET: &str = "ferretdb";
/// The client, among the peers of a case.
pub const PYMONGO: &str = "pymongo";

const READY_WITHIN: Duration = Duration::from_secs(60);
const ADMIN: &str = "root:root";

const READ: &str = r#"
import base64, json, pymongo, sys
client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=20000)
for document in client[sys.argv[2]][sys.argv[3]].find():
    document["Signed"] = base64.b64encode(document["Signed"]).decode()
    print(json.dumps(document))
"#;
const COMMAND: &str = r#"
import json, pymongo, sys
client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=20000)
client[sys.argv[2]].command(json.loads(sys.argv[3]))
"#;

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Mongo<'s> {
    scene: &'s Scene<'s>,
    kind: Kind,
    port: u16,
    data: PathBuf,
    server: Option<Server>,
}

#[derive(Clone, Debug)]
enum Kind {
    Ferret,
    Open,
    /// With users, over TLS: certificate and key, and the authority that certified them.
    Guarded([PathBuf; 2], PathBuf),
}

impl<'s> Mongo<'s> {
    /// FerretDB, which lets in anyone.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn ferret(scene: &'s Scene<'s>) -> Result<Self> {
        Self::start(scene, Kind::Ferret)
    }

    /// SecantusDB, which lets in anyone.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn secantus(scene: &'s Scene<'s>) -> Result<Self> {
        Self::start(scene, Kind::Open)
    }

    /// SecantusDB over TLS, which lets in an administrator, and whom that one [adds](Self::add_user).
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn guarded(scene: &'s Scene<'s>, keys: &ServerKeys, authority: PathBuf) -> Result<Self> {
        let mut server = Self::start(scene, Kind::Open)?;
        let root = json!({ "createUser": "root", "pwd": "root", "roles": ["root"] });
        server.command(&server.url(""), "admin", &root)?;
        server.stop()?;
        server.kind = Kind::Guarded([keys.certificate.clone(), keys.key.clone()], authority);
        server.resume()?;
        Ok(server)
    }

    fn start(scene: &'s Scene<'s>, kind: Kind) -> Result<Self> {
        let data = scene.path(&scene.fresh("mongo"));
        std::fs::create_dir(&data)?;
        let mut server = Self { scene, kind, port: free_port()?, data, server: None };
        server.resume()?;
        Ok(server)
    }

    /// Starts it again, where it was stopped, at the same address and with what it had.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn resume(&mut self) -> Result<()> {
        let name = if matches!(self.kind, Kind::Ferret) { FERRET } else { SECANTUS };
        let command = |port| self.program(name, port);
        let log = self.scene.log(name);
        let server = Server::start_at(self.port, &log, READY_WITHIN, command, connects);
        self.server = Some(server.with_context(|| format!("start {name}"))?);
        Ok(())
    }

    fn program(&self, name: &str, port: u16) -> Result<Command> {
        let program = self.scene.program(name)?;
        if matches!(self.kind, Kind::Ferret) {
            let mut command = Command::new(program);
            command.arg(format!("127.0.0.1:{port}"));
            command.arg(format!("file:{}/", self.data.display())).current_dir(&self.data);
            return Ok(command);
        }
        let mut command = Command::new("python3");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.scene.path("home"))
            .env("PYTHONPATH", above(program, 2)?)
            .current_dir(&self.data)
            .arg(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--storage-path"])
            .arg(self.data.join("data"));
        if let Kind::Guarded([certificate, key], _) = &self.kind {
            command.arg("--auth").arg("--tls-cert-file").arg(certificate);
            command.arg("--tls-key-file").arg(key);
        }
        Ok(command)
    }

    /// Asks it to end, and waits until it has; what it has stays.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&mut self) -> Result<()> {
        let server = self.server.take().context("the server does not run")?;
        server.terminate(Duration::from_secs(20)).map(drop)
    }

    /// A connection string, for a user as `NAME:PASSWORD`, or for anyone.
    #[must_use]
    pub fn url(&self, user: &str) -> String {
        let at = if user.is_empty() { "" } else { "@" };
        let options = match &self.kind {
            Kind::Guarded(_, authority) => {
                format!("?authSource=admin&tls=true&tlsCAFile={}", authority.display())
            }
            _ => String::new(),
        };
        format!("mongodb://{user}{at}127.0.0.1:{}/{options}", self.port)
    }

    /// Adds a user with a role in a database; where there was one, in its place.
    ///
    /// # Errors
    /// If it is refused.
    pub fn add_user(&self, name: &str, password: &str, role: &str, database: &str) -> Result<()> {
        let roles = json!([{ "role": role, "db": database }]);
        let user = json!({ "createUser": name, "pwd": password, "roles": roles });
        self.command(&self.url(ADMIN), "admin", &user)
    }

    /// Takes a user away, as an administrator.
    ///
    /// # Errors
    /// If it is refused.
    pub fn drop_user(&self, name: &str) -> Result<()> {
        self.command(&self.url(ADMIN), "admin", &json!({ "dropUser": name }))
    }

    /// Runs a command of the database, as an administrator where there is one.
    ///
    /// # Errors
    /// If it is refused.
    pub fn run(&self, database: &str, command: &Value) -> Result<()> {
        self.command(&self.own_url(), database, command)
    }

    /// All documents of a collection, as MongoDB's own client reads them.
    ///
    /// # Errors
    /// If they cannot be read, or one is nothing that Chains writes.
    pub fn read(&self, database: &str, collection: &str) -> Result<Vec<Document>> {
        let tool = python(self.scene, READ)?.args([self.own_url().as_str(), database, collection]);
        let read = tool.ok()?;
        let documents = read.stdout.lines().map(|line| {
            let document: Value = serde_json::from_str(line)?;
            Document::of(document["_id"].as_str().context("an id that is no text")?, &document)
        });
        documents.collect()
    }

    fn own_url(&self) -> String {
        self.url(if matches!(self.kind, Kind::Guarded(..)) { ADMIN } else { "" })
    }

    fn command(&self, url: &str, database: &str, command: &Value) -> Result<()> {
        let command = command.to_string();
        python(self.scene, COMMAND)?.args([url, database, command.as_str()]).ok().map(drop)
    }
}

fn python(scene: &Scene<'_>, script: &str) -> Result<Tool> {
    let packages = above(scene.program(PYMONGO)?, 2)?;
    Ok(scene.system("python3").env("PYTHONPATH", packages).args(["-c", script]))
}
