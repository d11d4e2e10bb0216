//! Bundles: as cosign writes them, with log entries, and hostile ones.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chains_core::bundle::{Bundle, Content, KeyMaterial, MEDIA_TYPE, Version};
use chains_core::dsse::Envelope;
use chains_core::{
    Entry, ErrorKind, InclusionProof, Payload, PublicKey, Record, RunKind, RunRef, Signature,
    SignatureAlgorithm, Signed, Target, VerificationMaterial, Wrapping, media_type,
};
use proptest::prelude::*;

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

/// By cosign 3.1.1, `attest-blob` and `sign-blob` with a key.
const COSIGN_ENVELOPE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"sZZwKvMjDdT0eBo+ShW2MjojsPRBU3m+zx7fPX+0Pto="}},"dsseEnvelope":{"payload":"e30K","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEYCIQCaYEBsVDEsr2e7ao0/A18H2thGjdz5Wr2xYP0TzGLzDQIhAMGNEW7hB/DX3ASzcQBQA3pnudQDiEqAWJ8kDAqY5g8U"}]}}"#;
const COSIGN_MESSAGE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"temsZqeWXZ8qIoCX3kWl9zXBXdYXoSl/YUgZkk6+OmY="}},"messageSignature":{"messageDigest":{},"signature":"INGV8JHAruc0E4pb/3mdyk06ePGLF5LStKrbzlukTGFB9A31yHSY/p4DszEqvO8186WB43plCinPmnn3ZQfcDQ=="}}"#;

fn key() -> PublicKey {
    PublicKey::from_pem(include_str!("keys/ed25519.pub")).unwrap()
}

fn record(wrapping: Wrapping) -> Record {
    let material = Arc::new(VerificationMaterial::from_public_key(key()));
    let signature = Signature {
        bytes: Bytes::from_static(b"signature"),
        algorithm: SignatureAlgorithm::Ed25519,
        material: Arc::clone(&material),
    };
    let payload = Bytes::from_static(b"{}");
    let signed = match wrapping {
        Wrapping::Dsse => {
            Signed::Dsse(Envelope::new(media_type::IN_TOTO, payload.clone(), &signature))
        }
        Wrapping::Detached => Signed::Detached(signature.bytes),
    };
    let run = RunRef {
        kind: RunKind::TaskRun,
        namespace: "default".into(),
        name: "build".into(),
        uid: "uid".into(),
        service_account: None,
        annotations: Arc::new(BTreeMap::new()),
    };
    Record {
        key: run.record_key(),
        run,
        target: Target::Run,
        payload: Payload {
            bytes: payload,
            media_type: media_type::IN_TOTO,
            wrapping,
            format: "test",
            predicate_type: None,
            subjects: Vec::new(),
        },
        signed: Some(signed),
        material: Some(material),
        entry: None,
    }
}

fn entry() -> Entry {
    Entry {
        log_url: "https://log.example.com".to_owned(),
        log_id: Bytes::from_static(b"id"),
        log_index: 9_007_199_254_740_993,
        kind: "dsse".to_owned(),
        version: "0.0.1".to_owned(),
        integrated_time: Some(1_700_000_000),
        body: Bytes::from_static(b"body"),
        inclusion_promise: Some(Bytes::from_static(b"promise")),
        inclusion_proof: Some(InclusionProof {
            log_index: 5,
            root_hash: Bytes::from_static(b"root"),
            tree_size: 7,
            hashes: vec![Bytes::from_static(b"left"), Bytes::from_static(b"right")],
            checkpoint: "log\n7\ncm9vdA==\n".to_owned(),
        }),
        timestamps: vec![Bytes::from_static(b"time")],
        others: Vec::new(),
    }
}

fn bundle(record: &Record) -> Bundle {
    Bundle::from_record(record).unwrap().unwrap()
}

#[test]
fn an_envelope_is_written_as_cosign_writes_it() {
    let json = bundle(&record(Wrapping::Dsse)).to_json();
    let wanted = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"temsZqeWXZ8qIoCX3kWl9zXBXdYXoSl/YUgZkk6+OmY="}},"dsseEnvelope":{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"keyid":"","sig":"c2lnbmF0dXJl"}]}}"#;
    assert_eq!(json, wanted);
}

#[test]
fn a_detached_signature_is_written_with_the_digest_of_its_message() {
    let json = bundle(&record(Wrapping::Detached)).to_json();
    let wanted = r#""messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="},"signature":"c2lnbmF0dXJl"}}"#;
    assert!(json.ends_with(wanted), "{json}");
}

#[test]
fn a_log_entry_is_written_with_long_numbers_as_strings() {
    let mut record = record(Wrapping::Dsse);
    record.entry = Some(Arc::new(entry()));
    let bundle = bundle(&record);
    let json = bundle.to_json();
    let wanted = r#""tlogEntries":[{"logIndex":"9007199254740993","logId":{"keyId":"aWQ="},"kindVersion":{"kind":"dsse","version":"0.0.1"},"integratedTime":"1700000000","inclusionPromise":{"signedEntryTimestamp":"cHJvbWlzZQ=="},"inclusionProof":{"logIndex":"5","rootHash":"cm9vdA==","treeSize":"7","hashes":["bGVmdA==","cmlnaHQ="],"checkpoint":{"envelope":"log\n7\ncm9vdA==\n"}},"canonicalizedBody":"Ym9keQ=="}],"timestampVerificationData":{"rfc3161Timestamps":[{"signedTimestamp":"dGltZQ=="}]}}"#;
    assert!(json.contains(wanted), "{json}");
    assert_eq!(Bundle::from_json(json.as_bytes()).unwrap(), bundle);
    let plain = json.replace("\"9007199254740993\"", "9007199254740993");
    assert_eq!(Bundle::from_json(plain.as_bytes()).unwrap(), bundle, "plain numbers are read too");
}

#[test]
fn entries_of_further_logs_are_written_too() {
    let mut record = record(Wrapping::Dsse);
    let other = Entry {
        log_url: "https://log2.example.com".to_owned(),
        log_index: 4,
        kind: "hashedrekord".to_owned(),
        version: "0.0.2".to_owned(),
        integrated_time: None,
        ..entry()
    };
    let first = Entry { others: vec![other], ..entry() };
    let addresses: Vec<_> = first.addresses().collect();
    let v1 = "https://log.example.com/api/v1/log/entries?logIndex=9007199254740993";
    assert_eq!(addresses, [v1, "https://log2.example.com/api/v2/log/entries?logIndex=4"]);
    record.entry = Some(Arc::new(first));
    let entries = bundle(&record).verification_material.tlog_entries;
    let told: Vec<_> = entries.iter().map(|e| (e.log_index, e.integrated_time)).collect();
    assert_eq!(told, [(9_007_199_254_740_993, 1_700_000_000), (4, 0)]);
}

#[test]
fn a_certificate_takes_the_place_of_the_key() {
    let mut record = record(Wrapping::Dsse);
    let mut material = VerificationMaterial::from_public_key(key());
    material.certificate = Some(CERTIFICATE.to_owned());
    record.material = Some(Arc::new(material));
    let bundle = bundle(&record);
    let KeyMaterial::Certificate(certificate) = &bundle.verification_material.key else {
        panic!("{bundle:?}");
    };
    assert_eq!(certificate.raw_bytes, b"\x30\x03\x02\x01\x01".as_slice());
    assert_eq!(Bundle::from_json(bundle.to_json().as_bytes()).unwrap(), bundle);
}

#[test]
fn records_that_make_no_bundle() {
    let unsigned = Record { signed: None, material: None, ..record(Wrapping::Dsse) };
    assert_eq!(Bundle::from_record(&unsigned).unwrap(), None);

    let refused = |record: &Record, words: &str| {
        let error = Bundle::from_record(record).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.report().contains(words), "{}", error.report());
    };
    refused(&Record { material: None, ..record(Wrapping::Dsse) }, "no verification material");
    let mut several = record(Wrapping::Dsse);
    if let Some(Signed::Dsse(envelope)) = &mut several.signed {
        envelope.signatures.clear();
    }
    refused(&several, "one signature, not 0");
    let mut odd = record(Wrapping::Dsse);
    let mut material = VerificationMaterial::from_public_key(key());
    for (certificate, words) in [
        ("x", "reading the certificate"),
        (&CERTIFICATE.replace("CERTIFICATE", "PUBLIC KEY"), "is a PUBLIC KEY"),
    ] {
        material.certificate = Some((*certificate).to_owned());
        odd.material = Some(Arc::new(material.clone()));
        refused(&odd, words);
    }
    let mut large = record(Wrapping::Dsse);
    large.entry = Some(Arc::new(Entry { log_index: u64::MAX, ..entry() }));
    refused(&large, "18446744073709551615");
}

#[test]
fn bundles_of_cosign_are_read() {
    let bundle = Bundle::from_json(COSIGN_ENVELOPE.as_bytes()).unwrap();
    assert!(
        matches!(bundle.content, Content::DsseEnvelope(envelope) if envelope.payload == "{}\n")
    );
    let bundle = Bundle::from_json(COSIGN_MESSAGE.as_bytes()).unwrap();
    assert!(matches!(bundle.content, Content::MessageSignature(m) if m.signature.len() == 64));
}

fn check_refused(from: &str, to: &str, words: &str) {
    assert!(COSIGN_ENVELOPE.contains(from), "{from}");
    let json = COSIGN_ENVELOPE.replace(from, to);
    let error = Bundle::from_json(json.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.report().contains(words), "{:?} has not {words:?}", error.report());
}

#[test]
fn hostile_bundles_are_refused() {
    check_refused("bundle.v0.3+json", "bundle.v0.4+json", "v0.4+json\" are not supported");
    check_refused("mediaType", "other", "missing field `mediaType`");
    check_refused("dsseEnvelope", "other", "neither dsseEnvelope nor messageSignature");
    check_refused("publicKey", "other", "neither publicKey nor certificate");
    let both = r#""messageSignature":{"signature":""},"dsseEnvelope""#;
    check_refused("\"dsseEnvelope\"", both, "both dsseEnvelope and messageSignature");
    let both = r#""certificate":{"rawBytes":""},"publicKey""#;
    check_refused("\"publicKey\"", both, "both publicKey and certificate");
    let chain = r#""x509CertificateChain":{"certificates":[],"#;
    check_refused("\"publicKey\":{", chain, "no certificate chain");
    check_refused("\"dsseEnvelope\"", "\"dsseEnvelope\":null,\"dsseEnvelope\"", "duplicate field");
    check_refused("\"signatures\":[", "\"signatures\":[{\"sig\":\"\"},", "one signature, not 2");
    check_refused("\"e30K\"", "\"e30\"", "reading a Sigstore bundle");
    let entry = r#"{"logId":{},"kindVersion":{"kind":"","version":""}}"#;
    let many = format!("\"tlogEntries\":[{}],\"publicKey\"", vec![entry; 33].join(","));
    check_refused("\"publicKey\"", &many, "more than 32");
    let bad = r#""tlogEntries":[{"logIndex":"x","logId":{},"kindVersion":{"kind":"","version":""}}],"publicKey""#;
    check_refused("\"publicKey\"", bad, "invalid digit");
    for json in ["", "null", "{}", "[]"] {
        Bundle::from_json(json.as_bytes()).unwrap_err();
    }
    Bundle::from_json("[".repeat(100_000).as_bytes()).unwrap_err();
    Bundle::from_json(&vec![b' '; 65 * 1024 * 1024]).unwrap_err();
}

/// A bundle of an earlier version: with a chain in place of the key's hint, and this entry.
fn earlier(version: &str, chain: &str, entry: &str) -> Result<Bundle, String> {
    let mut json: serde_json::Value = serde_json::from_str(COSIGN_ENVELOPE).unwrap();
    json["mediaType"] =
        format!("application/vnd.dev.sigstore.bundle+json;version={version}").into();
    let material = format!(
        r#"{{"x509CertificateChain":{{"certificates":[{chain}]}},"tlogEntries":[{entry}]}}"#
    );
    json["verificationMaterial"] = serde_json::from_str(&material).unwrap();
    Bundle::from_json(json.to_string().as_bytes()).map_err(|error| error.report())
}

#[test]
fn earlier_versions_are_read() {
    const CHAIN: &str = r#"{"rawBytes":"bGVhZg=="},{"rawBytes":"YWJvdmU="}"#;
    let entry = |more: &str| {
        format!(
            r#"{{"logIndex":"1","logId":{{}},"kindVersion":{{"kind":"dsse","version":"0.0.1"}}{more}}}"#
        )
    };
    let promise = r#","inclusionPromise":{"signedEntryTimestamp":""}"#;
    let proof = |checkpoint: &str| {
        format!(r#","inclusionProof":{{"logIndex":"1","rootHash":"","treeSize":"2"{checkpoint}}}"#)
    };
    let checkpoint = r#","checkpoint":{"envelope":"x"}"#;

    let bundle = earlier("0.2", CHAIN, &entry(&proof(checkpoint))).unwrap();
    assert_eq!(bundle.version(), Some(Version::V0_2));
    let material = &bundle.verification_material;
    let KeyMaterial::Certificate(leaf) = &material.key else { panic!("{material:?}") };
    assert_eq!(
        (&leaf.raw_bytes[..], &material.above[0].raw_bytes[..]),
        (&b"leaf"[..], &b"above"[..])
    );
    // What is read again is the same, but for what proves nothing.
    let again = Bundle::from_json(bundle.to_json().as_bytes()).unwrap();
    assert_eq!(again.verification_material.key, material.key);

    let bundle = earlier("0.1", CHAIN, &entry(&(promise.to_owned() + &proof("")))).unwrap();
    assert_eq!(bundle.version(), Some(Version::V0_1));
    // Nothing commits the log to it.
    assert_eq!(bundle.verification_material.tlog_entries[0].inclusion_proof, None);

    let refused = |version, chain, more: &str, words: &str| {
        let report = earlier(version, chain, &entry(more)).unwrap_err();
        assert!(report.contains(words), "{report}");
    };
    refused("0.1", CHAIN, &proof(checkpoint), "no inclusion promise");
    refused("0.2", CHAIN, &proof(""), "no checkpoint");
    refused("0.2", "", &proof(checkpoint), "holds no certificate");
    refused("0.3", CHAIN, &proof(checkpoint), "no certificate chain");
    refused("0.4", CHAIN, &proof(checkpoint), "version=0.4\" are not supported");
}

#[test]
fn the_other_name_of_the_version_and_unknown_fields_are_read() {
    let json =
        COSIGN_ENVELOPE.replace(MEDIA_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3");
    Bundle::from_json(json.as_bytes()).unwrap();
    let json = COSIGN_ENVELOPE.replacen('{', "{\"more\":[1],", 1);
    Bundle::from_json(json.as_bytes()).unwrap();
}

proptest! {
    #[test]
    fn any_change_is_read_or_refused(at: prop::sample::Index, byte: u8) {
        let mut json = COSIGN_MESSAGE.as_bytes().to_vec();
        let at = at.index(json.len());
        json[at] = byte;
        if let Ok(bundle) = Bundle::from_json(&json) {
            let again = Bundle::from_json(bundle.to_json().as_bytes()).unwrap();
            prop_assert_eq!(again, bundle);
        }
    }
}
