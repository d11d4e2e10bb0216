//! Docker's credential helpers: programs that are asked for one registry's credential.
//!
//! Protocol: <https://github.com/docker/docker-credential-helpers#development>.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chains_core::{Error, ErrorKind, RegistryCredential, Result, Secret};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use super::file::basic;

/// Longer than any helper needs that is not waiting for somebody at a keyboard.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer is good: helpers hand out tokens that last for hours, and take up to a second each.
const FRESH: Duration = Duration::from_secs(60);
/// An answer is a few hundred bytes; tokens may have some thousands.
const MAX_ANSWER: u64 = 256 * 1024;
/// What a helper prints that has none for the registry.
const NOT_FOUND: &str = "credentials not found in native keychain";

type Answers = HashMap<String, (Instant, Option<RegistryCredential>)>;

/// A program `docker-credential-NAME`.
#[derive(Debug)]
pub(super) struct Helper {
    name: String,
    /// Where the program is; unset: where the system finds it.
    folder: Option<PathBuf>,
    timeout: Duration,
    answers: Mutex<Answers>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

impl Helper {
    pub(super) fn new(name: String) -> Self {
        Self { name, folder: None, timeout: TIMEOUT, answers: Mutex::default() }
    }

    /// The credential for `server`, or none where the helper has none.
    ///
    /// # Errors
    /// Where the helper is not installed, fails, is too slow or answers something else.
    pub(super) async fn get(&self, server: &str) -> Result<Option<RegistryCredential>> {
        // Held while the helper runs: many that ask at once start it once.
        let mut answers = self.answers.lock().await;
        answers.retain(|_, (when, _)| when.elapsed() < FRESH);
        if let Some((_, known)) = answers.get(server) {
            return Ok(known.clone());
        }
        let answer = self.ask(server).await?;
        answers.insert(server.to_owned(), (Instant::now(), answer.clone()));
        Ok(answer)
    }

    async fn ask(&self, server: &str) -> Result<Option<RegistryCredential>> {
        let child = self.start()?;
        let output = tokio::time::timeout(self.timeout, converse(child, server)).await;
        let (succeeded, output) = output
            .map_err(|_| {
                self.error(ErrorKind::Timeout, format!("no answer in {:?}", self.timeout))
            })?
            .map_err(|e| self.error(ErrorKind::Unauthorized, e))?;
        if !succeeded {
            let said = String::from_utf8_lossy(output.expose().as_bytes()).trim().to_owned();
            if said.contains(NOT_FOUND) {
                return Ok(None);
            }
            let said: String = said.chars().take(200).collect();
            return Err(self.error(ErrorKind::Unauthorized, format!("it failed: {said:?}")));
        }
        self.read(&output)
    }

    fn start(&self) -> Result<Child> {
        let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.is_empty() || !self.name.chars().all(ok) {
            return Err(
                self.error(ErrorKind::Configuration, "its name is not the name of a program")
            );
        }
        let program = format!("docker-credential-{}", self.name);
        Command::new(
            self.folder.as_ref().map_or_else(|| program.clone().into(), |dir| dir.join(&program)),
        )
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| self.error(ErrorKind::Configuration, e))
    }

    fn read(&self, output: &Secret) -> Result<Option<RegistryCredential>> {
        // The parser's own message may quote the answer.
        let answer: Answer = serde_json::from_str(output.expose()).map_err(|_| {
            self.error(ErrorKind::Unauthorized, "its answer is not of the protocol")
        })?;
        let secret = Secret::new(answer.secret);
        if answer.username.is_empty() || secret.is_empty() {
            return Ok(None);
        }
        Ok(Some(basic(&answer.username, secret)))
    }

    fn error(
        &self,
        kind: ErrorKind,
        why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        let what = format!("asking the credential helper docker-credential-{}", self.name);
        Error::new(kind, what).with_source(why)
    }
}

#[cfg(test)]
impl Helper {
    /// Takes the program from this folder, and loses patience sooner.
    pub(super) fn run_from(&mut self, folder: &std::path::Path) {
        self.folder = Some(folder.to_owned());
        self.timeout = Duration::from_secs(5);
    }
}

/// Whether it succeeded, and what it printed.
async fn converse(mut child: Child, server: &str) -> std::io::Result<(bool, Secret)> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that answers without reading closes the pipe: its answer tells what to make of that.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut printed = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_ANSWER).read_to_end(&mut printed).await?;
    }
    let status = child.wait().await?;
    let text =
        String::from_utf8(printed).map_err(|_| std::io::Error::other("its answer is not text"))?;
    Ok((status.success(), Secret::new(text)))
}
