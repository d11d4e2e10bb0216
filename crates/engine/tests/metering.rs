//! What is measured of a store, a signer and a log.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::{Arc, Mutex};

use chains_core::{ErrorKind, Signer, Store};
use chains_engine::{Call, Meter, Metered, Policy, Resilient, Stage};
use chains_testkit::fake::{FailingStore, FakeLog, FakeSigner, MemoryStore};
use chains_testkit::signer::Determinism;
use chains_testkit::{fixture, log, signer, store};

/// Keeps what it was told, without the durations.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<(Stage, String, &'static str)>>);

impl Meter for Told {
    fn measured(&self, call: &Call<'_>) {
        let failed = call.error.map(|error| error.kind().as_str());
        assert!(failed.is_none_or(|kind| kind == call.outcome), "{call:?}");
        self.0.lock().unwrap().push((call.stage, call.backend.to_owned(), call.outcome));
    }
}

impl Told {
    #[track_caller]
    fn check(&self, stage: Stage, backend: &str, outcomes: &[&'static str]) {
        let expect: Vec<_> =
            outcomes.iter().map(|word| (stage, backend.to_owned(), *word)).collect();
        assert_eq!(*self.0.lock().unwrap(), expect);
    }
}

#[tokio::test]
async fn every_outcome_of_a_store_has_its_word() {
    let told = Arc::new(Told::default());
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new("m"));
    let failing = Arc::new(FailingStore::new(memory, 1, ErrorKind::TooLarge));
    let store = Metered::new(failing, told.clone());
    let record = fixture::run_record(&fixture::run("build"));
    store.put(&record).await.unwrap_err();
    store.put(&record).await.unwrap();
    store.put(&record).await.unwrap();
    told.check(Stage::Store, "m", &["too_large", "stored", "already_stored"]);
}

#[tokio::test(start_paused = true)]
async fn retries_are_part_of_one_measurement() {
    let told = Arc::new(Told::default());
    let memory: Arc<dyn Store> = Arc::new(MemoryStore::new("m"));
    let failing = Arc::new(FailingStore::new(memory, 2, ErrorKind::Unavailable));
    let resilient = Arc::new(Resilient::new(failing.clone(), Policy::default()));
    let store = Metered::new(resilient, told.clone());
    store.put(&fixture::run_record(&fixture::run("build"))).await.unwrap();
    assert_eq!(failing.calls(), 3);
    told.check(Stage::Store, "m", &["stored"]);
}

#[tokio::test]
async fn a_signer_is_measured_when_it_signs() {
    let told = Arc::new(Told::default());
    let signer = Metered::new(Arc::new(FakeSigner::new(1)), told.clone());
    signer.material().await.unwrap();
    signer.sign(b"message").await.unwrap();
    told.check(Stage::Sign, signer.name(), &["ok"]);
}

#[tokio::test]
async fn measured_backends_keep_their_contracts() {
    let told = Arc::new(Told::default());
    store::suite(Arc::new(Metered::new(Arc::new(MemoryStore::new("m")), told.clone()))).await;
    let signer = Arc::new(Metered::new(Arc::new(FakeSigner::new(2)), told.clone()));
    signer::suite(signer, Determinism::Deterministic).await;
    log::suite(Arc::new(Metered::new(Arc::new(FakeLog::new("https://log")), told.clone()))).await;
    let told = told.0.lock().unwrap();
    assert!(told.contains(&(Stage::Log, "https://log".to_owned(), "ok")));
}
