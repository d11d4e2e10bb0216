//! Timeouts and retries, as wrappers around any backend.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use chains_core::{
    Capabilities, Earlier, Entry, Error, ErrorKind, Outcome, Payload, ReadBack, ReadQuery, Record,
    Result, Signature, Signed, Signer, Store, Stored, TransparencyLog, VerificationMaterial,
};

use crate::panics::caught;

/// How long one attempt may take, and how many there are.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Longest duration of one attempt.
    pub timeout: Duration,
    /// Attempts that follow a failed one which was [retryable](Error::is_retryable): 3 means 3.
    pub retries: usize,
    /// Pause before the first retry; doubled, with jitter, before each further one.
    pub pause: Duration,
}

impl Default for Policy {
    /// Two minutes an attempt, three retries, from a quarter of a second.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(120), retries: 3, pause: Duration::from_millis(250) }
    }
}

impl Policy {
    /// Runs `attempt` until it succeeds, fails for good, or the retries are used up.
    ///
    /// # Errors
    /// The last attempt's; [`ErrorKind::Timeout`] naming `what` where it took too long, [`ErrorKind::Internal`] where
    /// it panicked.
    pub async fn run<T, F, A>(&self, what: &str, attempt: A) -> Result<T>
    where
        F: Future<Output = Result<T>>,
        A: Fn() -> F,
    {
        let timed = || async {
            let attempt = caught(|| what.to_owned(), async { attempt().await });
            match tokio::time::timeout(self.timeout, attempt).await {
                Ok(result) => result,
                Err(_) => Err(Error::new(
                    ErrorKind::Timeout,
                    format!("{what}: no answer within {:?}", self.timeout),
                )),
            }
        };
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.pause)
            .with_max_times(self.retries);
        timed
            .retry(pauses)
            .when(Error::is_retryable)
            .notify(|error, pause| {
                tracing::warn!(what, error = %error.report(), ?pause, "failed, trying again");
            })
            .await
    }
}

/// A backend with timeouts and retries; implements what the backend implements.
#[derive(Debug)]
pub struct Resilient<B: ?Sized> {
    policy: Policy,
    limit: Option<Duration>,
    inner: Arc<B>,
}

impl<B: ?Sized> Resilient<B> {
    /// Wraps `inner`.
    pub const fn new(inner: Arc<B>, policy: Policy) -> Self {
        Self { policy, limit: None, inner }
    }

    /// Gives up a call that took so long with all its attempts: whoever has to get on without its answer still can.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    async fn run<T, F, A>(&self, what: &str, attempt: A) -> Result<T>
    where
        F: Future<Output = Result<T>>,
        A: Fn() -> F,
    {
        let run = self.policy.run(what, attempt);
        let Some(limit) = self.limit else { return run.await };
        tokio::time::timeout(limit, run).await.unwrap_or_else(|_| {
            let why = format!("{what}: no answer within {limit:?}, with all attempts");
            Err(Error::new(ErrorKind::Timeout, why))
        })
    }
}

#[async_trait]
impl<B: Store + ?Sized> Store for Resilient<B> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, record: &Record) -> Result<Outcome> {
        let what = format!("storing {} in `{}`", record.key.full, self.name());
        self.run(&what, || self.inner.put(record)).await
    }
}

#[async_trait]
impl<B: ReadBack + ?Sized> ReadBack for Resilient<B> {
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let what = format!("reading {} from `{}`", query.key.full, self.name());
        self.run(&what, || self.inner.read_back(query)).await
    }
}

#[async_trait]
impl<B: Signer + ?Sized> Signer for Resilient<B> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn material(&self) -> Result<Arc<VerificationMaterial>> {
        let what = format!("fetching the public key of signer `{}`", self.name());
        self.run(&what, || self.inner.material()).await
    }

    fn start(&self) {
        self.inner.start();
    }

    async fn earlier(&self, certificate: &[u8]) -> Result<Option<Earlier>> {
        self.inner.earlier(certificate).await
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature> {
        let what = format!("signing with `{}`", self.name());
        self.run(&what, || self.inner.sign(message)).await
    }
}

#[async_trait]
impl<B: TransparencyLog + ?Sized> TransparencyLog for Resilient<B> {
    fn url(&self) -> &str {
        self.inner.url()
    }

    async fn append(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
    ) -> Result<Entry> {
        let what = format!("logging in {}", self.url());
        self.run(&what, || self.inner.append(payload, signed, material)).await
    }

    async fn append_again(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
        timestamps: &[Bytes],
    ) -> Result<Entry> {
        let what = format!("logging in {}", self.url());
        let again = || self.inner.append_again(payload, signed, material, timestamps);
        self.run(&what, again).await
    }
}
