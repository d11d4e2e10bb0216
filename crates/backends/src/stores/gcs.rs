//! `gcs`: a bucket of Google Cloud Storage.

use std::sync::Arc;

use chains_config::Config;
use chains_core::{Result, Store};
use chains_store_gcs::{BucketStore, GcsOptions};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = config.storage.gcs.as_ref().ok_or_else(|| super::unset("storage.gcs.bucket"))?;
    // Engines made of the same share it, with its connections and the order in which it writes.
    let inputs = (section.clone(), environment.ca_files.clone());
    let store = environment.kept.get_or_make(inputs, |(section, ca_files)| {
        let ca_files = ca_files.clone();
        BucketStore::gcs(GcsOptions { ca_files, ..GcsOptions::new(&section.bucket) })
    })?;
    Ok(store)
}
