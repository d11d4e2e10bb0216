//! Stores that keep their contract in memory, fail a number of times, or wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, ReadBack, ReadQuery, Record, Result, Store, Stored,
};

/// Keeps records in memory.
#[derive(Debug)]
pub struct MemoryStore {
    name: String,
    capabilities: Capabilities,
    records: Mutex<BTreeMap<String, Record>>,
}

impl MemoryStore {
    /// A store that can hold everything.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::with(name, Capabilities { dsse: true, detached: true, unsigned: true })
    }

    /// A store that can hold what `capabilities` say.
    #[must_use]
    pub fn with(name: &str, capabilities: Capabilities) -> Self {
        Self { name: name.to_owned(), capabilities, records: Mutex::default() }
    }

    /// What is kept, in the order of the full keys.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.locked(|records| records.values().cloned().collect())
    }

    fn locked<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Record>) -> T) -> T {
        work(&mut self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn put(&self, record: &Record) -> Result<Outcome> {
        if !crate::store::holds(self.capabilities, record) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the store {} cannot hold {}", self.name, record.key.full),
            ));
        }
        let location = format!("memory:{}", record.key.full);
        let before = self.locked(|kept| kept.insert(record.key.full.clone(), record.clone()));
        Ok(match before {
            Some(before) if before == *record => Outcome::AlreadyStored { location },
            _ => Outcome::Stored { location },
        })
    }
}

#[async_trait]
impl ReadBack for MemoryStore {
    async fn read_back(&self, query: ReadQuery<'_>) -> Result<Vec<Stored>> {
        let record = self.locked(|records| records.get(&query.key.full).cloned());
        let stored = |record: Record| Stored {
            location: format!("memory:{}", record.key.full),
            payload: record.payload.bytes,
            signed: record.signed,
            certificate: record.material.as_ref().and_then(|m| m.certificate.clone()),
            chain: record.material.as_ref().and_then(|m| m.chain.clone()),
        };
        Ok(record.map(stored).into_iter().collect())
    }
}

/// Fails a number of times, then does what the store inside does.
#[derive(Debug)]
pub struct FailingStore {
    inner: Arc<dyn Store>,
    kind: ErrorKind,
    left: AtomicUsize,
    calls: AtomicUsize,
}

impl FailingStore {
    /// Fails `times` with an error of `kind`; [`usize::MAX`] is for ever.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, times: usize, kind: ErrorKind) -> Self {
        Self { inner, kind, left: AtomicUsize::new(times), calls: AtomicUsize::new(0) }
    }

    /// How often [`Store::put`] was called.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for FailingStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, record: &Record) -> Result<Outcome> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let one_less = |left: usize| match left {
            0 => None,
            usize::MAX => Some(usize::MAX),
            left => Some(left - 1),
        };
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            let why = format!("keeping {}", record.key.full);
            return Err(Error::new(self.kind, why).with_source("failing on purpose"));
        }
        self.inner.put(record).await
    }
}

/// Waits, then does what the store inside does.
#[derive(Debug)]
pub struct SlowStore {
    inner: Arc<dyn Store>,
    delay: Duration,
}

impl SlowStore {
    /// Waits `delay` before each record; needs tokio's timer.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, delay: Duration) -> Self {
        Self { inner, delay }
    }
}

#[async_trait]
impl Store for SlowStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, record: &Record) -> Result<Outcome> {
        tokio::time::sleep(self.delay).await;
        self.inner.put(record).await
    }
}
