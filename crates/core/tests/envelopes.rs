//! Envelopes: the vector of the specification, and hostile JSON.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use bytes::Bytes;
use chains_core::ErrorKind;
use chains_core::dsse::{Envelope, EnvelopeSignature, pae};
use proptest::prelude::*;

fn envelope() -> Envelope {
    let sig = EnvelopeSignature { keyid: "key".to_owned(), sig: Bytes::from_static(b"\xff\xfe") };
    Envelope {
        payload_type: "text/plain".to_owned(),
        payload: Bytes::from_static(b"hello"),
        signatures: vec![sig],
    }
}

#[test]
fn the_encoding_counts_bytes_and_not_characters() {
    assert_eq!(pae("ä", "ö".as_bytes()), "DSSEv1 2 ä 2 ö".as_bytes());
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
}

#[test]
fn json_is_as_others_write_it() {
    let json = r#"{"payloadType":"text/plain","payload":"aGVsbG8=","signatures":[{"keyid":"key","sig":"//4="}]}"#;
    assert_eq!(envelope().to_json(), json);
    assert_eq!(Envelope::from_json(json.as_bytes()).unwrap(), envelope());
    let url_safe = json.replace("//4=", "__4=");
    assert_eq!(Envelope::from_json(url_safe.as_bytes()).unwrap(), envelope());
    assert_eq!(envelope().pae(), b"DSSEv1 10 text/plain 5 hello");
}

#[test]
fn order_missing_key_ids_and_unknown_fields_do_not_matter() {
    let json = r#" { "signatures": [{"sig":"//4=","ext":{}}], "payload":"aGVsbG8=", "more":1,
        "payloadType":"text\u002fplain" }"#;
    let read = Envelope::from_json(json.as_bytes()).unwrap();
    assert_eq!(read.signatures[0].keyid, "");
    assert_eq!(read.payload_type, "text/plain");
}

#[test]
fn broken_envelopes_are_refused() {
    let good = envelope().to_json();
    let cases = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        good.replace("payloadType", "other"),
        good.replace("signatures", "other"),
        good.replace("\"sig\"", "\"other\""),
        good.replace("aGVsbG8=", "aGVsbG8"),
        good.replace("aGVsbG8=", "%"),
        good.replace("//4=", "__4"),
        good.replace("//4=", "_/4="),
        good.replace("\"payload\":", "\"payload\":\"\",\"payload\":"),
        good.replace("\"aGVsbG8=\"", "5"),
        format!("{good}x"),
        "[".repeat(100_000),
    ];
    for json in cases {
        let error = Envelope::from_json(json.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{json}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Envelope::from_json(&bytes);
    }

    #[test]
    fn what_is_written_is_read(payload_type: String, payload: Vec<u8>, keyid: String, sig: Vec<u8>) {
        let signatures = vec![EnvelopeSignature { keyid, sig: sig.into() }];
        let envelope = Envelope { payload_type, payload: payload.into(), signatures };
        prop_assert_eq!(Envelope::from_json(envelope.to_json().as_bytes()).unwrap(), envelope);
    }

    /// Two different pairs never have the same encoding.
    #[test]
    fn the_encoding_is_unambiguous(a: (String, Vec<u8>), b: (String, Vec<u8>)) {
        prop_assert_eq!(pae(&a.0, &a.1) == pae(&b.0, &b.1), a == b);
    }
}
