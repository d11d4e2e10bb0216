//! A TUF repository, by which those who verify learn whom to trust: the four files of metadata, and targets.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::http::{HttpServer, Response};

const EXPIRES: &str = "2120-01-01T00:00:00Z";
const SPECIFICATION: &str = "1.0.31";

/// The running repository. One key signs for all roles.
#[derive(Debug)]
pub struct Mirror {
    server: HttpServer,
    seen: Arc<Mutex<Vec<String>>>,
    root: Vec<u8>,
}

impl Mirror {
    /// Starts one that has these targets, by their names.
    ///
    /// # Errors
    /// If its key or its port cannot be had.
    pub fn start(targets: &[(&str, &Value)]) -> Result<Self> {
        let key = Ed25519KeyPair::generate().context("make a key for the repository")?;
        let mut files = HashMap::new();
        let mut meta = serde_json::Map::new();
        for (name, content) in targets {
            let content = serde_json::to_vec(content)?;
            let hash = hash(&content);
            meta.insert(
                (*name).to_owned(),
                json!({ "hashes": { "sha256": hash }, "length": content.len() }),
            );
            files.insert(format!("/targets/{hash}.{name}"), content);
        }
        let root = signed(&key, root(&key));
        let version = |name: &str| json!({ name: { "version": 1 } });
        let targets = json!({ "_type": "targets", "targets": meta });
        let snapshot = json!({ "_type": "snapshot", "meta": version("targets.json") });
        let timestamp = json!({ "_type": "timestamp", "meta": version("snapshot.json") });
        files.insert("/1.targets.json".to_owned(), signed(&key, targets));
        files.insert("/1.snapshot.json".to_owned(), signed(&key, snapshot));
        files.insert("/timestamp.json".to_owned(), signed(&key, timestamp));
        files.insert("/1.root.json".to_owned(), root.clone());
        files.insert("/root.json".to_owned(), root.clone());

        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let server = HttpServer::start(move |request| {
            log.lock().unwrap_or_else(PoisonError::into_inner).push(request.path.clone());
            let file = files.get(&request.path);
            file.map_or_else(|| Response::new(404, ""), |file| Response::new(200, file.clone()))
        })?;
        Ok(Self { server, seen, root })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.host())
    }

    /// Its `root.json`.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    /// The paths that were asked for.
    #[must_use]
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn root(key: &Ed25519KeyPair) -> Value {
    let (id, about) = (key_id(key), public(key));
    let role = json!({ "keyids": [id], "threshold": 1 });
    let names = ["root", "targets", "snapshot", "timestamp"];
    let roles: serde_json::Map<_, _> =
        names.into_iter().map(|name| (name.to_owned(), role.clone())).collect();
    json!({ "_type": "root", "consistent_snapshot": true, "keys": { id: about }, "roles": roles })
}

fn public(key: &Ed25519KeyPair) -> Value {
    let public = hex::encode(key.public_key().as_ref());
    json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": public } })
}

fn key_id(key: &Ed25519KeyPair) -> String {
    hash(canonical(&public(key)).as_bytes())
}

fn signed(key: &Ed25519KeyPair, mut content: Value) -> Vec<u8> {
    content["spec_version"] = json!(SPECIFICATION);
    content["expires"] = json!(EXPIRES);
    content["version"] = json!(1);
    let signature = hex::encode(key.sign(canonical(&content).as_bytes()));
    let signatures = json!([{ "keyid": key_id(key), "sig": signature }]);
    json!({ "signed": content, "signatures": signatures }).to_string().into_bytes()
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What is signed of JSON: members in order, no spaces. Nothing in here has characters that would be escaped.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().collect();
            let members: Vec<String> = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", json!(name), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}
