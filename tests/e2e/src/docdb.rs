//! Document databases, and what is in them as their own clients read it.

pub mod dynamodb;
pub mod firestore;
pub mod mongo;

use std::{net::TcpStream, path::Path, process::Command};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::scene::Scene;

/// A document that Chains wrote, read by others.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it is called in the database.
    pub id: String,
    /// The field `Name`, where there is one besides the id.
    pub name: Option<String>,
    /// The payload.
    pub signed: Vec<u8>,
    /// The field `Signature`, where there is one.
    pub signature: Option<String>,
    /// The fields `Cert` and `Chain`, one after the other.
    pub certificates: [Value; 2],
    /// The field `Object`, as JSON.
    pub object: Value,
}

impl Document {
    /// Of fields that are JSON already, with bytes in base64.
    fn of(id: &str, fields: &Value) -> Result<Self> {
        let text = |name: &str| fields[name].as_str().map(str::to_owned);
        let signed = fields["Signed"].as_str().with_context(|| format!("{id} has no payload"))?;
        Ok(Self {
            id: id.to_owned(),
            name: text("Name"),
            signed: STANDARD.decode(signed)?,
            signature: text("Signature"),
            certificates: [fields["Cert"].clone(), fields["Chain"].clone()],
            object: fields["Object"].clone(),
        })
    }
}

fn connects(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A program that runs for seconds only: the compiler that takes its time does not pay.
fn java(scene: &Scene<'_>, heap: &str) -> Command {
    let mut command = Command::new("java");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", scene.path("home"))
        .current_dir(scene.folder())
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .arg(format!("-Xmx{heap}"));
    command
}

/// The folder that holds `program` and its neighbours, `up` levels above it.
fn above(program: &Path, up: usize) -> Result<&Path> {
    program.ancestors().nth(up).with_context(|| format!("{} is nowhere", program.display()))
}
