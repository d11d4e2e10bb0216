//! What the store asks of a bucket, whoever runs it.

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::Result;

/// How many names under one prefix are taken in: a record has four objects, and few other sets beside.
pub(crate) const MAX_LISTED: usize = 4000;

/// What became of an object that was to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creation {
    /// It was not there, and is now.
    Created,
    /// One of this name is there, and was left alone.
    Exists,
}

/// A bucket. Every error names what was attempted on which object, and what to do.
#[async_trait]
pub(crate) trait Objects: Debug + Send + Sync + 'static {
    /// Whether it is known that [`create`](Self::create) never replaces an object.
    fn holds_to_preconditions(&self) -> bool;

    /// Where an object is, as the tools of the service write it.
    fn url(&self, name: &str) -> String;

    /// The object's content.
    async fn get(&self, name: &str) -> Result<Option<Bytes>>;

    /// Creates the object unless there is one.
    async fn create(
        &self,
        name: &str,
        media_type: &'static str,
        content: Bytes,
    ) -> Result<Creation>;

    /// The names that begin so, in their order, at most [`MAX_LISTED`].
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;
}
