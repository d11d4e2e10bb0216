//! `oci`: beside the image.

use std::sync::Arc;

use chains_config::{Config, EncodingFormat};
use chains_core::{Result, Store};
use chains_store_oci::{Encoding, OciOptions, OciStore};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
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
