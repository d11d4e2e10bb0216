//! SPIRE: a server, an agent beside whoever asks it who he is, and the provider that tells OpenBao the server's keys.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;
use serde_json::{Value, json};

use super::OpenBao;
use crate::{
    http,
    scene::Scene,
    server::{Server, free_port},
    tool::Tool,
};

/// The name of the peer: server, agent and provider are in one folder.
pub const SPIRE: &str = "spire";

/// Whom the JWTs are for.
const AUDIENCE: &str = "openbao";
const TRUST_DOMAIN: &str = "chains.test";
/// Who any agent of the case is, whatever token it joined with.
const NODE: &str = "spiffe://chains.test/node";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server with its provider, and an agent that runs or not.
#[derive(Debug)]
pub struct Spire<'s> {
    scene: &'s Scene<'s>,
    folder: PathBuf,
    // Each goes before what it asks.
    agent: Option<Server>,
    provider: Server,
    server: Server,
    /// What an agent joins with.
    token: String,
}

impl<'s> Spire<'s> {
    /// Who whoever runs as the user of the case is, once he is [registered](Self::register).
    pub const WORKLOAD: &'static str =
        "spiffe://chains.test/ns/tekton-chains/sa/tekton-chains-controller";

    /// Starts the server and the provider. There is no agent yet, and nobody is registered.
    ///
    /// # Errors
    /// If one is not ready in time.
    pub fn start(scene: &'s Scene<'s>) -> Result<Self> {
        let folder = scene.path(&scene.fresh(SPIRE));
        fs::create_dir_all(folder.join("agent"))?;
        let issuer = format!("http://127.0.0.1:{}", free_port()?);
        let server = start_server(scene, &folder, &issuer).context("start SPIRE's server")?;
        let provider = start_provider(scene, &folder, &issuer).context("start SPIRE's provider")?;
        let token = String::new();
        let mut spire = Self { scene, folder, agent: None, provider, server, token };
        let made = spire.ask(&["token", "generate", "-spiffeID", NODE])?;
        let token = made.lines().find_map(|line| line.strip_prefix("Token: "));
        spire.token = token.context("the server gives no token")?.trim().to_owned();
        fs::write(spire.folder.join("bundle.pem"), spire.ask(&["bundle", "show"])?)?;
        Ok(spire)
    }

    /// Starts the agent, where it was if it ran before, and waits until it listens.
    ///
    /// # Errors
    /// If that takes longer than a minute.
    pub fn start_agent(&mut self) -> Result<()> {
        let (folder, server) = (&self.folder, self.server.port());
        let program = program(self.scene, "spire-agent")?;
        let socket = self.socket_path();
        let command = |_| {
            let config = format!(
                "agent {{\n  data_dir = {data:?}\n  socket_path = {socket:?}\n  server_address = \"127.0.0.1\"\n  \
                 server_port = \"{server}\"\n  trust_domain = {TRUST_DOMAIN:?}\n  \
                 trust_bundle_path = {bundle:?}\n  experimental {{\n    sync_interval = \"1s\"\n  }}\n}}\n\
                 plugins {{\n  NodeAttestor \"join_token\" {{\n    plugin_data {{}}\n  }}\n  \
                 KeyManager \"disk\" {{\n    plugin_data {{\n      directory = {data:?}\n    }}\n  }}\n  \
                 WorkloadAttestor \"unix\" {{\n    plugin_data {{}}\n  }}\n}}\n",
                data = folder.join("agent"),
                bundle = folder.join("bundle.pem"),
            );
            let mut command = configured(self.scene, &program, folder, "agent.conf", &config)?;
            // It is good once: who was here before has its own certificate.
            command.args(["-joinToken", &self.token]);
            Ok(command)
        };
        let log = self.scene.log("spire-agent");
        // It has no port of its own.
        let agent = Server::start_at(0, &log, READY_WITHIN, command, |_| listens(&socket));
        self.agent = Some(agent.context("start SPIRE's agent")?);
        Ok(())
    }

    /// Asks the agent to end, and waits until it has: it takes its socket away.
    ///
    /// # Errors
    /// If it does not run, or does not end in time.
    pub fn stop_agent(&mut self) -> Result<()> {
        let agent = self.agent.take().context("the agent does not run")?;
        agent.terminate(READY_WITHIN).map(drop)
    }

    /// Kills the agent: its socket stays, and nobody listens there.
    pub fn kill_agent(&mut self) {
        self.agent = None;
    }

    /// Tells the server that processes of this user are [`Self::WORKLOAD`], with JWTs that are good for so many seconds.
    /// It takes some seconds [until an agent knows](Self::until_known).
    ///
    /// # Errors
    /// If it refuses.
    pub fn register(&self, jwt_seconds: u32) -> Result<()> {
        let (user, seconds) = (format!("unix:uid:{}", Uid::effective()), jwt_seconds.to_string());
        self.ask(&[
            "entry",
            "create",
            "-parentID",
            NODE,
            "-spiffeID",
            Self::WORKLOAD,
            "-selector",
            &user,
            "-jwtSVIDTTL",
            &seconds,
        ])
        .map(drop)
    }

    /// Waits until the agent gives a JWT to who runs as the user of the case, by its own client.
    ///
    /// # Errors
    /// If that takes longer than a minute.
    pub fn until_known(&self) -> Result<()> {
        let program = program(self.scene, "spire-agent")?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let tool = self.scene.tool_at(&program, "spire-agent-command");
            let tool = tool.args(["api", "fetch", "jwt", "-audience", AUDIENCE, "-socketPath"]);
            let ran = tool.arg(self.socket_path()).run()?;
            if ran.status.success() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the agent does not come to know: {ran}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Has OpenBao let in whom the server calls [`Self::WORKLOAD`], as the role `chains`: for so long (`1h`), and with
    /// the policy of [`OpenBao::write_policy`].
    ///
    /// # Errors
    /// If it refuses, or cannot ask the provider.
    pub fn be_trusted_by(&self, bao: &OpenBao<'_>, lifetime: &str) -> Result<()> {
        let issuer = self.issuer();
        bao.let_in_by_jwt(&json!({ "oidc_discovery_url": issuer, "bound_issuer": issuer }))?;
        self.set_role(bao, Self::WORKLOAD, lifetime)
    }

    /// Changes whom it lets in, and for how long.
    ///
    /// # Errors
    /// If it refuses.
    pub fn set_role(&self, bao: &OpenBao<'_>, subject: &str, lifetime: &str) -> Result<()> {
        let who = json!({ "bound_audiences": [AUDIENCE], "bound_subject": subject });
        bao.set_jwt_role(&who, lifetime)
    }

    /// What Chains is told, in keys of its configuration.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("signers.kms.auth.spire.sock", self.socket()),
            ("signers.kms.auth.spire.audience", AUDIENCE.to_owned()),
            ("signers.kms.auth.oidc.role", "chains".to_owned()),
        ]
    }

    /// The address of the agent's socket.
    #[must_use]
    pub fn socket(&self) -> String {
        format!("unix://{}", self.socket_path().display())
    }

    fn socket_path(&self) -> PathBuf {
        self.folder.join("agent.sock")
    }

    fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.provider.port())
    }

    /// Runs a command of the server's.
    fn ask(&self, args: &[&str]) -> Result<String> {
        let tool: Tool = self.scene.tool_at(self.scene.program(SPIRE)?, "spire-server-command");
        let tool = tool.args(args).arg("-socketPath").arg(server_socket(&self.folder));
        Ok(tool.ok()?.stdout)
    }
}

fn start_server(scene: &Scene<'_>, folder: &Path, issuer: &str) -> Result<Server> {
    let (program, socket) = (program(scene, "spire-server")?, server_socket(folder));
    let command = |port: u16| {
        let config = format!(
            "server {{\n  bind_address = \"127.0.0.1\"\n  bind_port = \"{port}\"\n  socket_path = {socket:?}\n  \
             trust_domain = {TRUST_DOMAIN:?}\n  data_dir = {folder:?}\n  jwt_issuer = {issuer:?}\n  \
             experimental {{\n    cache_reload_interval = \"1s\"\n  }}\n}}\n\
             plugins {{\n  DataStore \"sql\" {{\n    plugin_data {{\n      database_type = \"sqlite3\"\n      \
             connection_string = {database:?}\n    }}\n  }}\n  NodeAttestor \"join_token\" {{\n    plugin_data {{}}\n  \
             }}\n  KeyManager \"memory\" {{\n    plugin_data {{}}\n  }}\n}}\n",
            database = folder.join("entries.sqlite3"),
        );
        configured(scene, &program, folder, "server.conf", &config)
    };
    Server::start(&scene.log("spire-server"), READY_WITHIN, command, |_| listens(&socket))
}

fn start_provider(scene: &Scene<'_>, folder: &Path, issuer: &str) -> Result<Server> {
    let program = program(scene, "oidc-discovery-provider")?;
    let port = issuer.rsplit(':').next().context("an issuer without a port")?.parse()?;
    let command = |port: u16| {
        let config = format!(
            "domains = [\"127.0.0.1\"]\nallow_insecure_scheme = true\ninsecure_addr = \"127.0.0.1:{port}\"\n\
             jwt_issuer = {issuer:?}\nserver_api {{\n  address = \"unix://{socket}\"\n}}\n",
            socket = server_socket(folder).display(),
        );
        configured(scene, &program, folder, "provider.conf", &config)
    };
    // Who may be asked for keys has some.
    let ready = |port: u16| {
        let answer = http::send(&format!("127.0.0.1:{port}"), "GET", "/keys", &[], b"");
        let keys = answer.ok().and_then(|it| serde_json::from_slice::<Value>(&it.body).ok());
        keys.is_some_and(|keys| keys["keys"][0].is_object())
    };
    Server::start_at(port, &scene.log("spire-provider"), READY_WITHIN, command, ready)
}

/// One of its programs: the peer is called by the server's.
fn program(scene: &Scene<'_>, name: &str) -> Result<PathBuf> {
    Ok(scene.program(SPIRE)?.with_file_name(name))
}

fn server_socket(folder: &Path) -> PathBuf {
    folder.join("server.sock")
}

fn listens(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

/// A program that is to run as a file in the folder says.
fn configured(
    scene: &Scene<'_>,
    program: &Path,
    folder: &Path,
    file: &str,
    config: &str,
) -> Result<Command> {
    let file = folder.join(file);
    fs::write(&file, config).with_context(|| format!("write {}", file.display()))?;
    let mut command = Command::new(program);
    command.env_clear().env("HOME", scene.path("home"));
    // The provider does nothing but run.
    if !program.ends_with("oidc-discovery-provider") {
        command.arg("run");
    }
    command.arg("-config").arg(file);
    Ok(command)
}
