//! What each database does for the store.

use std::fmt::Debug;

use async_trait::async_trait;
use chains_core::Result;

use crate::document::{Document, Found};

/// One collection of one database. `what` is what is attempted, for errors.
#[async_trait]
pub(crate) trait Provider: Debug + Send + Sync {
    /// Writes the document if there is none of its name, and tells whether it did.
    async fn create(&self, what: &str, document: &Document) -> Result<bool>;

    /// The document of this name, as it is now: never as it was.
    async fn find(&self, what: &str, name: &str) -> Result<Option<Found>>;

    /// Writes the document, whatever is there.
    async fn replace(&self, what: &str, document: &Document) -> Result<()>;
}
