//! Trusted roots and signing configs.

use chains_core::ErrorKind;
use chains_transparency::{FixedTrust, ServiceKind, SigningConfig, TrustSource as _, TrustedRoot};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{check_error, recorded, recorded_key};

fn root() -> Value {
    serde_json::from_slice(&recorded("trusted_root.json")).unwrap()
}

#[test]
fn the_public_root_is_read() {
    let root = TrustedRoot::from_json(&recorded("trusted_root.json")).unwrap();
    let urls: Vec<_> = root.logs.iter().map(|log| log.url.as_deref().unwrap()).collect();
    assert_eq!(urls, ["https://rekor.sigstore.dev", "https://log2025-1.rekor.sigstore.dev"]);
    assert_eq!(root.logs[0].ids[0].len(), 32);
    assert_eq!(root.logs[0].valid.start, Some(1_610_452_407));
    assert_eq!(root.certificate_logs.len(), 2);
    assert_eq!(root.certificate_authorities.len(), 2);
    let authority = &root.timestamp_authorities[0];
    assert_eq!(authority.url, "https://timestamp.sigstore.dev/api/v1/timestamp");
    assert_eq!(authority.certificates.len(), 2);
}

#[test]
fn what_is_missing_in_a_root_is_told() {
    let check = |change: &dyn Fn(&mut Value), words: &str| {
        let mut root = root();
        change(&mut root);
        let error = TrustedRoot::from_json(root.to_string().as_bytes()).unwrap_err();
        check_error(&error, ErrorKind::InvalidInput, words);
    };
    check(&|r| r["mediaType"] = "x".into(), "documents of type \"x\" are not supported");
    let start = |r: &mut Value| {
        r["tlogs"][0]["publicKey"]["validFor"].as_object_mut().unwrap().remove("start");
    };
    check(&start, "the log \"https://rekor.sigstore.dev\" does not tell since when");
    check(
        &|r| r["tlogs"][0]["hashAlgorithm"] = "SHA2_512".into(),
        "a log with the hash \"SHA2_512\"",
    );
    check(&|r| r["tlogs"][0]["publicKey"]["rawBytes"] = "%".into(), "reading a trusted root");
    check(&|r| r["tlogs"][0]["logId"] = Value::Null, "has no id");
    check(&|r| r["tlogs"][0]["publicKey"]["validFor"]["start"] = "x".into(), "\"x\" is no moment");
    let chain =
        |r: &mut Value| r["timestampAuthorities"][0]["certChain"]["certificates"] = json!([]);
    check(&chain, "has no certificate");
    let error = TrustedRoot::from_json(b"").unwrap_err();
    check_error(&error, ErrorKind::InvalidInput, "reading a trusted root");
}

#[test]
fn logs_with_keys_of_unknown_kinds_are_left_out() {
    let mut root = root();
    root["tlogs"][0]["publicKey"]["rawBytes"] = "MAA=".into();
    let root = TrustedRoot::from_json(root.to_string().as_bytes()).unwrap();
    assert_eq!(root.logs.len(), 1);
}

#[test]
fn bare_rsa_keys_are_read() {
    let key = recorded_key("rsa.pub");
    let mut root = root();
    let bare = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key.raw());
    root["tlogs"][0]["publicKey"]["rawBytes"] = bare.into();
    root["tlogs"][0]["publicKey"]["keyDetails"] = "PKCS1_RSA_PKCS1V5".into();
    let root = TrustedRoot::from_json(root.to_string().as_bytes()).unwrap();
    assert_eq!(root.logs[0].key, key);
}

fn service(url: &str, version: u32, start: &str, operator: &str) -> Value {
    json!({"url": url, "majorApiVersion": version, "validFor": {"start": start}, "operator": operator})
}

fn config(selector: &Value) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
        "caUrls": [service("https://ca", 1, "2020-01-01T00:00:00Z", "a")],
        "rekorTlogUrls": [
            service("https://old", 1, "2020-01-01T00:00:00Z", "a"),
            service("https://first", 2, "2021-01-01T00:00:00Z", "a"),
            service("https://second", 2, "2022-01-01T00:00:00Z", "a"),
            service("https://other", 2, "2021-06-01T00:00:00.5Z", "b"),
            service("https://future", 3, "2020-01-01T00:00:00Z", "a"),
            service("https://later", 2, "2029-01-01T00:00:00Z", "a"),
        ],
        "rekorTlogConfig": selector,
        "unknown": 1,
    })
}

#[test]
fn services_are_chosen() {
    const NOW: i64 = 1_700_000_000;
    let check = |selector: Value, versions: &[u32], expect: Result<&[&str], &str>| {
        let config = SigningConfig::from_json(config(&selector).to_string().as_bytes()).unwrap();
        match (config.select(ServiceKind::Log, versions, NOW), expect) {
            (Ok(found), Ok(expect)) => {
                let found: Vec<_> = found.iter().map(|service| service.url.as_str()).collect();
                assert_eq!(found, expect, "{selector}");
            }
            (Err(error), Err(words)) => check_error(&error, ErrorKind::Configuration, words),
            (found, expect) => panic!("{found:?}, expected {expect:?}"),
        }
    };
    check(json!({"selector": "ANY"}), &[1, 2], Ok(&["https://second"]));
    check(Value::Null, &[1, 2], Ok(&["https://second"]));
    check(json!({"selector": "ALL"}), &[1, 2], Ok(&["https://second", "https://other"]));
    check(json!({"selector": "EXACT", "count": 2}), &[2], Ok(&["https://second", "https://other"]));
    check(json!({"selector": "ALL"}), &[1], Ok(&["https://old"]));
    check(json!({"selector": "EXACT", "count": 3}), &[1, 2], Err("has 2 services of kind Log"));
    check(json!({"selector": "EXACT"}), &[1, 2], Err("0 are wanted"));
    check(json!({"selector": "ALL"}), &[7], Err("has 0 services of kind Log"));
    let config = SigningConfig::from_json(config(&Value::Null).to_string().as_bytes()).unwrap();
    assert_eq!(config.log_version("https://old/"), Some(1));
    assert_eq!(config.log_version("https://unlisted"), None);
    assert!(config.has(ServiceKind::CertificateAuthority));
    assert!(!config.has(ServiceKind::TimestampAuthority));
    let before = config.select(ServiceKind::Log, &[1, 2], 0).unwrap_err();
    check_error(&before, ErrorKind::Configuration, "has 0 services");
}

#[test]
fn odd_configs_are_told() {
    let check = |config: &Value, words: &str| {
        let error = SigningConfig::from_json(config.to_string().as_bytes()).unwrap_err();
        check_error(&error, ErrorKind::InvalidInput, words);
    };
    check(&config(&json!({"selector": "SOME"})), "the selector \"SOME\" is not known");
    check(&json!({"mediaType": "v0.1"}), "documents of type \"v0.1\" are not supported");
    check(&json!([]), "reading a signing config");
}

#[tokio::test]
async fn files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (root, config_path) = (dir.path().join("root.json"), dir.path().join("config.json"));
    std::fs::write(&root, recorded("trusted_root.json")).unwrap();
    std::fs::write(&config_path, config(&Value::Null).to_string()).unwrap();
    let trust = FixedTrust::from_files(&root, Some(&config_path)).unwrap().trust().await.unwrap();
    assert!(trust.config.is_some() && !trust.root.logs.is_empty());
    let error = FixedTrust::from_files(&dir.path().join("missing"), None).unwrap_err();
    check_error(&error, ErrorKind::Configuration, "missing: No such file");
    let error = FixedTrust::from_files(&config_path, None).unwrap_err();
    check_error(&error, ErrorKind::Configuration, "config.json: reading a trusted root: documents");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = TrustedRoot::from_json(&bytes);
        let _ = SigningConfig::from_json(&bytes);
    }
}
