//! A backend or a format that panics is that one's failure: everything else is done, and it may be tried again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "it is what is tested")]
#![allow(clippy::cloned_ref_to_slice_refs, reason = "the clones become trait objects")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chains_core::{
    Capabilities, ErrorKind, Format, Outcome, Payload, Progress, Record, Result, Store, Target,
};
use chains_engine::{Engine, Plan, Policy, Report, Resilient, Route, Stage};
use chains_formats::Options;
use chains_tekton::Run;
use chains_testkit::fake::{FakeSigner, MemoryStore};

/// Panics so often, then keeps what it is given.
#[derive(Debug)]
struct PanickingStore {
    inner: MemoryStore,
    calls: AtomicUsize,
    panics: usize,
}

#[async_trait]
impl Store for PanickingStore {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, record: &Record) -> Result<Outcome> {
        assert!(self.calls.fetch_add(1, Ordering::SeqCst) >= self.panics, "sesame");
        self.inner.put(record).await
    }
}

/// Knows nothing but panic.
#[derive(Debug)]
struct PanickingFormat;

impl Format<Run> for PanickingFormat {
    fn name(&self) -> &'static str {
        "panicking"
    }

    fn payload(&self, _: &Run, _: &Target) -> Result<Option<Payload>> {
        panic!("sesame");
    }
}

const NO_RETRIES: Policy =
    Policy { timeout: Duration::from_secs(5), retries: 0, pause: Duration::ZERO };

fn run() -> Run {
    let json = format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun",
            "metadata":{{"name":"build","namespace":"ci","uid":"7f7e-1"}},
            "status":{{"conditions":[{{"type":"Succeeded","status":"True"}}],
            "results":[{{"name":"IMAGES","value":"a.io/app@sha256:{:064x}"}}]}}}}"#,
        1
    );
    Run::from_json(json.as_bytes()).unwrap()
}

async fn process(statements: Arc<dyn Format<Run>>, stores: &[Arc<dyn Store>]) -> Report {
    let route = |format| Route {
        format,
        signer: Some(Arc::new(FakeSigner::new(1)) as _),
        stores: stores.to_vec(),
    };
    let images = chains_formats::by_name("simplesigning", &Options::default()).unwrap();
    let plan = Plan {
        taskrun: route(Arc::clone(&statements)),
        pipelinerun: route(statements),
        image: route(images),
        pipelinerun_images: false,
        log: None,
    };
    Engine::new(plan).unwrap().process(&run(), &Progress::default()).await
}

fn slsa() -> Arc<dyn Format<Run>> {
    chains_formats::by_name("slsa/v1", &Options::default()).unwrap()
}

fn panicking(panics: usize, policy: Policy) -> Arc<dyn Store> {
    let inner = MemoryStore::new("panicking");
    let store = PanickingStore { inner, calls: AtomicUsize::new(0), panics };
    Arc::new(Resilient::new(Arc::new(store) as Arc<dyn Store>, policy))
}

#[tokio::test]
async fn the_other_stores_get_what_one_panics_at() {
    let good = Arc::new(MemoryStore::new("good"));
    let report = process(slsa(), &[good.clone(), panicking(usize::MAX, NO_RETRIES)]).await;
    assert!(!report.is_done());
    assert_eq!(good.records().len(), 2);
    let failures: Vec<_> = report.failures().collect();
    assert_eq!(failures.len(), 2);
    for failure in failures {
        assert_eq!((failure.stage, failure.store), (Stage::Store, Some("panicking")));
        let report = failure.error.report();
        assert_eq!(failure.error.kind(), ErrorKind::Internal, "{report}");
        assert!(failure.error.is_retryable() && !report.contains("sesame"), "{report}");
        assert!(report.starts_with("storing ") && report.contains("please report it"), "{report}");
    }
}

#[tokio::test]
async fn what_panicked_is_tried_again() {
    let policy = Policy { retries: 2, ..NO_RETRIES };
    let report = process(slsa(), &[panicking(2, policy)]).await;
    assert!(report.is_done(), "{:?}", report.failures().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_other_targets_are_signed_where_one_panics() {
    let good = Arc::new(MemoryStore::new("good"));
    let report = process(Arc::new(PanickingFormat), &[good.clone()]).await;
    let failures: Vec<_> = report.failures().collect();
    assert_eq!(failures.len(), 1);
    assert_eq!(
        (failures[0].stage, failures[0].error.kind()),
        (Stage::Payload, ErrorKind::Internal)
    );
    assert!(failures[0].error.report().starts_with("working on "));
    assert_eq!(good.records().len(), 1, "the image");
}
