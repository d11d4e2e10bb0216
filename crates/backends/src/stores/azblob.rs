//! `azblob`: a container of Azure Blob Storage.

use std::sync::Arc;

use chains_config::{Config, ServiceUrl};
use chains_core::{Result, Store};
use chains_store_gcs::{AzblobOptions, BucketStore};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = &config.storage.azblob;
    let section = section.as_ref().ok_or_else(|| super::unset("storage.azblob.container"))?;
    // Engines made of the same share it, with its connections and the order in which it writes.
    let inputs = (section.clone(), environment.ca_files.clone());
    let store = environment.kept.get_or_make(inputs, |(section, ca_files)| {
        BucketStore::azblob(AzblobOptions {
            endpoint: section.endpoint.as_ref().map(ServiceUrl::as_str).map(str::to_owned),
            prefix: section.prefix.clone().unwrap_or_default(),
            ca_files: ca_files.clone(),
            ..AzblobOptions::new(&section.account, &section.container)
        })
    })?;
    Ok(store)
}
