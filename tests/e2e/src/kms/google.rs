//! A stand-in for Cloud KMS over its published API, which the hermetic tests of the signer use too, and Google's own
//! client for Python, which tries it first.

use std::{net::TcpStream, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};
use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::json;

use crate::{scene::Scene, server::Server};

/// The name of the stand-in, among the peers of a case.
pub const CLOUD_KMS: &str = "cloud-kms";
/// The name of the peer that has Google's client.
pub const GOOGLE_CLIENT: &str = "google-cloud-kms";

const READY_WITHIN: Duration = Duration::from_secs(30);

/// The stand-in.
#[derive(Debug)]
pub struct CloudKms {
    server: Server,
}

/// A key that Google's client has made, rotated once, and tried.
#[derive(Debug, Deserialize)]
pub struct Made {
    /// The name of the algorithm.
    pub algorithm: String,
    /// `projects/…/cryptoKeys/KEY`
    pub name: String,
    /// The public key of its newest version.
    pub pem: String,
}

impl CloudKms {
    /// Starts one.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &Scene<'_>) -> Result<Self> {
        let program = scene.program(CLOUD_KMS)?;
        let command = |port| {
            let mut command = Command::new(program);
            command.arg(format!("127.0.0.1:{port}"));
            Ok(command)
        };
        let ready = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        Server::start(&scene.log(CLOUD_KMS), READY_WITHIN, command, ready)
            .map(|server| Self { server })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Has Google's client make a key of each algorithm and use it in every way that we do; tells the keys.
    ///
    /// # Errors
    /// If the client finds anything other than it should be.
    pub fn try_with_googles_client(&self, scene: &Scene<'_>) -> Result<Vec<Made>> {
        let script = scene.write("google_client.py", include_str!("google_client.py"))?;
        let marker = scene.program(GOOGLE_CLIENT)?;
        let packages = marker.ancestors().nth(4).context("no folder of packages")?;
        let python = scene.system("python3").env("PYTHONPATH", packages).arg(script);
        let ran = python.arg(format!("127.0.0.1:{}", self.server.port())).ok()?;
        Ok(serde_json::from_value(ran.json()?)?)
    }
}

/// A service account's key, as Google gives it, in a file: whoever has it signs tokens himself.
///
/// # Errors
/// If it cannot be made or written.
pub fn service_account(scene: &Scene<'_>) -> Result<PathBuf> {
    let pair = KeyPair::generate(KeySize::Rsa2048).ok().context("make an RSA key")?;
    let der: Pkcs8V1Der<'_> = pair.as_der().ok().context("encode an RSA key")?;
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let account = json!({
        "type": "service_account", "project_id": "p", "private_key_id": "test-key-id",
        "private_key": pem, "client_email": "chains@p.iam.gserviceaccount.com", "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    scene.write("service-account.json", account.to_string())
}
