//! Archivista, over a PostgreSQL of its own.

use std::{
    collections::BTreeSet,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;

use crate::{
    http,
    scene::Scene,
    server::{Server, free_port},
};

/// The server, among the peers of a case.
pub const ARCHIVISTA: &str = "archivista";
/// Its own client, among the peers of a case.
pub const ARCHIVISTACTL: &str = "archivistactl";
/// The database, among the peers of a case.
pub const POSTGRESQL: &str = "postgresql";

const READY_WITHIN: Duration = Duration::from_secs(60);

/// A server that runs, with its database. Both are killed when this is dropped.
#[derive(Debug)]
pub struct Archivista<'s> {
    scene: &'s Scene<'s>,
    // Goes before the database that it uses.
    server: Option<Server>,
    database: Option<Server>,
    ports: Ports,
    files: PathBuf,
    data: PathBuf,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    server: u16,
    files: u16,
    database: u16,
}

impl<'s> Archivista<'s> {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &'s Scene<'s>) -> Result<Self> {
        let ports = Ports { server: free_port()?, files: free_port()?, database: free_port()? };
        let files = scene.path(&scene.fresh("archivista"));
        std::fs::create_dir(&files)?;
        let data = scene.path(&scene.fresh("postgresql"));
        let mut archivista = Self { scene, server: None, database: None, ports, files, data };
        archivista.initialise()?;
        archivista.resume_database()?;
        archivista.resume()?;
        Ok(archivista)
    }

    fn initialise(&self) -> Result<()> {
        let log = self.scene.log("initdb");
        let mut command = as_user(&self.program("initdb")?);
        command.args([
            "-U",
            "postgres",
            "--auth=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
            "-D",
        ]);
        let output = command.arg(&self.data).output().context("start initdb")?;
        std::fs::write(&log, [&output.stdout[..], &output.stderr].concat())?;
        ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Starts the database again, where it was stopped, with what it had.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn resume_database(&mut self) -> Result<()> {
        let program = self.program("postgres")?;
        let command = |port: u16| {
            let mut command = as_user(&program);
            command.arg("-D").arg(&self.data).args(["-h", "127.0.0.1", "-p", &port.to_string()]);
            // Nobody needs it to survive the machine.
            command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
            Ok(command)
        };
        let log = self.scene.log("postgres");
        let ready = |_| {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            text.contains("ready to accept connections")
        };
        let server = Server::start_at(self.ports.database, &log, READY_WITHIN, command, ready);
        self.database = Some(server.context("start PostgreSQL")?);
        Ok(())
    }

    /// Kills the database; the server stays.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop_database(&mut self) -> Result<()> {
        let database = self.database.take().context("PostgreSQL does not run")?;
        // What it has started ends with it where it is asked to.
        crate::server::signal(database.pid(), nix::sys::signal::Signal::SIGINT)?;
        database.terminate(READY_WITHIN).map(drop)
    }

    /// Starts the server again, where it was killed, at the same address and with what it had.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn resume(&mut self) -> Result<()> {
        let program = self.scene.program(ARCHIVISTA)?;
        let Ports { files, database, .. } = self.ports;
        let command = |port: u16| {
            let url =
                format!("postgresql://postgres:x@127.0.0.1:{database}/postgres?sslmode=disable");
            let mut command = Command::new(program);
            command.env_clear().env("ARCHIVISTA_LISTEN_ON", format!("tcp://127.0.0.1:{port}"));
            command
                .env("ARCHIVISTA_ENABLE_SPIFFE", "FALSE")
                .env("ARCHIVISTA_SQL_STORE_BACKEND", "PSQL");
            command.env("ARCHIVISTA_SQL_STORE_CONNECTION_STRING", url);
            command
                .env("ARCHIVISTA_STORAGE_BACKEND", "FILE")
                .env("ARCHIVISTA_FILE_DIR", &self.files);
            command.env("ARCHIVISTA_FILE_SERVE_ON", format!("127.0.0.1:{files}"));
            Ok(command)
        };
        let ready = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        let log = self.scene.log("archivista");
        let server = Server::start_at(self.ports.server, &log, READY_WITHIN, command, ready);
        self.server = Some(server.context("start Archivista")?);
        Ok(())
    }

    /// Kills the server at once; what it has stays.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.ports.server)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// The gitoids of what speaks of a digest (`sha256:…`), by its own client; each must be told once.
    ///
    /// # Errors
    /// If it fails, or tells one twice.
    pub fn search(&self, digest: &str) -> Result<BTreeSet<String>> {
        let tool = self.scene.peer(ARCHIVISTACTL)?.args(["-u", &self.url(), "search", digest]);
        let ran = tool.ok()?;
        // Where a command prints is for its library to say.
        let text = format!("{}\n{}", ran.stdout, ran.stderr);
        let lines: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("Gitoid: ")).collect();
        let found: BTreeSet<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        ensure!(
            found.len() == lines.len(),
            "{} gitoids, {} of them different",
            lines.len(),
            found.len()
        );
        Ok(found)
    }

    /// What it keeps under a gitoid, by its own client.
    ///
    /// # Errors
    /// If it fails.
    pub fn retrieve(&self, gitoid: &str) -> Result<Vec<u8>> {
        let tool = self.scene.peer(ARCHIVISTACTL)?.args([
            "-u",
            &self.url(),
            "retrieve",
            "envelope",
            gitoid,
        ]);
        Ok(tool.ok()?.stdout.into_bytes())
    }

    /// What it keeps under a gitoid, by plain HTTP.
    ///
    /// # Errors
    /// If there is nothing.
    pub fn download(&self, gitoid: &str) -> Result<Vec<u8>> {
        let answer = http::send(&self.host(), "GET", &format!("/v1/download/{gitoid}"), &[], b"")?;
        ensure!(answer.status == 200, "{gitoid}: {}", answer.status);
        Ok(answer.body)
    }

    /// How many envelopes there are.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn count(&self) -> Result<usize> {
        Ok(std::fs::read_dir(&self.files)?.count())
    }

    fn program(&self, name: &str) -> Result<PathBuf> {
        Ok(self.scene.program(POSTGRESQL)?.with_file_name(name))
    }
}

/// PostgreSQL does not run as root: there it runs in a namespace where it does not look like that.
fn as_user(program: &Path) -> Command {
    let mut command = if Uid::effective().is_root() {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env_remove("LC_ALL").env("LC_ALL", "C");
    command
}
