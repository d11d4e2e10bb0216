//! Azure Key Vault, as Microsoft's own generated server has it, and somebody who gives tokens for it.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    http::{self, HttpServer, Request, Response},
    scene::Scene,
    server::{Server, free_port},
    tls::Authority,
};

/// The name of the peer.
pub const AZURE: &str = "azure-key-vault";

/// Who gives tokens, as vaults tell everybody; the client knows a nearer one.
const AUTHORITY: &str = "https://login.microsoftonline.com/tenant";
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A vault.
#[derive(Debug)]
pub struct AzureVault {
    server: Server,
    plain: u16,
    login: HttpServer,
    logins: Arc<Mutex<Vec<Request>>>,
    certificate: PathBuf,
}

impl AzureVault {
    /// The password of the application that may use the vault.
    pub const PASSWORD: &'static str = "azure-client-secret";
    /// The token that is given for it.
    pub const TOKEN: &'static str = "azure-access-token";

    /// Starts one, and an authority that gives tokens.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &Scene<'_>) -> Result<Self> {
        let authority = Authority::new(scene.folder(), "azure")?;
        let keys = authority.certify(scene.folder(), "azure-vault")?;
        let logins = Arc::new(Mutex::new(Vec::new()));
        let login = login(Arc::clone(&logins))?;
        let plain = free_port()?;
        let program = scene.program(AZURE)?;
        let command = |port| {
            let mut command = Command::new(program);
            command.arg(format!("127.0.0.1:{port}")).arg(&keys.certificate).arg(&keys.key);
            command.arg(format!("127.0.0.1:{plain}")).arg(AUTHORITY);
            Ok(command)
        };
        let ready = |port| {
            [port, plain].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        };
        let server = Server::start(&scene.log(AZURE), READY_WITHIN, command, ready)?;
        let certificate = authority.certificate().to_owned();
        Ok(Self { server, plain, login, logins, certificate })
    }

    /// `azurekms://HOST/REST`.
    #[must_use]
    pub fn reference(&self, rest: &str) -> String {
        format!("azurekms://127.0.0.1:{}/{rest}", self.server.port())
    }

    /// The certificate to trust.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The variables of an application that may use it.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 4] {
        [
            ("AZURE_AUTHORITY_HOST", format!("http://{}", self.login.host())),
            ("AZURE_TENANT_ID", "tenant".to_owned()),
            ("AZURE_CLIENT_ID", "application".to_owned()),
            ("AZURE_CLIENT_SECRET", Self::PASSWORD.to_owned()),
        ]
    }

    /// Every request for a token so far.
    #[must_use]
    pub fn logins(&self) -> Vec<Request> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a key, or the next version of one, and tells the version.
    ///
    /// # Errors
    /// If it refuses.
    pub fn create(&self, name: &str, kind: &Value) -> Result<String> {
        let made = self.call("POST", &format!("keys/{name}/create"), kind)?;
        let id = made["key"]["kid"].as_str().context("no id")?;
        Ok(id.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// Disables a version.
    ///
    /// # Errors
    /// If it refuses.
    pub fn disable(&self, name: &str, version: &str) -> Result<()> {
        let disabled = json!({ "attributes": { "enabled": false } });
        self.call("PATCH", &format!("keys/{name}/{version}"), &disabled).map(drop)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let headers = [("Authorization", "Bearer test"), ("Content-Type", "application/json")];
        let (host, path) =
            (format!("127.0.0.1:{}", self.plain), format!("/{path}?api-version=7.4"));
        let answer = http::send(&host, method, &path, &headers, body.to_string().as_bytes())?;
        if answer.status != 200 {
            bail!("{path} answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

fn login(seen: Arc<Mutex<Vec<Request>>>) -> Result<HttpServer> {
    HttpServer::start(move |request| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        if !form.contains(&format!("client_secret={}", AzureVault::PASSWORD)) {
            let why = format!("AADSTS7000215: Invalid client secret provided. {form}");
            let refused = json!({ "error": "invalid_client", "error_description": why });
            return Response::new(401, refused.to_string());
        }
        let granted = json!({
            "token_type": "Bearer", "expires_in": 3599, "access_token": AzureVault::TOKEN,
        });
        Response::new(200, granted.to_string()).with("Content-Type", "application/json")
    })
}
