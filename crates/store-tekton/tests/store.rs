//! The store keeps its contract, and writes what readers of Tekton Chains' annotations expect.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::dsse::Envelope;
use chains_core::{ErrorKind, Outcome, ReadBack as _, Record, RecordKey, Signed, Store as _};
use chains_store_tekton::TektonStore;
use chains_testkit::{fixture, store};

#[tokio::test]
async fn keeps_the_contract() {
    store::read_back_suite(Arc::new(TektonStore::new())).await;
}

async fn annotations(record: &Record) -> BTreeMap<String, String> {
    match TektonStore::new().put(record).await.unwrap() {
        Outcome::OnRun { annotations } => annotations,
        other => panic!("{other}"),
    }
}

fn names(annotations: &BTreeMap<String, String>) -> Vec<String> {
    annotations.keys().map(|key| key.replace("chains.tekton.dev/", "")).collect()
}

#[tokio::test]
async fn a_run_has_its_payload_and_the_whole_envelope() {
    let run = fixture::run("build");
    let record = fixture::run_record(&run);
    let annotations = annotations(&record).await;
    let uid = &run.uid;
    let wanted = [format!("payload-taskrun-{uid}"), format!("signature-taskrun-{uid}")];
    assert_eq!(names(&annotations), wanted);
    let value = |part: &str| {
        let key = format!("chains.tekton.dev/{part}-taskrun-{uid}");
        STANDARD.decode(&annotations[&key]).unwrap()
    };
    assert_eq!(value("payload"), record.payload.bytes);
    let envelope = Envelope::from_json(&value("signature")).unwrap();
    assert_eq!(Some(Signed::Dsse(envelope)), record.signed);
}

#[tokio::test]
async fn an_image_has_its_signature_encoded_once() {
    let image = fixture::image("app");
    let record = fixture::image_record(&fixture::run("build"), &image);
    let annotations = annotations(&record).await;
    let short = &image.digest.hex()[..12];
    assert_eq!(names(&annotations), [format!("payload-{short}"), format!("signature-{short}")]);
    let signature = &annotations[&format!("chains.tekton.dev/signature-{short}")];
    let signed = record.signed.unwrap();
    assert_eq!(STANDARD.decode(signature).unwrap(), signed.signature());
}

#[tokio::test]
async fn without_a_signature_there_is_the_payload_alone() {
    let run = fixture::run("build");
    let annotations = annotations(&fixture::unsigned_record(&run)).await;
    assert_eq!(names(&annotations), [format!("payload-taskrun-{}", run.uid)]);
}

#[tokio::test]
async fn certificates_are_kept_and_an_old_one_is_emptied() {
    let mut record = fixture::run_record(&fixture::run("build"));
    let mut material = (**record.material.as_ref().unwrap()).clone();
    material.certificate = Some("leaf".to_owned());
    material.chain = Some("intermediate".to_owned());
    let keyed = record.clone();
    record.material = Some(Arc::new(material));

    let with = annotations(&record).await;
    let short = &record.key.short;
    assert_eq!(with[&format!("chains.tekton.dev/cert-{short}")], STANDARD.encode("leaf"));
    assert_eq!(with[&format!("chains.tekton.dev/chain-{short}")], STANDARD.encode("intermediate"));

    let keyed = fixture::with_annotations(keyed, with);
    let without = annotations(&keyed).await;
    assert_eq!(without[&format!("chains.tekton.dev/cert-{short}")], "");
    let keyed = fixture::with_annotations(keyed, without);
    let put = TektonStore::new().put(&keyed).await.unwrap();
    assert!(matches!(put, Outcome::AlreadyStored { .. }), "{put}");
    let stored = TektonStore::new().read_back((&keyed).into()).await.unwrap();
    assert_eq!(stored[0].certificate, None);
}

/// Tekton Chains writes empty annotations for the certificates that it has not.
#[tokio::test]
async fn what_tekton_chains_wrote_is_already_stored() {
    let record = fixture::run_record(&fixture::run("build"));
    let mut written = annotations(&record).await;
    for part in ["cert", "chain"] {
        written.insert(format!("chains.tekton.dev/{part}-{}", record.key.short), String::new());
    }
    let record = fixture::with_annotations(record, written);
    let put = TektonStore::new().put(&record).await.unwrap();
    assert!(matches!(put, Outcome::AlreadyStored { .. }), "{put}");
}

#[tokio::test]
async fn another_payload_is_written_anew() {
    let mut record = fixture::run_record(&fixture::run("build"));
    let written = annotations(&record).await;
    record.payload.bytes = "{}".into();
    let record = fixture::with_annotations(record, written);
    assert_eq!(annotations(&record).await.len(), 2);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_way_out() {
    let mut record = fixture::run_record(&fixture::run("big"));
    record.payload.bytes = vec![b'x'; 256 * 1024].into();
    let error = TektonStore::new().put(&record).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(!error.is_retryable());
    let report = error.report();
    for part in ["TaskRun default/big", "262144", "`oci`"] {
        assert!(report.contains(part), "{report}");
    }
}

#[tokio::test]
async fn what_the_run_has_already_counts() {
    let filler = BTreeMap::from([("other.example.com/x".to_owned(), "x".repeat(255 * 1024))]);
    let record = fixture::with_annotations(fixture::run_record(&fixture::run("full")), filler);
    let error = TektonStore::new().put(&record).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn odd_keys_make_no_annotation_names() {
    let long = "x".repeat(54);
    for short in ["", "taskrun-", "taskrun-a/b", "taskrun-a b", "taskrun-ä", &long] {
        let mut record = fixture::run_record(&fixture::run("odd"));
        record.key = RecordKey { short: short.to_owned(), full: "full".to_owned() };
        let error = TektonStore::new().put(&record).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{short}: {}", error.report());
    }
}

#[tokio::test]
async fn unreadable_annotations_are_named() {
    let record = fixture::run_record(&fixture::run("build"));
    let good = annotations(&record).await;
    for (part, value) in [("payload", "%%%"), ("signature", "a"), ("cert", "/////w==")] {
        let mut bad = good.clone();
        let name = format!("chains.tekton.dev/{part}-{}", record.key.short);
        bad.insert(name.clone(), value.to_owned());
        let record = fixture::with_annotations(record.clone(), bad);
        let error = TektonStore::new().read_back((&record).into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.report().contains(&name), "{}", error.report());
    }
}
