//! DynamoDB Local, AWS's own. It listens on every interface, whatever it is told: in a network of one's own.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::{Document, above, java};
use crate::{
    http,
    scene::Scene,
    server::{Server, free_port},
};

/// The server, among the peers of a case.
pub const DYNAMODB: &str = "dynamodb-local";
/// What every case with it needs.
pub const NEEDS: [&str; 2] = [DYNAMODB, crate::sigstore::services::NETWORK];

const READY_WITHIN: Duration = Duration::from_secs(90);
/// It takes any signature, and looks for a region in it.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
    Credential=test/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";

/// The server. It is killed when this is dropped.
#[derive(Debug)]
pub struct DynamoDb<'s> {
    scene: &'s Scene<'s>,
    port: u16,
    data: PathBuf,
    server: Option<Server>,
}

impl<'s> DynamoDb<'s> {
    /// Starts one.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &'s Scene<'s>) -> Result<Self> {
        let data = scene.path(&scene.fresh("dynamodb"));
        std::fs::create_dir(&data)?;
        let mut server = Self { scene, port: free_port()?, data, server: None };
        server.resume()?;
        Ok(server)
    }

    /// Starts it again, where it was stopped, at the same address and with what it had.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn resume(&mut self) -> Result<()> {
        let jars = above(self.scene.program(DYNAMODB)?, 1)?;
        let command = |port: u16| {
            let mut command = java(self.scene, "256m");
            command
                .arg(format!("-Djava.library.path={}", jars.display()))
                .arg("-cp")
                .arg(format!("{}/*", jars.display()))
                .arg("com.amazonaws.services.dynamodbv2.local.main.ServerRunner")
                .args(["-port", &port.to_string(), "-disableTelemetry", "-sharedDb", "-dbPath"])
                .arg(&self.data);
            Ok(command)
        };
        let ready =
            |port| call(port, "ListTables", &json!({})).is_ok_and(|(status, _)| status == 200);
        let log = self.scene.log(DYNAMODB);
        let server = Server::start_at(self.port, &log, READY_WITHIN, command, ready);
        self.server = Some(server.context("start DynamoDB Local")?);
        Ok(())
    }

    /// Asks it to end, and waits until it has; what it has stays.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&mut self) -> Result<()> {
        let server = self.server.take().context("the server does not run")?;
        server.terminate(Duration::from_secs(20)).map(drop)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes a table with this partition key, a text, and with a sort key if there is to be one.
    ///
    /// # Errors
    /// If it refuses.
    pub fn create_table(&self, name: &str, partition: &str, sort: Option<&str>) -> Result<()> {
        let keys = [Some((partition, "HASH")), sort.map(|sort| (sort, "RANGE"))];
        let keys: Vec<_> = keys.into_iter().flatten().collect();
        let of = |(name, kind): &(&str, &str)| json!({ "AttributeName": name, "KeyType": kind });
        let typed =
            |(name, _): &(&str, &str)| json!({ "AttributeName": name, "AttributeType": "S" });
        let body = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": keys.iter().map(of).collect::<Vec<_>>(),
            "AttributeDefinitions": keys.iter().map(typed).collect::<Vec<_>>(),
        });
        self.call("CreateTable", &body).map(drop)
    }

    /// Calls an operation, and expects success.
    ///
    /// # Errors
    /// If it refuses.
    pub fn call(&self, operation: &str, body: &Value) -> Result<Value> {
        let (status, answer) = call(self.port, operation, body)?;
        if status != 200 {
            bail!("{operation} answered {status}: {answer}");
        }
        Ok(answer)
    }

    /// All items of a table.
    ///
    /// # Errors
    /// If they cannot be read, or one is nothing that Chains writes.
    pub fn read(&self, table: &str, partition: &str) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        let mut body = json!({ "TableName": table });
        loop {
            let answer = self.call("Scan", &body)?;
            for item in answer["Items"].as_array().into_iter().flatten() {
                let fields = plain(&json!({ "M": item }))?;
                let id = fields[partition].as_str().context("an item without a key")?;
                documents.push(Document::of(id, &fields)?);
            }
            if answer["LastEvaluatedKey"].is_null() {
                return Ok(documents);
            }
            body["ExclusiveStartKey"] = answer["LastEvaluatedKey"].clone();
        }
    }
}

/// An attribute as JSON; bytes stay in base64.
fn plain(attribute: &Value) -> Result<Value> {
    let pair = attribute.as_object().and_then(|it| it.iter().next());
    let (kind, value) = pair.with_context(|| format!("no attribute: {attribute}"))?;
    Ok(match (kind.as_str(), value) {
        ("NULL", _) => Value::Null,
        ("N", Value::String(number)) => json!(number.parse::<f64>()?),
        ("L", Value::Array(items)) => items.iter().map(plain).collect::<Result<_>>()?,
        ("M", Value::Object(fields)) => {
            let fields = fields.iter().map(|(name, it)| Ok((name.clone(), plain(it)?)));
            Value::Object(fields.collect::<Result<Map<_, _>>>()?)
        }
        ("S" | "B" | "BOOL", value) => value.clone(),
        _ => bail!("an attribute of the kind {kind}"),
    })
}

fn call(port: u16, operation: &str, body: &Value) -> Result<(u16, Value)> {
    let target = format!("DynamoDB_20120810.{operation}");
    let headers = [
        ("Content-Type", "application/x-amz-json-1.0"),
        ("X-Amz-Target", target.as_str()),
        ("Authorization", AUTHORIZATION),
    ];
    let body = body.to_string();
    let answer = http::send(&format!("127.0.0.1:{port}"), "POST", "/", &headers, body.as_bytes())?;
    Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
}
