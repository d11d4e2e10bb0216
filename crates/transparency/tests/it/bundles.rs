//! Bundles that were made of the real servers' answers, verified without a network, and what is wrong with others.

use bytes::Bytes;
use chains_core::ErrorKind;
use chains_core::bundle::{Bundle, Rfc3161SignedTimestamp, TimestampVerificationData};
use chains_transparency::{
    Authority, BundlePolicy, TrustedLog, TrustedRoot, Validity, verify_bundle_evidence,
};
use serde_json::Value;

use crate::support::{check_error, recorded, recorded_key};

fn bundle() -> Bundle {
    Bundle::from_json(&recorded("bundle.json")).unwrap()
}

/// As a trusted root has the recorded log and authority.
fn root() -> TrustedRoot {
    let entry = &bundle().verification_material.tlog_entries[0];
    let log = TrustedLog {
        key: recorded_key("v2/log.pub"),
        ids: vec![entry.log_id.key_id.clone()],
        url: Some("https://log.example.com".to_owned()),
        valid: Validity::default(),
    };
    let authority = Authority::from_pem("https://tsa.example.com", &recorded("tsa/chain.pem"));
    TrustedRoot {
        logs: vec![log],
        timestamp_authorities: vec![authority.unwrap()],
        ..TrustedRoot::default()
    }
}

#[track_caller]
fn check(bundle: &Bundle, root: &TrustedRoot, policy: BundlePolicy, expect: Result<usize, &str>) {
    let key = recorded_key("key.pub");
    match (verify_bundle_evidence(bundle, None, Some(&key), root, policy), expect) {
        (Ok(evidence), Ok(times)) => assert_eq!(evidence.times().len(), times),
        (Err(error), Err(words)) => check_error(&error, ErrorKind::Verification, words),
        (found, expect) => panic!("{found:?}, expected {expect:?}"),
    }
}

#[test]
fn entries_and_timestamps_hold() {
    check(&bundle(), &root(), BundlePolicy::KEY, Ok(1));
    check(&bundle(), &root(), BundlePolicy::CERTIFICATE, Ok(1));
}

#[test]
fn too_little_is_told() {
    let strangers = TrustedRoot { timestamp_authorities: Vec::new(), ..root() };
    check(&bundle(), &strangers, BundlePolicy::KEY, Ok(0));
    let words = "time: 0 trusted, 1 wanted: timestamp: no timestamp authority is trusted";
    check(&bundle(), &strangers, BundlePolicy::CERTIFICATE, Err(words));
    let strangers = TrustedRoot { logs: Vec::new(), ..root() };
    check(
        &bundle(),
        &strangers,
        BundlePolicy::KEY,
        Err("log entry: 0 of a trusted log, 1 are wanted"),
    );
    let both = BundlePolicy { entries: 2, times: 0 };
    check(&bundle(), &root(), both, Err("log entry: 1 of a trusted log, 2 are wanted"));
    let mut twice = bundle();
    twice.verification_material.tlog_entries.extend(bundle().verification_material.tlog_entries);
    check(&twice, &root(), both, Err("log entry: the same is there twice"));
    let mut forged = bundle();
    forged.verification_material.timestamp_verification_data = Some(TimestampVerificationData {
        rfc3161_timestamps: vec![Rfc3161SignedTimestamp {
            signed_timestamp: Bytes::from_static(b"x"),
        }],
    });
    let words = "time: 0 trusted, 1 wanted: timestamp: it cannot be read";
    check(&forged, &root(), BundlePolicy::CERTIFICATE, Err(words));
}

#[test]
fn what_is_changed_is_refused() {
    let changed = |change: &dyn Fn(&mut Value), words: &str| {
        let mut json: Value = serde_json::from_slice(&recorded("bundle.json")).unwrap();
        change(&mut json);
        let bundle = Bundle::from_json(json.to_string().as_bytes()).unwrap();
        check(&bundle, &root(), BundlePolicy::KEY, Err(words));
    };
    changed(
        &|b| b["dsseEnvelope"]["payload"] = "e30=".into(),
        "entry body: it is about another message",
    );
    changed(
        &|b| b["dsseEnvelope"]["signatures"][0]["sig"] = "e30=".into(),
        "entry body: it is about another signature",
    );
    changed(
        &|b| b["verificationMaterial"]["tlogEntries"][0]["logIndex"] = "0".into(),
        "inclusion proof: it leads to another tree",
    );
    let key = recorded_key("rsa.pub");
    let policy = BundlePolicy::KEY;
    let error = verify_bundle_evidence(&bundle(), None, Some(&key), &root(), policy).unwrap_err();
    check_error(
        &error,
        ErrorKind::Verification,
        "entry body: it is about another key or certificate",
    );
    let error = verify_bundle_evidence(&bundle(), None, None, &root(), policy).unwrap_err();
    check_error(&error, ErrorKind::InvalidInput, "it needs the key that signed it");
}
