//! Rekor v2: answers of the real server (2.3.0), as they were and changed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::{ErrorKind, TransparencyLog as _};
use chains_transparency::{
    FixedTrust, RekorVersion, Transparency, TransparencyOptions, Trust, TrustedLog, TrustedRoot,
    Validity,
};
use serde_json::Value;

use crate::support::{
    Fixed, Reply, TestKey, append, check_error, envelope, message, message_of, recorded,
    recorded_key, serve,
};

const ENTRIES: &str = "POST /api/v2/log/entries";

fn options() -> TransparencyOptions {
    TransparencyOptions {
        version: RekorVersion::V2,
        log_key: Some(recorded_key("v2/log.pub")),
        ..TransparencyOptions::default()
    }
}

fn created(body: impl Into<Vec<u8>>) -> Arc<Fixed> {
    Fixed::new([(ENTRIES, Reply::new(201, body))])
}

#[tokio::test]
async fn envelopes_and_messages_are_logged_alike() {
    let answers = created(recorded("v2/dsse.json"));
    let entry = append(&answers, &envelope(), options()).await.unwrap();
    assert_eq!((entry.kind.as_str(), entry.version.as_str()), ("hashedrekord", "0.0.2"));
    assert!(entry.address().ends_with("/api/v2/log/entries?logIndex=3"), "{}", entry.address());
    assert_eq!((entry.integrated_time, entry.inclusion_promise), (None, None), "it tells no time");
    let sent: Value = serde_json::from_slice(&answers.asked.lock().unwrap()[0].1).unwrap();
    let request = &sent["hashedRekordRequestV002"];
    assert_eq!(request["signature"]["verifier"]["keyDetails"], "PKIX_ECDSA_P256_SHA_256");
    let body: Value = serde_json::from_slice(&entry.body).unwrap();
    let logged = &body["spec"]["hashedRekordV002"];
    assert_eq!(logged["data"]["digest"], request["digest"]);
    assert_eq!(logged["signature"], request["signature"]);
    let entry = append(&created(recorded("v2/message.json")), &message(), options()).await.unwrap();
    assert_eq!(entry.log_index, 4);
}

/// The files of the log when it had five entries.
fn tiles() -> Vec<(&'static str, Reply)> {
    let conflict = Reply::new(409, recorded("v2/conflict.json")).header("x-log-index", "3");
    vec![
        (ENTRIES, conflict),
        ("GET /api/v2/checkpoint", Reply::new(200, recorded("v2/checkpoint"))),
        ("GET /api/v2/tile/entries/000.p/5", Reply::new(200, recorded("v2/entries-000.p-5"))),
        ("GET /api/v2/tile/0/000.p/5", Reply::new(200, recorded("v2/tile-0-000.p-5"))),
    ]
}

#[tokio::test]
async fn an_entry_that_is_there_is_read_from_the_tiles() {
    let entry = append(&Fixed::new(tiles()), &envelope(), options()).await.unwrap();
    let created = append(&created(recorded("v2/dsse.json")), &envelope(), options()).await.unwrap();
    assert_eq!((entry.log_index, &entry.body, &entry.log_id), (3, &created.body, &created.log_id));
    assert_eq!(entry.inclusion_proof.unwrap().tree_size, 5);
    // Partial tiles may have gone: the whole one is asked for then.
    let whole = |name: &'static str| name.split(".p/").next().unwrap();
    let all = Fixed::new(tiles().into_iter().map(|(name, reply)| (whole(name), reply)));
    assert_eq!(append(&all, &envelope(), options()).await.unwrap().log_index, 3);
}

#[tokio::test]
async fn tiles_elsewhere_are_read_there() {
    let elsewhere =
        tiles().into_iter().map(|(name, reply)| match name.strip_prefix("GET /api/v2") {
            Some("/checkpoint") => ("GET /log/checkpoint", reply),
            Some("/tile/0/000.p/5") => ("GET /log/tile/0/000.p/5", reply),
            Some(_) => ("GET /log/tile/entries/000.p/5", reply),
            None => (name, reply),
        });
    let answers = Fixed::new(elsewhere);
    let url = serve(Arc::clone(&answers)).await;
    let options =
        TransparencyOptions { read_url: Some(format!("{url}/log")), url: Some(url), ..options() };
    let log = Transparency::new(options, None).unwrap();
    let signing = envelope();
    let append = || log.append(&signing.payload, &signing.signed, &signing.material);
    assert_eq!(append().await.unwrap().log_index, 3);
    let asked = answers.asked().len();
    assert_eq!(append().await.unwrap().log_index, 3);
    assert_eq!(answers.asked().len(), asked, "it is remembered");
}

#[tokio::test]
async fn tiles_that_do_not_fit_are_refused() {
    let check = async |name: &str, reply: Reply, kind, words: &str| {
        let mut tiles = tiles();
        for tile in &mut tiles {
            if tile.0.ends_with(name) {
                tile.1 = reply.clone();
            }
        }
        let error = append(&Fixed::new(tiles), &envelope(), options()).await.unwrap_err();
        check_error(&error, kind, words);
    };
    let bytes = |name: &str, change: fn(&mut Vec<u8>)| {
        let mut bytes = recorded(name);
        change(&mut bytes);
        Reply::new(200, bytes)
    };
    use ErrorKind::{NotFound, Protocol, Verification};
    let tree = bytes("v2/tile-0-000.p-5", |tile| tile[0] ^= 1);
    check("/tile/0/000.p/5", tree, Verification, "inclusion proof: it leads to another").await;
    let short = bytes("v2/tile-0-000.p-5", |tile| tile.truncate(64));
    check("/tile/0/000.p/5", short, Protocol, "a tile is too short").await;
    let odd = bytes("v2/tile-0-000.p-5", |tile| tile.truncate(65));
    check("/tile/0/000.p/5", odd, Protocol, "a tile is not made of hashes").await;
    let short = bytes("v2/entries-000.p-5", |tile| tile.truncate(600));
    check("/tile/entries/000.p/5", short, Protocol, "a bundle of entries is too short").await;
    let forged = bytes("v2/checkpoint", |note| note.truncate(note.len() - 9));
    check("/checkpoint", forged, Verification, "checkpoint: it cannot be read").await;
    check("/checkpoint", Reply::new(404, ""), NotFound, "reading entry 3 of http://").await;
    let beyond = Reply::new(409, "{}").header("x-log-index", "5");
    check("entries", beyond, Protocol, "the checkpoint has 5 entries only").await;
    let other = Reply::new(409, "{}").header("x-log-index", "4");
    check("entries", other, Verification, "entry body: it is about another message").await;
    let silent = Reply::new(409, "{}");
    check("entries", silent, Protocol, "it has the entry already and does not say where").await;
}

#[tokio::test]
async fn what_does_not_verify_is_refused() {
    let check = async |change: &dyn Fn(&mut Value), words: &str| {
        let mut answer: Value = serde_json::from_slice(&recorded("v2/dsse.json")).unwrap();
        change(&mut answer);
        let error = append(&created(answer.to_string()), &envelope(), options()).await.unwrap_err();
        check_error(&error, ErrorKind::Verification, words);
    };
    check(&|e| e["logIndex"] = "0".into(), "inclusion proof: it leads to another tree").await;
    check(&|e| e["logIndex"] = "9".into(), "prove no entry 9 in a tree of 4").await;
    check(&|e| e["logId"]["keyId"] = STANDARD.encode([0; 32]).into(), "log id: 0000").await;
    check(&|e| e["inclusionProof"] = Value::Null, "inclusion proof: the entry has none").await;
    let forged = Value::from(vec![STANDARD.encode([0; 32]); 2]);
    check(&|e| e["inclusionProof"]["hashes"] = forged.clone(), "inclusion proof: it leads").await;
    check(&|e| e["kindVersion"]["version"] = "0.0.1".into(), "entry body: it is a").await;
    check(&|e| e["kindVersion"]["kind"] = "dsse".into(), "entry body: it is a").await;
    let other: Value = serde_json::from_slice(&recorded("v2/message.json")).unwrap();
    check(&|e| *e = other.clone(), "entry body: it is about another message").await;
    // What is not signed in version 2 is not believed and does no harm.
    let mut answer: Value = serde_json::from_slice(&recorded("v2/dsse.json")).unwrap();
    answer["integratedTime"] = "7".into();
    answer["inclusionPromise"] = serde_json::json!({"signedEntryTimestamp": "AAAA"});
    let entry = append(&created(answer.to_string()), &envelope(), options()).await.unwrap();
    assert_eq!((entry.integrated_time, entry.inclusion_promise), (None, None));
}

#[tokio::test]
async fn another_key_or_name_is_refused() {
    let other = TransparencyOptions { log_key: Some(TestKey::new().public), ..options() };
    let error = append(&created(recorded("v2/dsse.json")), &envelope(), other).await.unwrap_err();
    check_error(&error, ErrorKind::Verification, "is none of the 1 logs that are trusted");
    let unknown = TransparencyOptions { log_key: None, ..options() };
    let error = append(&created(recorded("v2/dsse.json")), &envelope(), unknown).await.unwrap_err();
    check_error(&error, ErrorKind::Configuration, "a log of version 2 does not tell it");

    let named = async |url: &str| {
        let answer: Value = serde_json::from_slice(&recorded("v2/dsse.json")).unwrap();
        let id = STANDARD.decode(answer["logId"]["keyId"].as_str().unwrap()).unwrap();
        let log = TrustedLog {
            key: recorded_key("v2/log.pub"),
            ids: vec![Bytes::from(id)],
            url: Some(url.to_owned()),
            valid: Validity::default(),
        };
        let root = TrustedRoot { logs: vec![log], ..TrustedRoot::default() };
        let trust = FixedTrust::new(Trust { root, config: None });
        let url = serve(created(recorded("v2/dsse.json"))).await;
        let options = TransparencyOptions { log_key: None, url: Some(url), ..options() };
        let log = Transparency::new(options, Some(Arc::new(trust))).unwrap();
        let signing = envelope();
        log.append(&signing.payload, &signing.signed, &signing.material).await
    };
    for url in
        ["https://log.example.com", "https://log.example.com/", "http://log.example.com:8080/x"]
    {
        assert_eq!(named(url).await.unwrap().log_index, 3, "{url}");
    }
    let error = named("https://other.example.com").await.unwrap_err();
    let words =
        "checkpoint: it is by the log \"log.example.com\", expected is \"other.example.com\"";
    check_error(&error, ErrorKind::Verification, words);
}

#[tokio::test]
async fn signatures_that_it_does_not_take_are_not_sent() {
    let answers = Fixed::new([]);
    let ed25519 = message_of("ed25519.message", "ed25519.pub");
    let error = append(&answers, &ed25519, options()).await.unwrap_err();
    check_error(
        &error,
        ErrorKind::Unsupported,
        "logging a signature of kind ed25519: it takes ECDSA",
    );
    let mut wrong = message();
    wrong.payload.bytes = Bytes::from_static(b"other");
    let error = append(&answers, &wrong, options()).await.unwrap_err();
    check_error(&error, ErrorKind::Verification, "checking a signature before it is logged");
    assert!(answers.asked().is_empty());
}

#[tokio::test]
async fn the_version_is_found_out() {
    let answers = created(recorded("v2/dsse.json"));
    let auto = TransparencyOptions { version: RekorVersion::Auto, ..options() };
    let entry = append(&answers, &envelope(), auto.clone()).await.unwrap();
    assert_eq!(entry.log_index, 3);
    assert_eq!(answers.asked(), ["POST /api/v1/log/entries", ENTRIES]);
    let nothing = Fixed::new([]);
    let error = append(&nothing, &envelope(), auto).await.unwrap_err();
    check_error(&error, ErrorKind::NotFound, "it answered 404 Not Found");
}
