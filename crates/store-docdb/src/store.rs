//! The store, over one of the databases.

use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, RunRef, Store,
    Stored, Target,
};
use tokio::sync::Semaphore;

use crate::document::{self, Document};
use crate::provider::Provider;
use crate::{Collection, DocDbOptions};

/// Keeps records in a collection of MongoDB or Firestore, or in a table of DynamoDB.
///
/// ```
/// use chains_store_docdb::{Collection, DocDbOptions, DocDbStore};
///
/// let collection = Collection::parse("dynamodb://signed?partition_key=Name&region=eu-central-1")?;
/// let store = DocDbStore::new(DocDbOptions::new(collection))?;
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug)]
pub struct DocDbStore {
    place: String,
    provider: Arc<dyn Provider>,
    turns: Semaphore,
}

impl DocDbStore {
    /// Connects to nothing yet: that is for the first record.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where the options cannot be used or the database is not compiled in.
    pub fn new(options: DocDbOptions) -> Result<Self> {
        let place = options.collection.to_string();
        let turns = Semaphore::new(usize::try_from(options.limits.concurrency.max(1)).unwrap_or(1));
        Ok(Self { place, provider: provider(&options)?, turns })
    }

    fn location(&self, name: &str) -> String {
        format!("{}/{name}", self.place)
    }

    async fn turn(&self, what: &str) -> Result<tokio::sync::SemaphorePermit<'_>> {
        self.turns.acquire().await.map_err(|e| Error::new(ErrorKind::Internal, what).with_source(e))
    }
}

fn provider(options: &DocDbOptions) -> Result<Arc<dyn Provider>> {
    match &options.collection {
        #[cfg(feature = "mongo")]
        Collection::Mongo(collection) => {
            Ok(Arc::new(crate::mongo::Mongo::new(collection, options)?))
        }
        #[cfg(feature = "dynamodb")]
        Collection::DynamoDb(table) => {
            Ok(Arc::new(crate::dynamodb::DynamoDb::new(table, options)?))
        }
        #[cfg(feature = "firestore")]
        Collection::Firestore(collection) => {
            Ok(Arc::new(crate::firestore::Firestore::new(collection, options)?))
        }
        #[allow(unreachable_patterns, reason = "reached where not every database is compiled in")]
        other => {
            let why = "this database is not built into this program";
            Err(Error::new(ErrorKind::Configuration, format!("using {other}")).with_source(why))
        }
    }
}

/// What is attempted, with the run: whoever reads the error knows no other name.
fn what(doing: &str, target: &Target, run: &RunRef, location: &str) -> String {
    match target {
        Target::Run => format!("{doing} {run} as {location}"),
        Target::Image(image) => format!("{doing} {image} of {run} as {location}"),
    }
}

#[async_trait]
impl Store for DocDbStore {
    fn name(&self) -> &str {
        "docdb"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { dsse: true, detached: true, unsigned: true }
    }

    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) where the document is over the database's limit, and what the database
    /// refuses for.
    async fn put(&self, record: &Record) -> Result<Outcome> {
        let location = self.location(&record.key.short);
        let what = what("keeping", &record.target, &record.run, &location);
        let document = Document::of(record).map_err(|e| e.context(&what))?;
        let _turn = self.turn(&what).await?;
        if self.provider.create(&what, &document).await? {
            return Ok(Outcome::Stored { location });
        }
        let found = self.provider.find(&what, &document.name).await?;
        if found.is_some_and(|found| document.is(&found)) {
            return Ok(Outcome::AlreadyStored { location });
        }
        self.provider.replace(&what, &document).await?;
        tracing::info!(location, run = %record.run, "another signature was there and is replaced");
        Ok(Outcome::Stored { location })
    }
}

#[async_trait]
impl ReadBack for DocDbStore {
    /// One record at most: the document of the short key.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) where the document is not one that Chains writes, and what the
    /// database refuses for.
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let location = self.location(&query.key.short);
        let what = what("reading", query.target, query.run, &location);
        document::check_name(&query.key.short).map_err(|e| e.context(&what))?;
        let _turn = self.turn(&what).await?;
        match self.provider.find(&what, &query.key.short).await? {
            Some(found) => Ok(vec![found.into_stored(location)?]),
            None => Ok(Vec::new()),
        }
    }
}
