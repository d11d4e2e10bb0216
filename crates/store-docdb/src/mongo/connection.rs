//! The client, replaced when the connection string changes.
//!
//! The file is looked at when it is needed and was not for a moment. What is under way keeps the client that it began
//! with; the driver closes that one's connections when the last of them is done. A file that is away for a moment, or
//! holds something that is no connection string, changes nothing as long as there is a client.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chains_core::{Error, ErrorKind, Result, Secret};
use mongodb::Client;
use mongodb::options::ClientOptions;

use super::fault;
use super::source::{Source, without_secrets};
use crate::{DocDbOptions, Limits};

/// Makes clients of the newest connection string.
#[derive(Debug)]
pub(super) struct Connection {
    source: Source,
    limits: Limits,
    held: Mutex<Option<Held>>,
    /// Held by the one who looks whether the string has changed.
    looking: tokio::sync::Mutex<()>,
}

struct Held {
    open: Arc<Open>,
    looked: Instant,
}

/// A client and what it was made of.
struct Open {
    url: Secret,
    client: Client,
}

/// A client for one operation.
#[derive(Debug)]
pub(super) struct Lease(Arc<Open>);

impl Lease {
    pub(super) fn client(&self) -> &Client {
        &self.0.client
    }
}

impl Connection {
    pub(super) fn new(options: &DocDbOptions) -> Result<Self> {
        Ok(Self {
            source: Source::new(options.mongo.as_ref())?,
            limits: options.limits,
            held: Mutex::new(None),
            looking: tokio::sync::Mutex::default(),
        })
    }

    /// Whether another connection string may be there at the next attempt.
    pub(super) const fn may_change(&self) -> bool {
        self.source.may_change()
    }

    /// What a text says, without user and password.
    pub(super) fn redacted(&self, text: &str) -> String {
        match self.open() {
            Some(open) => without_secrets(text, &open.url),
            None => text.to_owned(),
        }
    }

    /// The client of the newest connection string.
    ///
    /// # Errors
    /// Where there is none yet and none can be made.
    pub(super) async fn lease(&self, what: &str) -> Result<Lease> {
        if let Some(open) = self.recent() {
            return Ok(Lease(open));
        }
        // While one looks, the others go on with what there is.
        let _only_one = match (self.looking.try_lock(), self.open()) {
            (Ok(only_one), _) => only_one,
            (Err(_), Some(open)) => return Ok(Lease(open)),
            (Err(_), None) => self.looking.lock().await,
        };
        if let Some(open) = self.recent() {
            return Ok(Lease(open));
        }
        let open = self.look().await.map_err(|e| e.context(what))?;
        Ok(Lease(open))
    }

    /// A client other than this one, whose credentials were refused; `None` where the connection string is the same.
    pub(super) async fn renewed(&self, what: &str, refused: &Lease) -> Option<Lease> {
        if !self.source.may_change() {
            return None;
        }
        let _only_one = self.looking.lock().await;
        let open = self.look().await.ok()?;
        if Arc::ptr_eq(&open, &refused.0) {
            return None;
        }
        tracing::info!(what, "credentials were refused, those that are there now are tried");
        Some(Lease(open))
    }

    /// Looks at the source, and makes a new client if the string is another one.
    async fn look(&self) -> Result<Arc<Open>> {
        let before = self.open();
        let opened = match (self.source.read(), &before) {
            (Ok(url), Some(open)) if open.url == url => Ok(Arc::clone(open)),
            (Ok(url), _) => open(url, &self.limits).await.map(Arc::new),
            (Err(error), _) => Err(error),
        };
        let open = match (opened, before) {
            (Ok(open), before) => {
                if before.is_some_and(|before| !Arc::ptr_eq(&before, &open)) {
                    tracing::info!(
                        "MongoDB's connection string has changed and is used from now on"
                    );
                }
                open
            }
            (Err(error), Some(before)) => {
                tracing::warn!(error = %error.report(), "MongoDB's former connection string is used on");
                before
            }
            (Err(error), None) => return Err(error.with_retryable(self.source.may_change())),
        };
        *self.state() = Some(Held { open: Arc::clone(&open), looked: Instant::now() });
        Ok(open)
    }

    fn open(&self) -> Option<Arc<Open>> {
        self.state().as_ref().map(|held| Arc::clone(&held.open))
    }

    /// What needs no look: it cannot change, or was looked at a moment ago.
    fn recent(&self) -> Option<Arc<Open>> {
        let state = self.state();
        let held = state.as_ref()?;
        let is_recent = !self.source.may_change() || held.looked.elapsed() < self.limits.refresh;
        is_recent.then(|| Arc::clone(&held.open))
    }

    fn state(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks SRV records up where the string asks for it, and connects to nothing.
async fn open(url: Secret, limits: &Limits) -> Result<Open> {
    let what = "reading MongoDB's connection string";
    let told = |error: &mongodb::error::Error| {
        let kind = fault::kind(error).unwrap_or(ErrorKind::Configuration);
        let why = without_secrets(&error.kind.to_string(), &url);
        Error::new(kind, what).with_source(why)
    };
    let parsed = tokio::time::timeout(limits.request_timeout, ClientOptions::parse(url.expose()));
    let mut options = match parsed.await {
        Ok(parsed) => parsed.map_err(|e| told(&e))?,
        Err(_) => {
            let why = "the SRV records of its host could not be looked up in time";
            return Err(Error::new(ErrorKind::Timeout, what).with_source(why));
        }
    };
    bound(&mut options, limits);
    let client = Client::with_options(options).map_err(|e| told(&e))?;
    Ok(Open { url, client })
}

/// What the string does not say itself.
fn bound(options: &mut ClientOptions, limits: &Limits) {
    options.app_name.get_or_insert_with(|| "chains".to_owned());
    options.max_pool_size.get_or_insert(limits.concurrency.max(1));
    options.connect_timeout.get_or_insert(limits.connect_timeout);
    options.server_selection_timeout.get_or_insert(limits.connect_timeout * 2);
    options.max_idle_time.get_or_insert(Duration::from_secs(300));
}

/// The client's own would show hosts and options, and more the day the driver shows more.
impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("url", &self.url).finish_non_exhaustive()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("open", &self.open).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Collection, MongoServer};

    fn connection(server: MongoServer, refresh: Duration) -> Connection {
        let collection = Collection::parse("mongo://db/runs?id_field=name").unwrap();
        let mut options = DocDbOptions::new(collection);
        options.mongo = Some(server);
        options.limits.refresh = refresh;
        Connection::new(&options).unwrap()
    }

    fn url(lease: &Lease) -> &str {
        lease.0.url.expose()
    }

    #[tokio::test]
    async fn another_string_makes_another_client_and_the_old_one_stays_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("url");
        let connection = connection(MongoServer::Path(path.clone()), Duration::ZERO);
        let error = connection.lease("keeping x").await.unwrap_err();
        assert!(error.is_retryable() && error.report().starts_with("keeping x: reading MongoDB"));

        std::fs::write(&path, "mongodb://u:one@127.0.0.1:9/\n").unwrap();
        let first = connection.lease("x").await.unwrap();
        let same = connection.lease("x").await.unwrap();
        assert!(Arc::ptr_eq(&first.0, &same.0));
        assert!(connection.renewed("x", &first).await.is_none());

        std::fs::write(&path, "mongodb://u:two@127.0.0.1:9/").unwrap();
        let second = connection.lease("x").await.unwrap();
        assert_eq!((url(&first), url(&second)).0, "mongodb://u:one@127.0.0.1:9/");
        assert_eq!(url(&second), "mongodb://u:two@127.0.0.1:9/");
        assert!(connection.renewed("x", &first).await.is_some());
        assert_eq!(connection.redacted("password two"), "password [redacted]");

        std::fs::write(&path, "mongodb:/").unwrap();
        assert_eq!(url(&connection.lease("x").await.unwrap()), url(&second));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(url(&connection.lease("x").await.unwrap()), url(&second));
        assert!(!format!("{connection:?}").contains("127.0.0.1"));
    }

    #[tokio::test]
    async fn refused_credentials_are_looked_for_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("url");
        std::fs::write(&path, "mongodb://u:one@127.0.0.1:9/").unwrap();
        let connection = connection(MongoServer::Path(path.clone()), Duration::from_secs(3600));
        let first = connection.lease("x").await.unwrap();
        std::fs::write(&path, "mongodb://u:two@127.0.0.1:9/").unwrap();
        assert_eq!(url(&connection.lease("x").await.unwrap()), url(&first));
        let second = connection.renewed("x", &first).await.unwrap();
        assert_eq!(url(&second), "mongodb://u:two@127.0.0.1:9/");
        assert_eq!(url(&connection.lease("x").await.unwrap()), url(&second));
    }

    #[tokio::test]
    async fn the_string_is_stronger_than_our_bounds() {
        let limits = Limits::default();
        let parse = |text: &'static str| async move {
            let mut options = ClientOptions::parse(text).await.unwrap();
            bound(&mut options, &Limits::default());
            (options.max_pool_size, options.connect_timeout)
        };
        let ours = (Some(limits.concurrency), Some(limits.connect_timeout));
        assert_eq!(parse("mongodb://h/").await, ours);
        let theirs = (Some(3), Some(Duration::from_millis(900)));
        assert_eq!(parse("mongodb://h/?maxPoolSize=3&connectTimeoutMS=900").await, theirs);
    }
}
