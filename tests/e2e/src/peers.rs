//! Where the peers are: the one file through which `cargo xtask e2e` tells the cases.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

/// The environment variable that holds the path of the file.
pub const PEERS_FILE: &str = "CHAINS_E2E_PEERS";

/// The command under test and the programs that it is tested against.
#[derive(Debug, Deserialize)]
pub struct Peers {
    chains: PathBuf,
    peers: BTreeMap<String, Peer>,
}

/// One peer: its program, or why it could not be had.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Peer {
    Program(PathBuf),
    Missing(String),
}

impl Peers {
    /// Reads the file that [`PEERS_FILE`] names.
    ///
    /// # Errors
    /// If the variable is not set, which is so for anyone who calls the tests without
    /// `cargo xtask e2e`, or if the file cannot be read.
    pub fn from_env() -> Result<Self> {
        let Some(path) = std::env::var_os(PEERS_FILE) else {
            bail!("{PEERS_FILE} is not set: run these tests by `cargo xtask e2e`");
        };
        let path = PathBuf::from(path);
        let text = std::fs::read(&path)
            .with_context(|| format!("read the list of peers {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("parse the list of peers {}", path.display()))
    }

    /// The `chains` command under test.
    #[must_use]
    pub fn chains(&self) -> &Path {
        &self.chains
    }

    /// The program of the peer `name`.
    ///
    /// # Errors
    /// If it could not be had, or if the case did not say that it needs it.
    pub fn program(&self, name: &str) -> Result<&Path> {
        match self.peers.get(name) {
            Some(Peer::Program(path)) => Ok(path),
            Some(Peer::Missing(why)) => Err(anyhow!("{name} could not be had: {why}")),
            None => Err(anyhow!("{name} was not asked for: name it among the case's peers")),
        }
    }

    /// Why `name` cannot be used, or `None` if it can.
    #[must_use]
    pub fn missing(&self, name: &str) -> Option<&str> {
        match self.peers.get(name) {
            Some(Peer::Program(_)) => None,
            Some(Peer::Missing(why)) => Some(why),
            None => Some("it was not asked for"),
        }
    }
}
