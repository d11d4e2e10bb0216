//! The store itself.

use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{
    Capabilities, Error, ErrorKind, ImageDigest, Outcome, ReadBack, ReadQuery, Record,
    RegistryCredentials, Result, Store, Stored,
};

use crate::{Attachments, OciOptions};

/// Keeps records in OCI registries.
#[derive(Debug)]
pub struct OciStore {
    _options: OciOptions,
    _credentials: Arc<dyn RegistryCredentials>,
}

fn not_yet() -> Error {
    Error::new(ErrorKind::Internal, "not there yet")
}

impl OciStore {
    /// A store with these options, which asks `credentials` for each repository.
    ///
    /// # Errors
    /// Where an option cannot be used, e.g. a file of certificates cannot be read.
    pub fn new(options: OciOptions, credentials: Arc<dyn RegistryCredentials>) -> Result<Self> {
        Ok(Self { _options: options, _credentials: credentials })
    }

    /// The digest that `NAME[:TAG]` or `NAME@DIGEST` stands for; the image must exist.
    ///
    /// # Errors
    /// Where the reference cannot be read, or the image is not there.
    pub async fn resolve(&self, _reference: &str) -> Result<ImageDigest> {
        Err(not_yet())
    }

    /// The signatures of an image.
    ///
    /// # Errors
    /// Where the registry cannot be reached.
    pub async fn signatures(&self, _image: &ImageDigest) -> Result<Attachments> {
        Err(not_yet())
    }

    /// The attestations of an image.
    ///
    /// # Errors
    /// Where the registry cannot be reached.
    pub async fn attestations(&self, _image: &ImageDigest) -> Result<Attachments> {
        Err(not_yet())
    }
}

#[async_trait]
impl Store for OciStore {
    fn name(&self) -> &str {
        "oci"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { dsse: true, detached: true, unsigned: false }
    }

    async fn put(&self, _record: &Record) -> Result<Outcome> {
        Err(not_yet())
    }
}

#[async_trait]
impl ReadBack for OciStore {
    async fn read_back(&self, _query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        Err(not_yet())
    }
}
