//! The command under test, as one user calls it.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    registry::{Access, Registry},
    scene::Scene,
    sigstore::{Identity, Keys, PASSWORD, Settings},
    tool::Tool,
};

/// `chains`, with one user's access to registries.
#[derive(Debug)]
pub struct Chains<'s> {
    scene: &'s Scene<'s>,
    access: Access,
    insecure: Vec<String>,
}

impl<'s> Chains<'s> {
    /// `chains` as anyone calls it.
    #[must_use]
    pub fn new(scene: &'s Scene<'s>) -> Self {
        Self { scene, access: Access::default(), insecure: Vec::new() }
    }

    /// Takes plain HTTP from `registry`.
    #[must_use]
    pub fn at(self, registry: &Registry) -> Self {
        self.insecure(registry.host())
    }

    /// Takes plain HTTP from `host`.
    #[must_use]
    pub fn insecure(mut self, host: impl Into<String>) -> Self {
        self.insecure.push(host.into());
        self
    }

    /// With this user's credentials and trust.
    #[must_use]
    pub fn with(mut self, access: &Access) -> Self {
        self.access = access.clone();
        self
    }

    /// Signs a run, or a `List` of them, with a key, into registries.
    ///
    /// # Errors
    /// If the run cannot be written to a file.
    pub fn sign(&self, key: &Path, run: &Value) -> Result<Tool> {
        Ok(self.sign_to("oci", key, run)?.arg("--out-dir").arg(self.scene.path("chains-out")))
    }

    /// Signs a run, or a `List` of them, with a key, into a store; where that is a folder, the caller
    /// names it.
    ///
    /// # Errors
    /// If the run cannot be written to a file.
    pub fn sign_to(&self, store: &str, key: &Path, run: &Value) -> Result<Tool> {
        let name = self.scene.fresh("run.json");
        let name = self.scene.write(&name, serde_json::to_vec_pretty(run)?)?;
        let tool = self.command("sign").arg(&name).args(["--store", store]);
        Ok(tool.arg("--key").arg(key))
    }

    /// Signs a run, or a `List` of them, into a store, as these settings say.
    ///
    /// # Errors
    /// If the run cannot be written to a file.
    pub fn sign_by(&self, store: &str, settings: &Settings, run: &Value) -> Result<Tool> {
        let name = self.scene.fresh("run.json");
        let name = self.scene.write(&name, serde_json::to_vec_pretty(run)?)?;
        let tool = self.command("sign").arg(&name).args(["--store", store]);
        let settings = settings.iter().map(|(key, value)| format!("{key}={value}"));
        Ok(settings.fold(tool, |tool, setting| tool.arg("--config").arg(setting)))
    }

    /// Verifies that somebody signed an image, a file with signed runs or a folder, as far as `trusted_root` is
    /// to be trusted.
    #[must_use]
    pub fn verify_identity(
        &self,
        who: &Identity,
        trusted_root: &Path,
        what: impl AsRef<std::ffi::OsStr>,
    ) -> Tool {
        let tool = self.command("verify").args(who.flags());
        tool.arg("--trusted-root").arg(trusted_root).arg(what)
    }

    /// Verifies an image, a file with signed runs or a folder.
    #[must_use]
    pub fn verify(&self, public: &Path, what: impl AsRef<std::ffi::OsStr>) -> Tool {
        self.command("verify").arg("--key").arg(public).arg(what)
    }

    /// Makes a key pair of the kind `kind` in files that begin with `name`.
    ///
    /// # Errors
    /// If it is refused.
    pub fn generate_keys(&self, kind: &str, name: &str) -> Result<Keys> {
        let prefix = self.scene.path(name);
        let tool = self.scene.chains().args(["keys", "generate", "--type", kind]);
        tool.arg("--output-key-prefix").arg(&prefix).env("COSIGN_PASSWORD", PASSWORD).ok()?;
        Ok(Keys { private: prefix.with_extension("key"), public: prefix.with_extension("pub") })
    }

    /// A command that may go to registries.
    fn command(&self, command: &str) -> Tool {
        let tool = self.access.give(self.scene.chains()).env("COSIGN_PASSWORD", PASSWORD);
        let insecure = self.insecure.iter().flat_map(|host| ["--insecure-registry", host]);
        tool.arg(command).args(insecure)
    }
}

/// Runs as one document.
#[must_use]
pub fn list(runs: Vec<Value>) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "items": runs })
}
