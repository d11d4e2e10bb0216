//! The scene of one case: its own folder, its own home, the programs it may run.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result};
use serde_json::{Map, json};
use tempfile::TempDir;

use crate::{peers::Peers, server, tool::Tool};

/// What a case works in. Everything in it is gone when the case ends.
#[derive(Debug)]
pub struct Scene<'p> {
    folder: TempDir,
    peers: &'p Peers,
    numbers: AtomicUsize,
    notes: Mutex<Vec<String>>,
}

impl<'p> Scene<'p> {
    /// A folder of its own, with these peers.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn new(peers: &'p Peers) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("chains-e2e-")
            .tempdir()
            .context("make a folder for the case")?;
        fs::create_dir(folder.path().join("home"))?;
        fs::create_dir(folder.path().join("logs"))?;
        Ok(Self { folder, peers, numbers: AtomicUsize::new(0), notes: Mutex::default() })
    }

    /// The case's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the case's folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the case's folder and tells where it is.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }

    /// The folder of a docker configuration that holds these credentials, `(key, user, password)`,
    /// where the key is a registry or a path in one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn docker_config(&self, credentials: &[(&str, &str, &str)]) -> Result<PathBuf> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let auths: Map<_, _> = credentials
            .iter()
            .map(|(key, user, password)| {
                let auth = STANDARD.encode(format!("{user}:{password}"));
                ((*key).to_owned(), json!({ "auth": auth }))
            })
            .collect();
        let folder = self.fresh("docker");
        let config = serde_json::to_vec_pretty(&json!({ "auths": auths }))?;
        self.write(&format!("{folder}/config.json"), config)?;
        Ok(self.path(&folder))
    }

    /// The `chains` command under test.
    #[must_use]
    pub fn chains(&self) -> Tool {
        self.tool(self.peers.chains(), "chains")
    }

    /// The program of the peer `name`.
    ///
    /// # Errors
    /// If the case does not name it among its peers.
    pub fn peer(&self, name: &str) -> Result<Tool> {
        Ok(self.tool(self.program(name)?, name))
    }

    /// A program that every machine has.
    #[must_use]
    pub fn system(&self, program: &str) -> Tool {
        self.tool(Path::new(program), program)
    }

    /// Where the program of the peer `name` is.
    ///
    /// # Errors
    /// If the case does not name it among its peers.
    pub fn program(&self, name: &str) -> Result<&Path> {
        self.peers.program(name)
    }

    /// A new log file for `name`; the report of a failed case shows its end.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.path("logs").join(self.fresh(&format!("{name}.log")))
    }

    /// `name` with a number before it that no other name of this case has.
    #[must_use]
    pub fn fresh(&self, name: &str) -> String {
        format!("{:03}-{name}", self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes something that was measured; it is told with the outcome of the case.
    pub fn note(&self, what: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
    }

    /// What was noted.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The end of each server's log, for the report of a case that failed.
    pub(crate) fn logs(&self) -> String {
        let mut paths: Vec<PathBuf> = fs::read_dir(self.path("logs"))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        paths.sort();
        let mut text = String::new();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // The API server says much, and little of it matters to a case.
            let lines =
                if name.contains("kube-apiserver") || name.contains("etcd") { 4 } else { 20 };
            let tail = server::tail(&path, lines);
            // What a program printed is in the error already, if it has to do with it.
            if !tail.is_empty() && !name.ends_with(".out.log") && !name.ends_with(".err.log") {
                text.push_str(&format!("--- {name}\n{tail}\n"));
            }
        }
        text
    }

    /// A program at a place of its own.
    pub(crate) fn tool_at(&self, program: &Path, name: &str) -> Tool {
        self.tool(program, name)
    }

    fn tool(&self, program: &Path, name: &str) -> Tool {
        let logs = self.path("logs").join(self.fresh(name));
        Tool::new(program, &self.path("home"), &logs)
    }
}
