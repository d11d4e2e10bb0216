//! `azblob`: a container of Azure Blob Storage.

use std::sync::Arc;

use chains_config::{Config, ServiceUrl};
use chains_core::{Result, Store};
use chains_store_gcs::{AzblobOptions, BucketStore};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = &config.storage.azblob;
    let section = section.as_ref().ok_or_else(|| super::unset("storage.azblob.container"))?;
    let options = AzblobOptions {
        endpoint: section.endpoint.as_ref().map(ServiceUrl::as_str).map(str::to_owned),
        prefix: section.prefix.clone().unwrap_or_default(),
        ca_files: environment.ca_files.clone(),
        ..AzblobOptions::new(&section.account, &section.container)
    };
    Ok(Arc::new(BucketStore::azblob(options)?))
}
