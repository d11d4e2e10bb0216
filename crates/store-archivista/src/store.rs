//! The store: what the calls of the server make together.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, Store, Stored,
    Target,
};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::api::{Api, Uploaded};
use crate::{ArchivistaOptions, envelope};

/// How many envelopes are downloaded at once for one query.
const PARALLEL: usize = 8;
/// How many envelopes can be uploaded at the same time at most.
const TURNS: usize = 256;

/// Keeps signed statements in Archivista.
///
/// ```
/// use chains_store_archivista::{ArchivistaOptions, ArchivistaStore};
///
/// let store = ArchivistaStore::new(ArchivistaOptions::new("https://archivista.example.com"))?;
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ArchivistaStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Api,
    turns: Vec<Arc<Mutex<()>>>,
}

impl ArchivistaStore {
    /// Speaks to nobody yet: that is for the first record.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where the options cannot be used.
    pub fn new(options: ArchivistaOptions) -> Result<Self> {
        let turns = std::iter::repeat_with(Arc::default).take(TURNS).collect();
        Ok(Self(Arc::new(Inner { api: Api::new(&options)?, turns })))
    }
}

impl Inner {
    async fn keep(&self, what: &str, body: Bytes) -> Result<Outcome> {
        let gitoid = envelope::gitoid(&body);
        let _turn = self.turn(&gitoid).await;
        let (error, is_known) = match self.api.upload(what, body.clone()).await? {
            // The gitoid is a digest of what was sent: there is nothing to believe.
            Uploaded::Now(told) if told == gitoid => {
                return Ok(Outcome::Stored { location: self.api.location(&gitoid) });
            }
            Uploaded::Now(told) => {
                let why = format!(
                    "it keeps {told}, which is not the gitoid {gitoid} of what was sent: see what stands between \
                     Chains and `storage.archivista.url`"
                );
                return Err(Error::new(ErrorKind::Protocol, what).with_source(why));
            }
            Uploaded::Refused { error, is_known } => (error, is_known),
        };
        match self.has(what, &gitoid, &body, is_known).await {
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

    async fn read(&self, what: &str, gitoid: String) -> Result<Option<Stored>> {
        let body = self.api.download(what, &gitoid).await?;
        body.map(|body| envelope::stored(self.api.location(&gitoid), &body)).transpose()
    }

    /// Those who upload the same envelope take turns: the server writes it anew each time, and whoever looked meanwhile
    /// would see half of it.
    async fn turn(&self, gitoid: &str) -> Option<OwnedMutexGuard<()>> {
        let index = usize::from_str_radix(gitoid.get(..4).unwrap_or_default(), 16).unwrap_or(0);
        match self.turns.get(index % TURNS) {
            Some(turn) => Some(Arc::clone(turn).lock_owned().await),
            None => None,
        }
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
        let (address, inner) = (self.0.api.address(), Arc::clone(&self.0));
        let what = format!("uploading {} to {address}", told(&record.target, &record.run));
        let body = envelope::body(record).map_err(|e| e.context(&what))?;
        let failed = |e| Error::new(ErrorKind::Internal, "waiting for an upload").with_source(e);
        // The server goes on with what was sent, whether or not the caller still waits: so its answer is waited for, and
        // the turn kept, by a task of its own.
        let keeping = async move { inner.keep(&what, body).await };
        tokio::spawn(keeping).await.map_err(failed)?
    }
}

#[async_trait]
impl ReadBack for ArchivistaStore {
    /// Everything that speaks of one of the subjects, by gitoid.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) where what is there is no envelope, and what the server fails for.
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let what =
            format!("reading {} from {}", told(query.target, query.run), self.0.api.address());
        let mut gitoids = BTreeSet::new();
        for (algorithm, value) in query.subjects.iter().flat_map(|subject| &subject.digest) {
            gitoids.extend(self.0.api.search(&what, algorithm, value).await?);
        }
        let mut downloads = Vec::new();
        for gitoid in gitoids {
            downloads.push(self.0.read(&what, gitoid));
        }
        let found: Vec<_> = stream::iter(downloads).buffered(PARALLEL).try_collect().await?;
        // A signature of an image that is in an envelope speaks of the image too.
        let of_image = matches!(query.target, Target::Image(_));
        let is_meant = |stored: &Stored| envelope::is_image_signature(&stored.payload) == of_image;
        Ok(found.into_iter().flatten().filter(is_meant).collect())
    }
}

fn told(target: &Target, run: &chains_core::RunRef) -> String {
    match target {
        Target::Run => format!("the statement of {run}"),
        Target::Image(image) => format!("the signature of {image} of {run}"),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use chains_testkit::fixture;

    use super::*;

    #[tokio::test]
    async fn a_gitoid_of_something_else_is_not_believed() {
        let other = "0".repeat(64);
        let answer = format!(r#"{{"gitoid":"{other}"}}"#);
        let app = Router::new().fallback(move || async move { answer });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let store = ArchivistaStore::new(ArchivistaOptions::new(url)).unwrap();
        let error = store.put(&fixture::run_record(&fixture::run("build"))).await.unwrap_err();
        let report = error.report();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{report}");
        assert!(report.contains(&format!("it keeps {other}, which is not the gitoid")), "{report}");
    }
}
