//! An emulator of AWS whose KMS makes true signatures. It checks no credentials.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{http, scene::Scene, server::Server};

/// The name of the peer.
pub const MINISTACK: &str = "ministack";

const READY_WITHIN: Duration = Duration::from_secs(60);
/// The emulator reads the region from there.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
    Credential=test/20260101/eu-west-1/kms/aws4_request, SignedHeaders=host, Signature=0";

/// The emulator.
#[derive(Debug)]
pub struct MiniStack {
    server: Server,
}

impl MiniStack {
    /// The region that keys are made in.
    pub const REGION: &'static str = "eu-west-1";

    /// Starts one.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &Scene<'_>) -> Result<Self> {
        let program = scene.program(MINISTACK)?;
        let packages = program.parent().and_then(|bin| bin.parent()).context("no folder")?;
        let command = |port: u16| {
            let mut command = Command::new("python3");
            command
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", scene.path("home"))
                .env("PYTHONPATH", packages)
                .env("BIND_HOST", "127.0.0.1")
                .env("GATEWAY_PORT", port.to_string())
                .env("SERVICES", "kms,sts")
                .env("IOT_MTLS_ENABLED", "0")
                .arg(program)
                .current_dir(scene.folder());
            Ok(command)
        };
        let ready =
            |port| call(port, "ListKeys", &json!({})).is_ok_and(|(status, _)| status == 200);
        let server = Server::start(&scene.log(MINISTACK), READY_WITHIN, command, ready)?;
        Ok(Self { server })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Calls an operation of KMS, and expects success.
    ///
    /// # Errors
    /// If it refuses.
    pub fn call(&self, operation: &str, body: &Value) -> Result<Value> {
        let (status, answer) = call(self.server.port(), operation, body)?;
        if status != 200 {
            bail!("{operation} answered {status}: {answer}");
        }
        Ok(answer)
    }

    /// Makes a key of this kind, and tells its ARN.
    ///
    /// # Errors
    /// If it refuses.
    pub fn create_key(&self, spec: &str) -> Result<String> {
        let made =
            self.call("CreateKey", &json!({ "KeySpec": spec, "KeyUsage": "SIGN_VERIFY" }))?;
        made["KeyMetadata"]["Arn"].as_str().map(str::to_owned).context("no ARN")
    }

    /// Points an alias to a key.
    ///
    /// # Errors
    /// If it refuses.
    pub fn point(&self, alias: &str, key: &str, is_new: bool) -> Result<()> {
        let operation = if is_new { "CreateAlias" } else { "UpdateAlias" };
        let id = key.rsplit('/').next().unwrap_or(key);
        self.call(operation, &json!({ "AliasName": alias, "TargetKeyId": id })).map(drop)
    }
}

fn call(port: u16, operation: &str, body: &Value) -> Result<(u16, Value)> {
    let target = format!("TrentService.{operation}");
    let headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", target.as_str()),
        ("Authorization", AUTHORIZATION),
    ];
    let body = body.to_string();
    let answer = http::send(&format!("127.0.0.1:{port}"), "POST", "/", &headers, body.as_bytes())?;
    Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
}
