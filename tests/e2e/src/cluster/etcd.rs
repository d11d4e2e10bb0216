//! Runs by the thousand: copies of one that the API server has stored, put beside it in etcd.
//!
//! What the API server finds there is byte for byte what it would have written, and 20,000 of them take seconds in
//! the place of minutes.

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::Cluster;
use crate::{http, runs};

/// etcd takes no more operations in one transaction.
const AT_ONCE: usize = 100;

/// A run as etcd had it at some moment.
#[derive(Debug)]
pub struct Template {
    plural: String,
    namespace: String,
    name: String,
    uid: String,
    text: String,
}

impl Template {
    /// Reads the run `name` of the kind `plural`.
    ///
    /// # Errors
    /// If there is no such run.
    pub fn read(cluster: &Cluster, namespace: &str, plural: &str, name: &str) -> Result<Self> {
        let range = json!({ "key": key(plural, namespace, name) });
        let found = ask(&cluster.etcd_host(), "range", &range)?;
        let value = found["kvs"][0]["value"].as_str();
        let value = value.with_context(|| format!("etcd has no {name}"))?;
        let text =
            String::from_utf8(STANDARD.decode(value)?).context("a run in etcd is no JSON")?;
        let object: Value = serde_json::from_str(&text).context("a run in etcd is no JSON")?;
        let uid = object["metadata"]["uid"].as_str().context("a run without uid")?.to_owned();
        let [plural, namespace, name] = [plural, namespace, name].map(str::to_owned);
        Ok(Self { plural, namespace, name, uid, text })
    }

    /// The name of a copy.
    #[must_use]
    pub fn copy(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    /// Puts `count` copies into another namespace.
    ///
    /// # Errors
    /// If etcd refuses.
    pub fn put(&self, cluster: &Cluster, namespace: &str, count: usize) -> Result<()> {
        let here = format!("\"namespace\":\"{}\"", self.namespace);
        let text = self.text.replace(&here, &format!("\"namespace\":\"{namespace}\""));
        let copies: Vec<String> = (0..count).map(|number| self.copy(number)).collect();
        for copies in copies.chunks(AT_ONCE) {
            let puts: Vec<Value> =
                copies.iter().map(|copy| self.operation(&text, namespace, copy)).collect();
            let done = ask(&cluster.etcd_host(), "txn", &json!({ "success": puts }))?;
            ensure!(done["succeeded"] == true, "etcd refused copies: {done}");
        }
        Ok(())
    }

    fn operation(&self, text: &str, namespace: &str, copy: &str) -> Value {
        let name = format!("\"name\":\"{}\"", self.name);
        let named = text.replace(&name, &format!("\"name\":\"{copy}\""));
        // The uid stands in names of annotations too.
        let value = named.replace(&self.uid, &runs::uid(&format!("{namespace}/{copy}")));
        let key = key(&self.plural, namespace, copy);
        json!({ "requestPut": { "key": key, "value": STANDARD.encode(value) } })
    }
}

fn key(plural: &str, namespace: &str, name: &str) -> String {
    STANDARD.encode(format!("/registry/tekton.dev/{plural}/{namespace}/{name}"))
}

/// Deletes all runs of a namespace and a kind, whatever holds them.
///
/// # Errors
/// If etcd refuses.
pub fn delete_runs(cluster: &Cluster, namespace: &str, plural: &str) -> Result<()> {
    let folder = format!("/registry/tekton.dev/{plural}/{namespace}");
    // From "FOLDER/" up to "FOLDER0", the character after the slash.
    let range = json!({
        "key": STANDARD.encode(format!("{folder}/")),
        "range_end": STANDARD.encode(format!("{folder}0")),
    });
    ask(&cluster.etcd_host(), "deleterange", &range).map(drop)
}

fn ask(host: &str, what: &str, body: &Value) -> Result<Value> {
    let body = serde_json::to_vec(body)?;
    let path = format!("/v3/kv/{what}");
    let answer = http::send(host, "POST", &path, &[("Content-Type", "application/json")], &body)?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status == 200, "etcd answered {} {text}", answer.status);
    serde_json::from_str(&text).context("read what etcd answered")
}
