//! The line, from run to report, with a real format and fakes around it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![allow(clippy::cloned_ref_to_slice_refs, reason = "the clones become trait objects")]

use std::sync::Arc;
use std::time::Duration;

use chains_core::{
    Capabilities, ErrorKind, Format, Outcome, Progress, Record, Store, Target, annotations,
};
use chains_engine::{Engine, LogMode, LogRoute, Plan, Route, Stage};
use chains_formats::Options;
use chains_store_tekton::TektonStore;
use chains_tekton::Run;
use chains_testkit::fake::{FailingStore, FakeLog, FakeSigner, MemoryStore, SlowStore};
use futures_util::FutureExt as _;

const DIGEST: &str = "sha256:b1ecbb5bf11b1c4c1f0e3a5a9b83d8bb6c5e6c37d9a2f0e4c6c9b1e4f5a7d2c3";

fn run_with(annotations: &str, results: &str) -> Run {
    let json = format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun",
            "metadata":{{"name":"build","namespace":"ci","uid":"7f7e-1","annotations":{annotations}}},
            "status":{{"conditions":[{{"type":"Succeeded","status":"True"}}],"results":[{results}]}}}}"#
    );
    Run::from_json(json.as_bytes()).unwrap()
}

fn run() -> Run {
    run_with("{}", &image_results())
}

fn image_results() -> String {
    format!(
        r#"{{"name":"IMAGE_URL","value":"reg.example.com/app"}},{{"name":"IMAGE_DIGEST","value":"{DIGEST}"}}"#
    )
}

fn format(name: &str) -> Arc<dyn Format<Run>> {
    chains_formats::by_name(name, &Options::default()).unwrap()
}

fn plan(signer: &Arc<FakeSigner>, stores: &[Arc<dyn Store>]) -> Plan {
    let route = |name: &str| Route {
        format: format(name),
        signer: Some(Arc::clone(signer) as _),
        stores: stores.to_vec(),
    };
    Plan {
        taskrun: route("slsa/v1"),
        pipelinerun: route("slsa/v1"),
        image: route("simplesigning"),
        pipelinerun_images: false,
        log: None,
    }
}

fn signer() -> Arc<FakeSigner> {
    Arc::new(FakeSigner::new(1))
}

fn memory(name: &str) -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new(name))
}

fn keys(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.key.short.as_str()).collect()
}

#[tokio::test]
async fn every_store_gets_the_same_record_and_each_target_is_signed_once() {
    let (signer, one, two) = (signer(), memory("one"), memory("two"));
    let engine = Engine::new(plan(&signer, &[one.clone(), two.clone()])).unwrap();
    let report = engine.process(&run(), &Progress::default()).await;
    assert!(report.is_done());
    assert_eq!(signer.count(), 2, "the run and its image");
    assert_eq!(one.records(), two.records());
    assert_eq!(keys(&one.records()), ["b1ecbb5bf11b", "taskrun-7f7e-1"]);
    assert_eq!(report.targets[0].target, Target::Run);
    assert_eq!(report.annotations().get(annotations::SIGNED).map(String::as_str), Some("true"));
    assert!(!report.annotations().contains_key(annotations::PROGRESS));
}

#[tokio::test]
async fn a_second_attempt_does_only_what_is_missing_and_signs_nothing() {
    let (signer, good, behind) = (signer(), memory("good"), memory("flaky"));
    let counted = Arc::new(FailingStore::new(good.clone(), 0, ErrorKind::Internal));
    let flaky = Arc::new(FailingStore::new(behind.clone(), 2, ErrorKind::Unavailable));
    let engine = Engine::new(plan(&signer, &[counted.clone(), flaky.clone()])).unwrap();

    let first = engine.process(&run(), &Progress::default()).await;
    assert!(!first.is_done() && first.is_retryable());
    assert_eq!(first.failures().count(), 2);
    assert!(first.failures().all(|f| f.stage == Stage::Store && f.store == Some("flaky")));
    assert_eq!(keys(&good.records()).len(), 2, "the failing store did not stop the other");
    let kept = &first.annotations()[annotations::PROGRESS];
    assert!(!first.annotations().contains_key(annotations::SIGNED));

    // As after a restart: nothing but the annotation is left.
    let progress = Progress::from_json(kept).unwrap();
    let second = engine.process(&run(), &progress).await;
    assert!(second.is_done());
    assert!(second.targets.iter().all(|target| target.resumed));
    assert_eq!(signer.count(), 2, "nothing was signed again");
    assert_eq!(counted.calls(), 2, "nothing was stored again");
    assert_eq!(good.records(), behind.records(), "both hold the same signature");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_makes_nobody_forget_what_the_others_did() {
    let (signer, good, behind) = (signer(), memory("good"), memory("hangs"));
    let hangs = Arc::new(SlowStore::new(behind, Duration::from_secs(3600)));
    let counted = Arc::new(FailingStore::new(good.clone(), 0, ErrorKind::Internal));
    let engine = Engine::new(plan(&signer, &[hangs, counted.clone()])).unwrap();
    let until = || tokio::time::sleep(Duration::from_secs(60)).boxed().shared();

    let first = engine.process_until(&run(), &Progress::default(), until()).await;
    assert!(!first.is_done() && first.is_retryable());
    assert!(first.failures().all(|f| f.error.kind() == ErrorKind::Timeout), "{first:?}");
    let progress = Progress::from_json(&first.annotations()[annotations::PROGRESS]).unwrap();
    let stores: Vec<_> = progress.targets.values().flat_map(|target| &target.stores).collect();
    assert_eq!(stores, ["good", "good"]);

    let second = engine.process_until(&run(), &progress, until()).await;
    assert!(!second.is_done());
    assert_eq!((signer.count(), counted.calls()), (2, 2), "nothing was done again");
}

#[tokio::test]
async fn progress_that_was_tampered_with_is_not_believed() {
    let (signer, store) = (signer(), memory("one"));
    let flaky = Arc::new(FailingStore::new(memory("two"), 2, ErrorKind::Unavailable));
    let engine = Engine::new(plan(&signer, &[store.clone(), flaky])).unwrap();
    let first = engine.process(&run(), &Progress::default()).await;
    let mut progress = first.progress().clone();
    for target in progress.targets.values_mut() {
        // What a user may write there who wants a signature that nobody can verify to be spread.
        target.signature = vec![7; 64].into();
        target.stores = ["one", "two"].map(str::to_owned).into();
    }
    let second = engine.process(&run(), &progress).await;
    assert!(second.is_done());
    assert!(second.targets.iter().all(|target| !target.resumed && target.stores.len() == 2));
    assert_eq!(signer.count(), 4, "signed anew");
}

#[tokio::test]
async fn a_run_that_changed_starts_anew() {
    let (signer, flaky) = (signer(), FailingStore::new(memory("s"), 2, ErrorKind::Timeout));
    let engine = Engine::new(plan(&signer, &[Arc::new(flaky)])).unwrap();
    let first = engine.process(&run(), &Progress::default()).await;
    let other = run_with(r#"{"team":"blue"}"#, &image_results());
    let second = engine.process(&other, first.progress()).await;
    assert!(second.is_done());
    assert_eq!(signer.count(), 3, "the run's statement changed, the image's document did not");
}

#[tokio::test]
async fn a_target_without_a_payload_does_not_stop_the_image() {
    let (signer, store) = (signer(), memory("one"));
    let engine = Engine::new(plan(&signer, &[store.clone()])).unwrap();
    let json = format!(
        r#"{{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{{"name":"b","uid":"u"}},
            "status":{{"conditions":[{{"type":"Succeeded","status":"True"}}],
            "steps":[{{"name":"s","container":"step-s","imageID":"no-digest"}}],"results":[{}]}}}}"#,
        image_results()
    );
    let report =
        engine.process(&Run::from_json(json.as_bytes()).unwrap(), &Progress::default()).await;
    assert!(!report.is_done() && !report.is_retryable());
    let failures: Vec<_> = report.failures().map(|f| (f.target.clone(), f.stage)).collect();
    assert_eq!(failures, [(Target::Run, Stage::Payload)]);
    assert_eq!(keys(&store.records()), ["b1ecbb5bf11b"]);
}

#[tokio::test]
async fn what_the_store_tekton_keeps_comes_back_as_annotations() {
    let signer = signer();
    let engine = Engine::new(plan(&signer, &[Arc::new(TektonStore::new())])).unwrap();
    let report = engine.process(&run(), &Progress::default()).await;
    assert!(report.is_done());
    let written = report.annotations();
    for name in ["payload", "signature"] {
        for key in ["taskrun-7f7e-1", "b1ecbb5bf11b"] {
            assert!(
                written.contains_key(&format!("chains.tekton.dev/{name}-{key}")),
                "{name}-{key}"
            );
        }
    }
}

#[tokio::test]
async fn annotations_that_fit_alone_and_not_together_are_refused() {
    let signer = signer();
    let engine = Engine::new(plan(&signer, &[Arc::new(TektonStore::new())])).unwrap();
    // The statement repeats the annotation, and its record is base64 of it, twice.
    let filler = "x".repeat(64 * 1024);
    let big = run_with(&format!(r#"{{"filler":"{filler}"}}"#), &image_results());
    let report = engine.process(&big, &Progress::default()).await;
    let failures: Vec<_> = report.failures().map(|f| (f.error.kind(), f.error.report())).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].0, ErrorKind::TooLarge);
    assert!(failures[0].1.contains("262144"), "{}", failures[0].1);
    assert!(!report.is_retryable());
}

#[tokio::test]
async fn only_signed_payloads_of_runs_that_ask_are_logged() {
    let (signer, store, log) =
        (signer(), memory("one"), Arc::new(FakeLog::new("https://log.example.com")));
    let mut plan = plan(&signer, &[store.clone()]);
    plan.log = Some(LogRoute { log: log.clone(), mode: LogMode::WhenAsked, required: true });
    let engine = Engine::new(plan).unwrap();
    engine.process(&run(), &Progress::default()).await;
    assert_eq!(log.len(), 0);

    let asked = format!(r#"{{"{}":"true"}}"#, annotations::TRANSPARENCY_UPLOAD);
    let report = engine.process(&run_with(&asked, &image_results()), &Progress::default()).await;
    assert_eq!(log.len(), 2);
    assert!(store.records().iter().all(|record| record.entry.is_some()));
    let addresses = &report.annotations()[annotations::TRANSPARENCY];
    assert_eq!(addresses.split(',').count(), 2, "one for each entry: {addresses}");
}

#[test]
fn a_store_that_cannot_hold_unsigned_payloads_is_refused_beforehand() {
    let signed_only = Capabilities { dsse: true, detached: true, unsigned: false };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::with("oci", signed_only));
    let mut plan = plan(&signer(), &[store]);
    plan.pipelinerun.signer = None;
    let error = Engine::new(plan).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(error.report(), "the store `oci` cannot hold PipelineRuns that are not signed");
}

#[tokio::test]
async fn unsigned_statements_are_stored_where_a_store_can_hold_them() {
    let store = memory("one");
    let mut plan = plan(&signer(), &[store.clone()]);
    plan.taskrun.signer = None;
    plan.image.stores.clear();
    let report = Engine::new(plan).unwrap().process(&run(), &Progress::default()).await;
    assert!(report.is_done());
    let [record] = &store.records()[..] else { panic!("one record") };
    assert!(record.signed.is_none() && record.material.is_none());
    assert!(matches!(report.targets[0].stores[0].result, Ok(Outcome::Stored { .. })));
}
