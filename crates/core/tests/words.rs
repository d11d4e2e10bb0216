//! Secrets, errors, progress and annotations.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::Arc;

use bytes::Bytes;
use chains_core::annotations::{self, TOTAL_LIMIT, check_fits, size};
use chains_core::{
    Certificate, Error, ErrorKind, Progress, RunKind, RunRef, Secret, TargetProgress, Timestamp,
};
use proptest::prelude::*;

#[test]
fn a_secret_never_shows() {
    let secret = Secret::new("hunter2");
    let holder = Some((1, secret.clone()));
    for shown in [format!("{secret}"), format!("{secret:?}"), format!("{holder:#?}")] {
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(shown.contains("[redacted]"), "{shown}");
    }
    assert_eq!(secret, Secret::from("hunter2".to_owned()));
    assert!(Secret::default().is_empty());
}

#[test]
fn an_error_tells_its_chain_and_repeats_nothing() {
    let cause = Error::new(ErrorKind::Timeout, "asking example.com").with_source("no answer");
    let error = cause.context("storing taskrun-1");
    assert_eq!(error.to_string(), "storing taskrun-1");
    assert_eq!(error.report(), "storing taskrun-1: asking example.com: no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_retryable());
    assert_eq!(error.source().unwrap().to_string(), "asking example.com");
    let repeated =
        Error::new(ErrorKind::Internal, "reading x: no such file").with_source("no such file");
    assert_eq!(repeated.report(), "reading x: no such file");
}

#[test]
fn retryability_follows_from_the_kind_unless_said_otherwise() {
    let retryable =
        [ErrorKind::Conflict, ErrorKind::Throttled, ErrorKind::Timeout, ErrorKind::Unavailable];
    for kind in retryable {
        assert!(Error::new(kind, "x").is_retryable(), "{kind}");
    }
    for kind in [ErrorKind::InvalidInput, ErrorKind::Key, ErrorKind::TooLarge, ErrorKind::Internal]
    {
        assert!(!Error::new(kind, "x").is_retryable(), "{kind}");
    }
    let said = Error::new(ErrorKind::Unavailable, "x").with_retryable(false).context("y");
    assert!(!said.is_retryable());
}

#[test]
fn kinds_have_names_that_are_metric_labels() {
    for kind in [ErrorKind::InvalidInput, ErrorKind::NotFound, ErrorKind::TooLarge, ErrorKind::Key]
    {
        let name = kind.as_str();
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        assert_eq!(kind.to_string(), name);
    }
}

fn progress() -> Progress {
    let target = TargetProgress {
        payload: "ab".repeat(32),
        signature: Bytes::from_static(b"signature"),
        stores: BTreeSet::from(["oci".to_owned(), "tekton".to_owned()]),
        entry: Some("https://log.example.com/1".to_owned()),
        ..TargetProgress::default()
    };
    let targets = BTreeMap::from([("taskrun-1".to_owned(), target)]);
    Progress { targets, ..Progress::default() }
}

#[test]
fn progress_is_small_json_and_comes_back() {
    let json = progress().to_json();
    let hash = "ab".repeat(32);
    let wanted = format!(
        r#"{{"taskrun-1":{{"payload":"{hash}","signature":"c2lnbmF0dXJl","stores":["oci","tekton"],"entry":"https://log.example.com/1"}}}}"#
    );
    assert_eq!(json, wanted);
    assert_eq!(Progress::from_json(&json).unwrap(), progress());
    assert_eq!(Progress::default().to_json(), "{}");
    let empty = Progress::from_json(r#"{"a":{"payload":"x"}}"#).unwrap();
    assert_eq!(empty.to_json(), r#"{"a":{"payload":"x"}}"#);
}

#[test]
fn certificates_and_timestamps_come_back() {
    let certificate = Certificate(Bytes::from_static(b"certificate"));
    let mut progress = progress();
    for target in progress.targets.values_mut() {
        target.certificate = Some(certificate.name());
        target.timestamps = vec![Timestamp(Bytes::from_static(b"timestamp"))];
    }
    progress.certificates.insert(certificate.name(), certificate);
    let json = progress.to_json();
    assert!(json.starts_with(r#"{"certificates":{"#), "{json}");
    assert_eq!(Progress::from_json(&json).unwrap(), progress);
}

#[test]
fn progress_counts_only_for_the_same_payload() {
    let progress = progress();
    assert!(progress.of("taskrun-1", &"ab".repeat(32)).is_some());
    assert!(progress.of("taskrun-1", &"cd".repeat(32)).is_none());
    assert!(progress.of("taskrun-2", &"ab".repeat(32)).is_none());
}

#[test]
fn odd_progress_is_refused() {
    for json in
        ["", "null", "[]", r#"{"a":1}"#, r#"{"a":{}}"#, r#"{"a":{"payload":"x","signature":"%"}}"#]
    {
        assert_eq!(
            Progress::from_json(json).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{json}"
        );
    }
}

fn run(annotations: &[(&str, usize)]) -> RunRef {
    let annotations = annotations.iter().map(|(key, len)| ((*key).to_owned(), "x".repeat(*len)));
    RunRef {
        kind: RunKind::PipelineRun,
        namespace: "ci".into(),
        name: "release".into(),
        uid: "uid".into(),
        service_account: None,
        annotations: Arc::new(annotations.collect()),
    }
}

fn added(key: &str, len: usize) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), "x".repeat(len))])
}

#[test]
fn annotations_may_fill_the_limit_and_not_a_byte_more() {
    check_fits(&run(&[]), &added("k", TOTAL_LIMIT - 1)).unwrap();
    let error = check_fits(&run(&[]), &added("k", TOTAL_LIMIT)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let report = error.report();
    assert!(report.contains("PipelineRun ci/release would have 262145 bytes"), "{report}");
}

#[test]
fn what_is_replaced_counts_once() {
    let half = TOTAL_LIMIT / 2;
    check_fits(&run(&[("k", TOTAL_LIMIT - 1)]), &added("k", TOTAL_LIMIT - 1)).unwrap();
    check_fits(&run(&[("other", half)]), &added("k", half)).unwrap_err();
    let held = run(&[("other", half)]);
    assert_eq!(size(held.annotations.iter()), half + "other".len());
}

#[test]
fn every_name_has_the_prefix() {
    let names = [
        annotations::SIGNED,
        annotations::RETRIES,
        annotations::TRANSPARENCY,
        annotations::TRANSPARENCY_UPLOAD,
        annotations::REASON,
        annotations::PROGRESS,
    ];
    for name in names {
        assert!(name.starts_with(annotations::PREFIX), "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_is_progress_or_refused(text: String) {
        let _ = Progress::from_json(&text);
    }
}
