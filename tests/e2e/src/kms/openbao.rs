//! OpenBao with the transit engine: a server with its data on disk and an audit log, which is sealed after each
//! start as everybody's is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    JwtIssuer,
    audit::{self, Audited},
};
use crate::{
    http,
    scene::Scene,
    server::{Server, free_port},
};

/// The name of the peer.
pub const OPENBAO: &str = "openbao";

const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server that runs, or is stopped for a while.
#[derive(Debug)]
pub struct OpenBao<'s> {
    scene: &'s Scene<'s>,
    folder: PathBuf,
    server: Option<Server>,
    port: u16,
    unseal: String,
    root: String,
}

impl<'s> OpenBao<'s> {
    /// Starts one with a transit engine.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &'s Scene<'s>) -> Result<Self> {
        let folder = scene.path(&scene.fresh(OPENBAO));
        fs::create_dir_all(folder.join("data"))?;
        let log = scene.log(OPENBAO);
        let command = |port| command(scene, &folder, port);
        let server = Server::start(&log, READY_WITHIN, command, listens)?;
        let (port, text) = (server.port(), String::new());
        let mut bao =
            Self { scene, folder, server: Some(server), port, unseal: text.clone(), root: text };
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let (_, made) = bao.call("PUT", "sys/init", "", &shares)?;
        let text =
            |value: &Value| value.as_str().map(str::to_owned).context("it is not initialised");
        bao.unseal = text(&made["keys_base64"][0])?;
        bao.root = text(&made["root_token"])?;
        bao.unseal()?;
        bao.root("POST", "sys/mounts/transit", &json!({ "type": "transit" }))?;
        Ok(bao)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.host())
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The token that may do everything.
    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.root
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it where it was; it is sealed then.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub fn start_again(&mut self) -> Result<()> {
        let log = self.scene.log(OPENBAO);
        let command = |port| command(self.scene, &self.folder, port);
        self.server = Some(Server::start_at(self.port, &log, READY_WITHIN, command, listens)?);
        Ok(())
    }

    /// Unseals it, and waits until it works.
    ///
    /// # Errors
    /// If that takes longer than a minute.
    pub fn unseal(&self) -> Result<()> {
        let key = json!({ "key": self.unseal });
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            // It is sealed until it has taken the key, and a standby until it has won its own election.
            let (status, _) = self.call("GET", "sys/health", "", &Value::Null)?;
            match status {
                200 => return Ok(()),
                503 => drop(self.call("PUT", "sys/unseal", "", &key)?),
                _ => {}
            }
            ensure!(Instant::now() < deadline, "it does not become active: {status}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Calls its API; tells status and answer.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("X-Vault-Token", token), ("X-Vault-Request", "true")];
        let path = format!("/v1/{path}");
        let answer = http::send(&self.host(), method, &path, &headers, body.as_bytes())?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }

    /// Calls its API with the root token, and expects success.
    ///
    /// # Errors
    /// If it refuses.
    pub fn root(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = self.call(method, path, &self.root, body)?;
        if !(200..300).contains(&status) {
            bail!("{method} {path} answered {status}: {answer}");
        }
        Ok(answer)
    }

    /// Makes a key of this kind.
    ///
    /// # Errors
    /// If it refuses.
    pub fn create_key(&self, name: &str, kind: &str) -> Result<()> {
        self.root("POST", &format!("transit/keys/{name}"), &json!({ "type": kind })).map(drop)
    }

    /// Gives the key another version.
    ///
    /// # Errors
    /// If it refuses.
    pub fn rotate(&self, name: &str) -> Result<()> {
        self.root("POST", &format!("transit/keys/{name}/rotate"), &json!({})).map(drop)
    }

    /// Writes the policy of that name: what is said of it in docs/kms.md, for all keys.
    ///
    /// # Errors
    /// If it refuses.
    pub fn write_policy(&self, name: &str) -> Result<()> {
        let policy = "path \"transit/keys/*\" { capabilities = [\"read\"] }\n\
                      path \"transit/sign/*\" { capabilities = [\"update\"] }";
        self.root("PUT", &format!("sys/policies/acl/{name}"), &json!({ "policy": policy }))
            .map(drop)
    }

    /// A token with these policies, for so long (`1h`).
    ///
    /// # Errors
    /// If it refuses.
    pub fn token(&self, policies: &[&str], lifetime: &str) -> Result<String> {
        let body = json!({ "policies": policies, "ttl": lifetime, "renewable": false });
        let made = self.root("POST", "auth/token/create", &body)?;
        made["auth"]["client_token"].as_str().map(str::to_owned).context("no token")
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// If it refuses.
    pub fn revoke(&self, token: &str) -> Result<()> {
        self.root("POST", "auth/token/revoke", &json!({ "token": token })).map(drop)
    }

    /// Lets in who has a JWT of the issuer for the audience `vault`, as the role `chains`: with the policy of
    /// [`Self::write_policy`], for so long (`1h`) and no longer.
    ///
    /// # Errors
    /// If it refuses.
    pub fn trust(&self, issuer: &JwtIssuer, lifetime: &str) -> Result<()> {
        self.let_in_by_jwt(&json!({ "jwt_validation_pubkeys": [issuer.public()] }))?;
        self.set_jwt_role(&json!({ "bound_audiences": ["vault"] }), lifetime)
    }

    /// Begins to let in who has a JWT, and a [role](Self::set_jwt_role); `keys` says whose JWTs are good.
    pub(super) fn let_in_by_jwt(&self, keys: &Value) -> Result<()> {
        self.write_policy("chains")?;
        self.root("POST", "sys/auth/jwt", &json!({ "type": "jwt" }))?;
        self.root("POST", "auth/jwt/config", keys).map(drop)
    }

    /// Lets in, as the role `chains`, what `who` says.
    pub(super) fn set_jwt_role(&self, who: &Value, lifetime: &str) -> Result<()> {
        let mut role = json!({
            "role_type": "jwt", "user_claim": "sub", "token_policies": ["chains"],
            "token_ttl": lifetime, "token_max_ttl": lifetime,
        });
        for (name, value) in who.as_object().into_iter().flatten() {
            role[name.as_str()] = value.clone();
        }
        self.root("POST", "auth/jwt/role/chains", &role).map(drop)
    }

    /// Every answer that it gave, so far, about paths that start so.
    ///
    /// # Errors
    /// If its audit log cannot be read.
    pub fn audit(&self, start: &str) -> Result<Vec<Audited>> {
        audit::read(&self.folder.join("audit.log"), start)
    }
}

fn listens(port: u16) -> bool {
    http::send(&format!("127.0.0.1:{port}"), "GET", "/v1/sys/seal-status", &[], b"")
        .is_ok_and(|answer| answer.status == 200)
}

fn command(scene: &Scene<'_>, folder: &Path, port: u16) -> Result<Command> {
    let (data, audit, other) = (folder.join("data"), folder.join("audit.log"), free_port()?);
    let config = format!(
        "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  cluster_address = \"127.0.0.1:{other}\"\n  \
         tls_disable = true\n}}\n\
         storage \"raft\" {{\n  path = {data:?}\n  node_id = \"one\"\n  performance_multiplier = 1\n}}\n\
         api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"http://127.0.0.1:{other}\"\n\
         audit \"file\" \"log\" {{\n  options = {{ file_path = {audit:?} }}\n}}\n"
    );
    let file = folder.join("config.hcl");
    fs::write(&file, config)?;
    let mut command = Command::new(scene.program(OPENBAO)?);
    command.env_clear().env("HOME", scene.path("home")).args(["server", "-config"]).arg(file);
    Ok(command)
}
