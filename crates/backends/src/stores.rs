//! The stores that are compiled in.

use std::sync::Arc;

use chains_config::{Config, EncodingFormat};
use chains_core::{Result, Store};
use chains_store_local::LocalStore;
use chains_store_oci::{Encoding, OciOptions, OciStore};
use chains_store_tekton::TektonStore;

use crate::Environment;

/// Makes a store of its section.
pub type BuildStore = fn(&Config, &Environment) -> Result<Arc<dyn Store>>;

/// By the name in `artifacts.*.storage`.
pub const STORES: &[(&str, BuildStore)] = &[("local", local), ("oci", oci), ("tekton", tekton)];

fn local(config: &Config, _: &Environment) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(LocalStore::new(&config.storage.local.path)))
}

fn tekton(_: &Config, _: &Environment) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(TektonStore::new()))
}

fn oci(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = &config.storage.oci;
    let options = OciOptions {
        repository: section.repository.clone(),
        insecure: section.insecure,
        insecure_hosts: environment.insecure_registries.clone(),
        allow_loopback_http: environment.allow_loopback_http,
        encoding: match section.encoding {
            EncodingFormat::SigstoreBundle => Encoding::SigstoreBundle,
            _ => Encoding::Dsse,
        },
        ca_files: environment.ca_files.clone(),
        ..OciOptions::default()
    };
    Ok(Arc::new(OciStore::new(options, Arc::clone(&environment.registry_credentials))?))
}
