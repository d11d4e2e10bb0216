//! Rekor v1: answers of the real server (1.5.4), as they were and changed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Entry, ErrorKind, TransparencyLog as _};
use chains_transparency::{EnvelopeEntry, RekorVersion, Transparency, TransparencyOptions};
use serde_json::Value;

use crate::support::{
    Fixed, Reply, Signing, append, check_error, envelope, envelope_of, message, message_of,
    recorded, recorded_key, serve,
};

const ENTRIES: &str = "POST /api/v1/log/entries";
const UUID: &str =
    "3a82c7462745702a8e4846dcec32e7510b7f9e2d5f9e4d2d1d77f53850e44f08e609217d059fb8df";
const FETCH: &str = "GET /api/v1/log/entries/3a82c7462745702a8e4846dcec32e7510b7f9e2d5f9e4d2d1d77f53850e44f08e609217d059fb8df";

fn options() -> TransparencyOptions {
    TransparencyOptions {
        version: RekorVersion::V1,
        log_key: Some(recorded_key("v1/log.pub")),
        ..TransparencyOptions::default()
    }
}

fn created(body: impl Into<Vec<u8>>) -> Arc<Fixed> {
    Fixed::new([(ENTRIES, Reply::new(201, body))])
}

async fn taken(name: &str, signing: &Signing, options: TransparencyOptions) -> Entry {
    append(&created(recorded(name)), signing, options).await.unwrap()
}

#[tokio::test]
async fn entries_of_every_kind_hold() {
    let dsse = taken("v1/dsse.json", &envelope(), options()).await;
    assert_eq!((dsse.kind.as_str(), dsse.version.as_str(), dsse.log_index), ("dsse", "0.0.1", 0));
    assert!(dsse.address().ends_with("/api/v1/log/entries?logIndex=0"), "{}", dsse.address());
    assert!(dsse.inclusion_promise.is_some() && dsse.inclusion_proof.is_some());
    assert!(dsse.integrated_time.is_some_and(|time| time > 1_700_000_000));
    let detached = taken("v1/message.json", &message(), options()).await;
    assert_eq!((detached.kind.as_str(), detached.log_index), ("hashedrekord", 1));
    let as_intoto = TransparencyOptions { envelopes: EnvelopeEntry::Intoto, ..options() };
    let intoto = taken("v1/intoto.json", &envelope(), as_intoto).await;
    assert_eq!((intoto.kind.as_str(), intoto.version.as_str()), ("intoto", "0.0.2"));
    let ed25519 = message_of("ed25519.message", "ed25519.pub");
    let rekord = taken("v1/rekord.json", &ed25519, options()).await;
    assert_eq!(rekord.kind, "rekord");
}

/// What the real server was sent when it gave the recorded answers, as far as it tells an entry from another.
#[tokio::test]
async fn proposals_name_envelope_hash_and_key() {
    let sent = async |name, signing: &Signing, options| {
        let answers = created(recorded(name));
        append(&answers, signing, options).await.unwrap();
        let asked = answers.asked.lock().unwrap();
        serde_json::from_slice::<Value>(&asked[0].1).unwrap()
    };
    let pem = STANDARD.encode(recorded("key.pub"));
    let dsse = sent("v1/dsse.json", &envelope(), options()).await;
    let content = &dsse["spec"]["proposedContent"];
    assert_eq!(content["verifiers"][0], *pem);
    let recorded_envelope: Value = serde_json::from_slice(&recorded("envelope.json")).unwrap();
    let sent_envelope: Value = serde_json::from_str(content["envelope"].as_str().unwrap()).unwrap();
    assert_eq!(sent_envelope, recorded_envelope);
    let detached = sent("v1/message.json", &message(), options()).await;
    assert_eq!(detached["spec"]["signature"]["publicKey"]["content"], *pem);
    assert_eq!(detached["spec"]["data"]["hash"]["algorithm"], "sha256");
}

#[tokio::test]
async fn an_entry_that_is_there_is_fetched() {
    let conflict = || Reply::new(409, recorded("v1/conflict.json"));
    let fetched = || (FETCH, Reply::new(200, recorded("v1/fetched.json")));
    let location = format!("/api/v1/log/entries/{UUID}");
    let named = Fixed::new([(ENTRIES, conflict().header("location", &location)), fetched()]);
    let entry = append(&named, &envelope(), options()).await.unwrap();
    assert_eq!(entry.log_index, 0);
    assert_eq!(named.asked(), [ENTRIES, FETCH]);
    let told = Fixed::new([(ENTRIES, conflict()), fetched()]);
    assert_eq!(append(&told, &envelope(), options()).await.unwrap().log_index, 0, "by the message");
    let elsewhere = conflict().header("location", "https://evil.example.com/x");
    let elsewhere = Fixed::new([(ENTRIES, elsewhere), fetched()]);
    assert_eq!(append(&elsewhere, &envelope(), options()).await.unwrap().log_index, 0);

    let silent = Fixed::new([(ENTRIES, Reply::new(409, "{}"))]);
    let error = append(&silent, &envelope(), options()).await.unwrap_err();
    check_error(&error, ErrorKind::Protocol, "it has the entry already and does not say where");
    let hidden = Fixed::new([(ENTRIES, conflict())]);
    let error = append(&hidden, &envelope(), options()).await.unwrap_err();
    check_error(&error, ErrorKind::Unavailable, "has the entry and does not show it yet");
    assert!(error.is_retryable(), "it may be shown in a moment");
    let other =
        Fixed::new([(ENTRIES, conflict()), (FETCH, Reply::new(200, recorded("v1/message.json")))]);
    let error = append(&other, &envelope(), options()).await.unwrap_err();
    check_error(&error, ErrorKind::Verification, "entry body: it is about a detached signature");
}

/// Changes one thing in the recorded answer.
fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut answer: Value = serde_json::from_slice(&recorded(name)).unwrap();
    change(answer.as_object_mut().unwrap().values_mut().next().unwrap());
    answer.to_string().into_bytes()
}

#[tokio::test]
async fn what_does_not_verify_is_refused() {
    let check = async |change: &dyn Fn(&mut Value), words: &str| {
        let answer = changed("v1/message.json", change);
        let error = append(&created(answer), &message(), options()).await.unwrap_err();
        check_error(&error, ErrorKind::Verification, words);
        // A log that is not known may be known soon.
        assert_eq!(error.is_retryable(), words.starts_with("log id"), "{words}");
    };
    let proof = |entry: &mut Value, name: &str, value: Value| {
        entry["verification"]["inclusionProof"][name] = value;
    };
    check(&|e| e["logIndex"] = 7.into(), "signed entry timestamp: it is not the log's").await;
    check(&|e| e["integratedTime"] = 7.into(), "signed entry timestamp: it is not the log's").await;
    check(&|e| e["logID"] = "00".repeat(32).into(), "log id: 0000").await;
    check(&|e| proof(e, "logIndex", 0.into()), "inclusion proof: it leads to another tree").await;
    check(&|e| proof(e, "logIndex", 9.into()), "inclusion proof: 1 hashes prove no entry 9").await;
    check(&|e| proof(e, "treeSize", 3.into()), "checkpoint: it is about another tree").await;
    check(&|e| proof(e, "rootHash", "00".repeat(32).into()), "checkpoint: it is about another")
        .await;
    let forged = Value::from(vec!["00".repeat(32)]);
    check(&|e| proof(e, "hashes", forged.clone()), "inclusion proof: it leads to another").await;
    check(&|e| proof(e, "hashes", Value::from(vec!["00"])), "a hash of another length").await;
    check(&|e| proof(e, "hashes", Value::from(Vec::<Value>::new())), "0 hashes prove no entry")
        .await;
    let no_promise = |e: &mut Value| e["verification"]["signedEntryTimestamp"] = Value::Null;
    check(&no_promise, "signed entry timestamp: the entry has none").await;
    let checkpoint = |from: &'static str, to: &'static str| {
        move |e: &mut Value| {
            let note = &mut e["verification"]["inclusionProof"]["checkpoint"];
            *note = note.as_str().unwrap().replacen(from, to, 1).into();
        }
    };
    check(&checkpoint("\n2\n", "\n3\n"), "checkpoint: the log's signature does not match").await;
    check(&checkpoint("— rekor", "— other"), "checkpoint: it is not signed by the log").await;
    check(&checkpoint("\n\n—", "\n—"), "checkpoint: it cannot be read: no empty line").await;
}

#[tokio::test]
async fn another_key_is_refused() {
    let other = TransparencyOptions { log_key: Some(recorded_key("key.pub")), ..options() };
    let error = append(&created(recorded("v1/message.json")), &message(), other).await.unwrap_err();
    check_error(&error, ErrorKind::Verification, "is none of the 1 logs that are trusted");
}

#[tokio::test]
async fn an_entry_about_something_else_is_refused() {
    let check = async |name: &str, signing: &Signing, words: &str| {
        let error = append(&created(recorded(name)), signing, options()).await.unwrap_err();
        check_error(&error, ErrorKind::Verification, words);
    };
    let other_envelope = envelope_of("ed25519.envelope.json", "ed25519.pub");
    check("v1/dsse.json", &other_envelope, "entry body: it is about another signature").await;
    check("v1/message.json", &message_of("ed25519.message", "ed25519.pub"), "entry body: ").await;
    check("v1/dsse.json", &message(), "it is about an envelope, not a detached signature").await;
    check("v1/message.json", &envelope(), "it is about a detached signature, not an envelope")
        .await;
    // The name of an entry is the hash of its body.
    let renamed = String::from_utf8(recorded("v1/message.json")).unwrap();
    let answer: Value = serde_json::from_str(&renamed).unwrap();
    let uuid = answer.as_object().unwrap().keys().next().unwrap().clone();
    let renamed = renamed.replace(&uuid, UUID);
    let error = append(&created(renamed), &message(), options()).await.unwrap_err();
    check_error(
        &error,
        ErrorKind::Verification,
        "entry body: it is not the one that the log names",
    );
}

#[tokio::test]
async fn odd_answers_are_told() {
    let check = async |status, body: &str, kind, words: &str| {
        let answers = Fixed::new([(ENTRIES, Reply::new(status, body))]);
        let error = append(&answers, &message(), options()).await.unwrap_err();
        check_error(&error, kind, words);
        error.is_retryable()
    };
    let refused = "it answered 400 Bad Request: \"no\"";
    assert!(!check(400, r#"{"code":400,"message":"no"}"#, ErrorKind::InvalidInput, refused).await);
    assert!(!check(403, "", ErrorKind::Unauthorized, "it answered 403").await);
    assert!(!check(405, "frozen", ErrorKind::Unsupported, "frozen").await);
    assert!(!check(413, "", ErrorKind::TooLarge, "it answered 413").await);
    assert!(!check(301, "", ErrorKind::Protocol, "it answered 301").await);
    assert!(check(429, "", ErrorKind::Throttled, "it answered 429").await);
    assert!(check(500, "<html>", ErrorKind::Unavailable, "it answered 500").await);
    assert!(check(503, "", ErrorKind::Unavailable, "it answered 503").await);
    assert!(!check(201, "[]", ErrorKind::Protocol, "logging at http://127.0.0.1:").await);
    assert!(!check(201, "{}", ErrorKind::Protocol, "the answer has 0 entries, not one").await);
    let large = " ".repeat(9 * 1024 * 1024);
    assert!(!check(201, &large, ErrorKind::Protocol, "the answer has more than").await);
    let broken = changed("v1/message.json", |e| e["body"] = "%".into());
    let broken = String::from_utf8(broken).unwrap();
    assert!(!check(201, &broken, ErrorKind::Protocol, "the body cannot be read").await);
}

#[tokio::test]
async fn a_log_that_is_down_may_be_tried_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut options = TransparencyOptions { url: Some(url), ..options() };
    options.http.request_timeout = std::time::Duration::from_millis(50);
    let signing = message();
    let append = async |options: &TransparencyOptions| {
        let log = Transparency::new(options.clone(), None).unwrap();
        log.append(&signing.payload, &signing.signed, &signing.material).await.unwrap_err()
    };
    // It takes the connection and says nothing.
    let error = append(&options).await;
    check_error(&error, ErrorKind::Timeout, "logging at http://127.0.0.1:");
    assert!(error.is_retryable());
    drop(listener);
    let error = append(&options).await;
    check_error(&error, ErrorKind::Unavailable, "logging at http://127.0.0.1:");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn passwords_in_addresses_are_not_shown() {
    let url = serve(created(recorded("v1/dsse.json"))).await.replace("//", "//user:hunter2@");
    let options = TransparencyOptions { url: Some(url), ..options() };
    let log = Transparency::new(options, None).unwrap();
    assert!(!log.url().contains("hunter2"), "{}", log.url());
    let signing = envelope();
    let entry = log.append(&signing.payload, &signing.signed, &signing.material).await.unwrap();
    assert!(!entry.address().contains("hunter2"), "{}", entry.address());
    let signing = message();
    let error = log.append(&signing.payload, &signing.signed, &signing.material).await.unwrap_err();
    assert!(!error.report().contains("hunter2"), "{}", error.report());
}
