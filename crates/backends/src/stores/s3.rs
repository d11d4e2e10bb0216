//! `s3`: a bucket of Amazon S3, or of what speaks its protocol.

use std::sync::Arc;

use chains_config::{Config, ServiceUrl};
use chains_core::{Result, Store};
use chains_store_gcs::{BucketStore, S3Options};

use crate::Environment;

pub(super) fn build(config: &Config, environment: &Environment) -> Result<Arc<dyn Store>> {
    let section = config.storage.s3.as_ref().ok_or_else(|| super::unset("storage.s3.bucket"))?;
    // Engines made of the same share it, with its connections and the order in which it writes.
    let inputs = (section.clone(), environment.ca_files.clone());
    let store = environment.kept.get_or_make(inputs, |(section, ca_files)| {
        BucketStore::s3(S3Options {
            endpoint: section.endpoint.as_ref().map(ServiceUrl::as_str).map(str::to_owned),
            region: section.region.clone(),
            path_style: section.path_style,
            prefix: section.prefix.clone().unwrap_or_default(),
            ca_files: ca_files.clone(),
            ..S3Options::new(&section.bucket)
        })
    })?;
    Ok(store)
}
