//! Firestore's emulator, Google's own.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::{Document, java};
use crate::{
    http,
    scene::Scene,
    server::{self, Server},
};

/// The server, among the peers of a case.
pub const FIRESTORE: &str = "firestore-emulator";

const READY_WITHIN: Duration = Duration::from_secs(90);
const DOCUMENTS: &str = "projects/chains/databases/(default)/documents";

/// The emulator. It is killed when this is dropped, with what it holds.
#[derive(Debug)]
pub struct Firestore {
    server: Server,
}

impl Firestore {
    /// Starts one.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &Scene<'_>) -> Result<Self> {
        let jar = scene.program(FIRESTORE)?;
        let command = |port: u16| {
            let mut command = java(scene, "384m");
            command
                .arg("-cp")
                .arg(jar)
                .arg("com.google.cloud.datastore.emulator.firestore.CloudFirestore")
                .args(["start", "--host=127.0.0.1"])
                .arg(format!("--port={port}"));
            Ok(command)
        };
        let ready = |port: u16| {
            let host = format!("127.0.0.1:{port}");
            http::send(&host, "GET", "/", &[], b"").is_ok_and(|answer| answer.status == 200)
        };
        let server = Server::start(&scene.log(FIRESTORE), READY_WITHIN, command, ready)
            .context("start the emulator of Firestore")?;
        Ok(Self { server })
    }

    /// Where it is: what `FIRESTORE_EMULATOR_HOST` holds.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// The URL of a collection, as the configuration has it.
    #[must_use]
    pub fn collection(&self, name: &str) -> String {
        format!("firestore://{DOCUMENTS}/{name}")
    }

    /// Lets it answer nothing, until it is told to go on.
    ///
    /// # Errors
    /// If it is gone.
    pub fn freeze(&self, is_frozen: bool) -> Result<()> {
        use nix::sys::signal::Signal;
        let signal = if is_frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
        server::signal(self.server.pid(), signal)
    }

    /// All documents of a collection.
    ///
    /// # Errors
    /// If they cannot be read, or one is nothing that Chains writes.
    pub fn read(&self, collection: &str) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        let mut token = String::new();
        loop {
            let path = format!("/v1/{DOCUMENTS}/{collection}?pageSize=100&pageToken={token}");
            let headers = [("Authorization", "Bearer owner")];
            let answer = http::send(&self.host(), "GET", &path, &headers, b"")?;
            ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
            let page: Value = serde_json::from_slice(&answer.body)?;
            for document in page["documents"].as_array().into_iter().flatten() {
                let name = document["name"].as_str().context("a document without a name")?;
                let id = name.rsplit('/').next().unwrap_or(name);
                let map = json!({ "mapValue": { "fields": document["fields"] } });
                documents.push(Document::of(id, &plain(&map)?)?);
            }
            match page["nextPageToken"].as_str() {
                Some(next) if !next.is_empty() => next.clone_into(&mut token),
                _ => return Ok(documents),
            }
        }
    }
}

/// A value as JSON; bytes stay in base64.
fn plain(value: &Value) -> Result<Value> {
    let pair = value.as_object().and_then(|it| it.iter().next());
    let (kind, value) = pair.with_context(|| format!("no value: {value}"))?;
    Ok(match kind.as_str() {
        "nullValue" => Value::Null,
        "doubleValue" => json!(value.as_f64()),
        "stringValue" | "bytesValue" | "booleanValue" => value.clone(),
        "arrayValue" => {
            let items = value["values"].as_array().into_iter().flatten();
            items.map(plain).collect::<Result<_>>()?
        }
        "mapValue" => {
            let fields = value["fields"].as_object().into_iter().flatten();
            let fields = fields.map(|(name, it)| Ok((name.clone(), plain(it)?)));
            Value::Object(fields.collect::<Result<Map<_, _>>>()?)
        }
        _ => bail!("a value of the kind {kind}"),
    })
}
