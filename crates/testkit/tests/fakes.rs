//! The fakes keep the contracts that they stand for.

use std::sync::Arc;

use chains_core::{Capabilities, ErrorKind, Store};
use chains_testkit::fake::{FailingStore, FakeLog, FakeSigner, MemoryStore};
use chains_testkit::signer::Determinism;
use chains_testkit::{fixture, log, signer, store};

#[tokio::test]
async fn fake_signer() {
    signer::suite(Arc::new(FakeSigner::new(1)), Determinism::Deterministic).await;
}

#[tokio::test]
async fn fake_log() {
    log::suite(Arc::new(FakeLog::new("https://log.example.com"))).await;
}

#[tokio::test]
async fn memory_store() {
    store::read_back_suite(Arc::new(MemoryStore::new("memory"))).await;
}

#[tokio::test]
async fn memory_store_of_envelopes_only() {
    let capabilities = Capabilities { dsse: true, detached: false, unsigned: false };
    store::read_back_suite(Arc::new(MemoryStore::with("memory", capabilities))).await;
}

#[tokio::test]
async fn failing_store_fails_as_often_as_told() {
    let failing = FailingStore::new(Arc::new(MemoryStore::new("m")), 2, ErrorKind::Unavailable);
    let record = fixture::run_record(&fixture::run("failing"));
    for _ in 0..2 {
        let error = failing.put(&record).await.unwrap_err();
        assert!(error.is_retryable());
    }
    failing.put(&record).await.unwrap();
    assert_eq!(failing.calls(), 3);
}
