//! A registry in memory with a switchboard in front, and records to store in it.

mod log;
mod records;
mod registry;

pub(crate) use log::Log;
pub(crate) use records::{
    Image, attestation, detached_run, entry, push_image, signature, signature_statement,
};
pub(crate) use registry::{Act, Registry, Seen, Tls, reply};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chains_core::{RegistryCredential, RegistryCredentials, Result, RunRef, Secret};
use chains_store_oci::{OciOptions, OciStore};

/// Options that wait for nobody longer than needed, for registries on this machine.
pub(crate) fn options() -> OciOptions {
    OciOptions {
        allow_loopback_http: true,
        settle: Duration::from_millis(20),
        ..OciOptions::default()
    }
}

pub(crate) fn anonymous() -> OciStore {
    store(options(), None)
}

pub(crate) fn store(options: OciOptions, credential: Option<RegistryCredential>) -> OciStore {
    OciStore::new(options, Arc::new(Fixed(credential))).expect("a store")
}

pub(crate) fn basic(username: &str, password: &str) -> RegistryCredential {
    RegistryCredential::Basic { username: username.to_owned(), password: Secret::new(password) }
}

/// The same credential for every repository.
#[derive(Debug)]
struct Fixed(Option<RegistryCredential>);

#[async_trait]
impl RegistryCredentials for Fixed {
    async fn credential(
        &self,
        _run: Option<&RunRef>,
        _registry: &str,
        _repository: &str,
    ) -> Result<Option<RegistryCredential>> {
        Ok(self.0.clone())
    }
}
