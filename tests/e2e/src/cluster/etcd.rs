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

/// Puts `count` copies of the run `name` of the kind `plural` into another namespace, called `NAME-0` and so on.
///
/// # Errors
/// If there is no such run, or etcd refuses.
pub fn copy_run(
    cluster: &Cluster,
    (from, to): (&str, &str),
    plural: &str,
    name: &str,
    count: usize,
) -> Result<()> {
    let host = cluster.etcd_host();
    let key = |namespace: &str, name: &str| {
        STANDARD.encode(format!("/registry/tekton.dev/{plural}/{namespace}/{name}"))
    };
    let found = ask(&host, "range", &json!({ "key": key(from, name) }))?;
    let value = found["kvs"][0]["value"].as_str().with_context(|| format!("etcd has no {name}"))?;
    let text = String::from_utf8(STANDARD.decode(value)?).context("a run in etcd is no JSON")?;
    let object: Value = serde_json::from_str(&text).context("a run in etcd is no JSON")?;
    let uid = object["metadata"]["uid"].as_str().context("a run without uid")?;
    let uid = uid.to_owned();
    let here = format!("\"namespace\":\"{from}\"");
    let text = text.replace(&here, &format!("\"namespace\":\"{to}\""));
    let names: Vec<String> = (0..count).map(|number| format!("{name}-{number}")).collect();
    for names in names.chunks(AT_ONCE) {
        let put = |copy: &String| {
            let named =
                text.replace(&format!("\"name\":\"{name}\""), &format!("\"name\":\"{copy}\""));
            // The uid stands in names of annotations too.
            let value = named.replace(&uid, &runs::uid(&format!("{to}/{copy}")));
            json!({ "requestPut": { "key": key(to, copy), "value": STANDARD.encode(value) } })
        };
        let puts: Vec<Value> = names.iter().map(put).collect();
        let done = ask(&host, "txn", &json!({ "success": puts }))?;
        ensure!(done["succeeded"] == true, "etcd refused copies: {done}");
    }
    Ok(())
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
