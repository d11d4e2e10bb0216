//! A server of the Grafeas API v1, with its gateway.

use std::{net::TcpStream, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    http,
    scene::Scene,
    server::{Server, free_port},
};

/// The server, among the peers of a case.
pub const GRAFEAS: &str = "grafeas";

const READY_WITHIN: Duration = Duration::from_secs(30);
/// How much it lists at once: little, so that every list has pages.
const PAGE: &str = "7";

/// A server that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Grafeas<'s> {
    scene: &'s Scene<'s>,
    server: Option<Server>,
    grpc: u16,
    rest: u16,
    data: PathBuf,
}

impl<'s> Grafeas<'s> {
    /// Starts one, and waits until it answers.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn start(scene: &'s Scene<'s>) -> Result<Self> {
        let data = scene.path(&scene.fresh("grafeas.jsonl"));
        let (grpc, rest) = (free_port()?, free_port()?);
        let mut grafeas = Self { scene, server: None, grpc, rest, data };
        grafeas.resume()?;
        Ok(grafeas)
    }

    /// Starts it again, where it was killed, at the same addresses and with what it had.
    ///
    /// # Errors
    /// If it is not ready in time.
    pub fn resume(&mut self) -> Result<()> {
        let program = self.scene.program(GRAFEAS)?;
        let command = |port: u16| {
            let mut command = Command::new(program);
            command.env_clear().env("GRAFEAS_PAGE", PAGE);
            command.arg(format!("127.0.0.1:{}", self.grpc)).arg(format!("127.0.0.1:{port}"));
            command.arg(&self.data);
            Ok(command)
        };
        let ready = |port| {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
                && http::send(&format!("127.0.0.1:{port}"), "GET", "/v1/projects/p/notes", &[], b"")
                    .is_ok_and(|answer| answer.status == 200)
        };
        let log = self.scene.log("grafeas");
        let server = Server::start_at(self.rest, &log, READY_WITHIN, command, ready);
        self.server = Some(server.context("start Grafeas")?);
        Ok(())
    }

    /// Kills it at once; what it has stays.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.rest)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// Everything at this path (`projects/P/notes`), page by page.
    ///
    /// # Errors
    /// If it refuses.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        let what = path.rsplit('/').next().unwrap_or_default();
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?pageSize=1000&pageToken={token}"))?;
            found.extend(page[what].as_array().cloned().unwrap_or_default());
            token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() {
                return Ok(found);
            }
        }
    }

    /// What is at this path.
    ///
    /// # Errors
    /// If there is nothing.
    pub fn get(&self, path: &str) -> Result<Value> {
        let answer = http::send(&self.host(), "GET", &format!("/v1/{path}"), &[], b"")?;
        ensure!(answer.status == 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Makes something at this path.
    ///
    /// # Errors
    /// If it is refused.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let body = body.to_string();
        let answer =
            http::send(&self.host(), "POST", &format!("/v1/{path}"), &[], body.as_bytes())?;
        ensure!(answer.status == 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Puts a note into what the server has, whoever may not make one there.
    ///
    /// # Errors
    /// If it does not come back with it.
    pub fn seed(&mut self, project: &str, id: &str, note: &Value) -> Result<()> {
        use std::io::Write as _;
        self.kill();
        let mut note = note.clone();
        note["name"] = format!("projects/{project}/notes/{id}").into();
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.data)?;
        writeln!(file, "n{note}")?;
        self.resume()?;
        self.get(&format!("projects/{project}/notes/{id}")).map(drop)
    }

    /// Deletes what is at this path.
    ///
    /// # Errors
    /// If it is refused.
    pub fn delete(&self, path: &str) -> Result<()> {
        let answer = http::send(&self.host(), "DELETE", &format!("/v1/{path}"), &[], b"")?;
        ensure!(answer.status == 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        Ok(())
    }
}
