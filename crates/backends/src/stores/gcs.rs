//! `gcs`: a bucket of Google Cloud Storage.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Store};
use chains_store_gcs::{BucketStore, GcsOptions};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = config.storage.gcs.as_ref().ok_or_else(|| super::unset("storage.gcs.bucket"))?;
    let ca_files = environment.ca_files.clone();
    let options = GcsOptions { ca_files, ..GcsOptions::new(&section.bucket) };
    Ok(Arc::new(BucketStore::gcs(options)?))
}
