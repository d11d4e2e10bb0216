//! The store: what the calls of the server make together.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, Store, Stored,
    Target,
};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::api::{Api, Uploaded};
use crate::{ArchivistaOptions, envelope};

/// How many envelopes are downloaded at once for one query.
const PARALLEL: usize = 8;

/// Keeps signed statements in Archivista.
///
/// ```
/// use chains_store_archivista::{ArchivistaOptions, ArchivistaStore};
///
/// let store = ArchivistaStore::new(ArchivistaOptions::new("https://archivista.example.com"))?;
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ArchivistaStore {
    api: Api,
}

impl ArchivistaStore {
    /// Speaks to nobody yet: that is for the first record.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where the options cannot be used.
    pub fn new(options: ArchivistaOptions) -> Result<Self> {
        Ok(Self { api: Api::new(&options)? })
    }

    /// Whether the server has this very envelope: in its index, where it has one, and as it was sent.
    async fn has(&self, what: &str, gitoid: &str, body: &Bytes, is_known: bool) -> Result<bool> {
        // The envelope is written before the index is: alone it proves nothing.
        let is_indexed = self.api.knows(what, gitoid).await?;
        if !is_indexed.unwrap_or(is_known) {
            return Ok(false);
        }
        match self.api.download(what, gitoid).await? {
            Some(kept) => Ok(kept == *body),
            None => {
                let why = format!(
                    "it knows {gitoid} and does not give it out: see whether it reaches its object store \
                     (ARCHIVISTA_STORAGE_BACKEND)"
                );
                Err(Error::new(ErrorKind::Unavailable, what).with_source(why))
            }
        }
    }
}

#[async_trait]
impl Store for ArchivistaStore {
    fn name(&self) -> &str {
        "archivista"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { dsse: true, detached: false, unsigned: false }
    }

    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) where the record is not in an envelope,
    /// [`Unauthorized`](ErrorKind::Unauthorized) and [`NotFound`](ErrorKind::NotFound) where the server does not let us in
    /// or is none, [`Unavailable`](ErrorKind::Unavailable) and [`Timeout`](ErrorKind::Timeout) where it is in trouble.
    async fn put(&self, record: &Record) -> Result<Outcome> {
        let what =
            format!("uploading {} to {}", told(&record.target, &record.run), self.api.address());
        let body = envelope::body(record).map_err(|e| e.context(&what))?;
        let (error, is_known) = match self.api.upload(&what, body.clone()).await? {
            Uploaded::Now(gitoid) => {
                return Ok(Outcome::Stored { location: self.api.location(&gitoid) });
            }
            Uploaded::Refused { error, is_known } => (error, is_known),
        };
        let gitoid = envelope::gitoid(&body);
        match self.has(&what, &gitoid, &body, is_known).await {
            Ok(true) => Ok(Outcome::AlreadyStored { location: self.api.location(&gitoid) }),
            Ok(false) => Err(error),
            // Whatever keeps it from looking is most likely what kept it from storing.
            Err(other) => {
                tracing::debug!(
                    other = other.report(),
                    "could not tell whether it is there already"
                );
                Err(if is_known { other } else { error })
            }
        }
    }
}

#[async_trait]
impl ReadBack for ArchivistaStore {
    /// Everything that speaks of one of the subjects, by gitoid.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) where what is there is no envelope, and what the server fails for.
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        if matches!(query.target, Target::Image(_)) {
            // Their signatures are in no envelope, so they are not there.
            return Ok(Vec::new());
        }
        let what = format!("reading {} from {}", told(query.target, query.run), self.api.address());
        let mut gitoids = BTreeSet::new();
        for (algorithm, value) in query.subjects.iter().flat_map(|subject| &subject.digest) {
            gitoids.extend(self.api.search(&what, algorithm, value).await?);
        }
        let mut downloads = Vec::new();
        for gitoid in gitoids {
            downloads.push(self.read(&what, gitoid));
        }
        let found: Vec<_> = stream::iter(downloads).buffered(PARALLEL).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl ArchivistaStore {
    async fn read(&self, what: &str, gitoid: String) -> Result<Option<Stored>> {
        let body = self.api.download(what, &gitoid).await?;
        body.map(|body| envelope::stored(self.api.location(&gitoid), &body)).transpose()
    }
}

fn told(target: &Target, run: &chains_core::RunRef) -> String {
    match target {
        Target::Run => format!("the statement of {run}"),
        Target::Image(image) => format!("the signature of {image} of {run}"),
    }
}
