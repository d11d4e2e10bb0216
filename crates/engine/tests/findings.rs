//! What must not be mistaken: skipped for stored, one image's record for another's, running for complete.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{
    Capabilities, Error, ErrorKind, Outcome, Progress, Record, Result, Store, annotations,
};
use chains_engine::{Engine, Plan, Policy, Resilient, Route};
use chains_formats::Options;
use chains_store_tekton::TektonStore;
use chains_tekton::Run;
use chains_testkit::fake::{FailingStore, FakeSigner, MemoryStore};

#[derive(Debug)]
struct SkippingStore;

#[async_trait]
impl Store for SkippingStore {
    fn name(&self) -> &str {
        "skipping"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { dsse: true, detached: true, unsigned: true }
    }

    async fn put(&self, _: &Record) -> Result<Outcome> {
        Ok(Outcome::Skipped("nothing to keep here".to_owned()))
    }
}

fn run(status: &str, results: &str) -> Run {
    let json = format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{{"name":"b","uid":"u"}},
            "status":{{"conditions":[{{"type":"Succeeded","status":"{status}"}}],"results":[{results}]}}}}"#
    );
    Run::from_json(json.as_bytes()).unwrap()
}

fn engine(stores: Vec<Arc<dyn Store>>) -> Result<Engine> {
    let signer = Arc::new(FakeSigner::new(1));
    let route = |name: &str| Route {
        format: chains_formats::by_name(name, &Options::default()).unwrap(),
        signer: Some(signer.clone()),
        stores: stores.clone(),
    };
    Engine::new(Plan {
        taskrun: route("slsa/v1"),
        pipelinerun: route("slsa/v1"),
        image: route("simplesigning"),
        pipelinerun_images: false,
        log: None,
    })
}

fn images(names: &[&str], digests: &[String]) -> String {
    let pairs = names.iter().zip(digests).map(|(name, digest)| format!("{name}@sha256:{digest}"));
    format!(r#"{{"name":"IMAGES","value":"{}"}}"#, pairs.collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn a_skip_is_done_and_not_stored_and_tried_again() {
    let failing: Arc<dyn Store> =
        Arc::new(FailingStore::new(Arc::new(MemoryStore::new("m")), 1, ErrorKind::Unavailable));
    let engine = engine(vec![Arc::new(SkippingStore), failing]).unwrap();
    let report = engine.process(&run("True", ""), &Progress::default()).await;
    assert!(!report.is_done() && !report.is_stored());
    let stores = &report.progress().targets.values().next().unwrap().stores;
    assert!(stores.is_empty(), "{stores:?}");
}

#[tokio::test]
async fn one_digest_in_two_repositories_is_kept_once_on_the_run() {
    let engine = engine(vec![Arc::new(TektonStore::new())]).unwrap();
    let digest = "ab".repeat(32);
    let results = images(&["a.io/one", "b.io/two"], &[digest.clone(), digest]);
    let report = engine.process(&run("True", &results), &Progress::default()).await;
    assert!(report.is_done());
    let [_, one, two] = &report.targets[..] else { panic!("the run and two images") };
    assert!(one.is_stored() && !two.is_stored());
    let Ok(Outcome::Skipped(why)) = &two.stores[0].result else { panic!("{two:?}") };
    assert!(why.contains("a.io/one"), "{why}");
}

#[tokio::test]
async fn digests_that_begin_alike_do_not_overwrite_each_other() {
    let engine = engine(vec![Arc::new(TektonStore::new())]).unwrap();
    let digests = ["00", "11"].map(|end| format!("{}{end}", "ab".repeat(31)));
    let results = images(&["a.io/one", "b.io/two"], &digests);
    let report = engine.process(&run("True", &results), &Progress::default()).await;
    let failures: Vec<_> = report.failures().map(|f| f.error.report()).collect();
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    assert!(failure.contains("a.io/one") && failure.contains("b.io/two"), "{failure}");
    assert!(!report.is_retryable());
}

#[tokio::test]
async fn all_that_is_written_on_a_run_fits_or_is_refused() {
    let engine = engine(vec![Arc::new(TektonStore::new())]).unwrap();
    // Around the size at which the closing annotations no longer fit, step by step.
    for filler in (48_000..50_500).step_by(50) {
        let filler = "x".repeat(filler);
        let results = format!(r#"{{"name":"filler","value":"{filler}"}}"#);
        let json = format!(
            r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun",
                "metadata":{{"name":"b","uid":"u","annotations":{{"a":"{filler}"}}}},
                "status":{{"conditions":[{{"type":"Succeeded","status":"True"}}],"results":[{results}]}}}}"#
        );
        let run = Run::from_json(json.as_bytes()).unwrap();
        let report = engine.process(&run, &Progress::default()).await;
        let all = report.annotations();
        assert!(annotations::check_fits(&report.run, &all).is_ok(), "done: {}", report.is_done());
    }
}

#[tokio::test]
async fn a_run_that_is_still_running_is_left_alone() {
    let store = Arc::new(MemoryStore::new("m"));
    let engine = engine(vec![store.clone()]).unwrap();
    let report = engine.process(&run("Unknown", ""), &Progress::default()).await;
    assert!(!report.complete && !report.is_done());
    assert!(report.annotations().is_empty() && store.records().is_empty());
}

#[tokio::test]
async fn a_store_gets_nothing_that_it_cannot_hold() {
    let envelopes_only = Capabilities { dsse: true, detached: false, unsigned: false };
    let store = Arc::new(MemoryStore::with("archive", envelopes_only));
    let engine = engine(vec![store.clone()]).unwrap();
    let results = images(&["a.io/one"], &["ab".repeat(32)]);
    let report = engine.process(&run("True", &results), &Progress::default()).await;
    let kinds: Vec<_> = report.failures().map(|failure| failure.error.kind()).collect();
    assert_eq!(kinds, [ErrorKind::Unsupported]);
    assert_eq!(store.records().len(), 1);
}

#[test]
fn stores_of_one_name_are_refused() {
    let twice: Vec<Arc<dyn Store>> =
        vec![Arc::new(MemoryStore::new("oci")), Arc::new(MemoryStore::new("oci"))];
    let error: Error = engine(twice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.report().contains("`oci`"));
}

#[test]
fn wrappers_are_made_of_backends_as_they_are() {
    let wrapped = Resilient::new(Arc::new(MemoryStore::new("m")), Policy::default());
    let store: Arc<dyn Store> = Arc::new(wrapped);
    assert_eq!(store.name(), "m");
}

#[tokio::test]
async fn what_earlier_attempts_left_is_to_be_removed_in_the_end() {
    let json = format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{{"name":"b","uid":"u",
            "annotations":{{"{}":"{{}}","{}":"2"}}}},
            "status":{{"conditions":[{{"type":"Succeeded","status":"True"}}]}}}}"#,
        annotations::PROGRESS,
        annotations::RETRIES
    );
    let engine = engine(vec![Arc::new(MemoryStore::new("m"))]).unwrap();
    let run = Run::from_json(json.as_bytes()).unwrap();
    let report = engine.process(&run, &Progress::default()).await;
    let obsolete: Vec<_> = report.obsolete_annotations().collect();
    assert_eq!(obsolete, [annotations::PROGRESS, annotations::RETRIES]);
}
