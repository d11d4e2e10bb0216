//! Measuring, as a wrapper around any backend: how long each call took and what came of it.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{
    Capabilities, Earlier, Entry, Error, Outcome, Payload, Record, Result, Signature, Signed,
    Signer, Store, TransparencyLog, VerificationMaterial,
};
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::Stage;

/// Takes measurements. Called on the path of every record: must neither block nor fail.
pub trait Meter: Debug + Send + Sync + 'static {
    /// A call of a backend has ended.
    fn measured(&self, call: &Call<'_>);
}

/// A call of a backend that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Where on the line.
    pub stage: Stage,
    /// The store's or signer's name, or the log's address.
    pub backend: &'a str,
    /// One of a fixed set of words: `stored`, `already_stored`, `on_run`, `skipped` for stores, `ok` for signers
    /// and logs, and for failures [`ErrorKind::as_str`](chains_core::ErrorKind::as_str).
    pub outcome: &'static str,
    /// How long the caller waited.
    pub took: Duration,
    /// Why it failed, where it did.
    pub error: Option<&'a Error>,
}

/// A backend whose calls are measured, each in a span of its own; implements what the backend implements.
///
/// Around [`Resilient`](crate::Resilient) it measures what a record waited for: all attempts and the pauses
/// between them.
#[derive(Debug)]
pub struct Metered<B: ?Sized> {
    meter: Arc<dyn Meter>,
    inner: Arc<B>,
}

impl<B: ?Sized> Metered<B> {
    /// Wraps `inner`.
    pub const fn new(inner: Arc<B>, meter: Arc<dyn Meter>) -> Self {
        Self { meter, inner }
    }

    async fn measure<T>(
        &self,
        stage: Stage,
        backend: &str,
        call: impl Future<Output = Result<T>>,
        word: impl FnOnce(&T) -> &'static str,
    ) -> Result<T> {
        let span = tracing::info_span!(
            "backend",
            otel.name = stage.as_str(),
            stage = stage.as_str(),
            backend,
            outcome = Empty
        );
        let began = Instant::now();
        let result = call.instrument(span.clone()).await;
        let outcome = result.as_ref().map_or_else(|error| error.kind().as_str(), word);
        span.record("outcome", outcome);
        let took = began.elapsed();
        self.meter.measured(&Call { stage, backend, outcome, took, error: result.as_ref().err() });
        result
    }
}

/// The outcome as a label of metrics has it.
const fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Stored { .. } => "stored",
        Outcome::AlreadyStored { .. } => "already_stored",
        Outcome::OnRun { .. } => "on_run",
        Outcome::Skipped(_) => "skipped",
    }
}

#[async_trait]
impl<B: Store + ?Sized> Store for Metered<B> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, record: &Record) -> Result<Outcome> {
        self.measure(Stage::Store, self.name(), self.inner.put(record), word).await
    }
}

#[async_trait]
impl<B: Signer + ?Sized> Signer for Metered<B> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    async fn material(&self) -> Result<Arc<VerificationMaterial>> {
        self.inner.material().await
    }

    fn start(&self) {
        self.inner.start();
    }

    async fn earlier(&self, certificate: &[u8]) -> Result<Option<Earlier>> {
        self.inner.earlier(certificate).await
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature> {
        self.measure(Stage::Sign, self.name(), self.inner.sign(message), |_| "ok").await
    }
}

#[async_trait]
impl<B: TransparencyLog + ?Sized> TransparencyLog for Metered<B> {
    fn url(&self) -> &str {
        self.inner.url()
    }

    async fn append(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
    ) -> Result<Entry> {
        let call = self.inner.append(payload, signed, material);
        self.measure(Stage::Log, self.url(), call, |_| "ok").await
    }

    async fn append_again(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
        timestamps: &[Bytes],
    ) -> Result<Entry> {
        let call = self.inner.append_again(payload, signed, material, timestamps);
        self.measure(Stage::Log, self.url(), call, |_| "ok").await
    }
}
