//! What a program brings along that no ConfigMap tells.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chains_core::{RegistryCredentials, Secret, Signer};
use chains_engine::{Meter, Policy};
use chains_store_oci::Keyring;

use crate::{Kept, Registry};

/// Keys, credentials and limits of the program that builds an engine.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The signer behind the name `x509`: the program loads its key, and reloads it when it changes.
    pub x509: Option<Arc<dyn Signer>>,
    /// Finds credentials for registries.
    pub registry_credentials: Arc<dyn RegistryCredentials>,
    /// Registry hosts, with their port if any, where plain HTTP and unverified certificates are fine.
    pub insecure_registries: Vec<String>,
    /// Whether registries on this machine may be spoken to over plain HTTP, without credentials: for
    /// programs of one user, not for servers, where names of images come from whoever wrote the run.
    pub allow_loopback_http: bool,
    /// PEM files of certificate authorities to trust besides the system's.
    pub ca_files: Vec<PathBuf>,
    /// Timeouts and retries of every backend.
    pub policy: Policy,
    /// How long logging may take with all its attempts, where what comes after it must get its turn; `None` sets no limit.
    pub log_limit: Option<Duration>,
    /// Takes how long each call of a backend took, with all its attempts; `None` measures nothing.
    pub meter: Option<Arc<dyn Meter>>,
    /// The identity token for keyless signing, where somebody has one at hand.
    pub identity_token: Option<Secret>,
    /// The folder for what was fetched and is good for the next time: roots of trust. `None` keeps nothing.
    pub cache: Option<PathBuf>,
    /// What engines built in this environment, or a clone of it, share.
    pub kept: Kept,
    /// Stores that the program brings along.
    pub registry: Registry,
}

impl Environment {
    /// No key, no credentials, default limits.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            x509: None,
            registry_credentials: Arc::new(Keyring::default()),
            insecure_registries: Vec::new(),
            allow_loopback_http: false,
            ca_files: Vec::new(),
            policy: Policy::default(),
            log_limit: None,
            meter: None,
            identity_token: None,
            cache: None,
            kept: Kept::default(),
            registry: Registry::default(),
        }
    }
}
