//! Envelopes, bundles and stored records: each check refuses by name what it is there to refuse.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use bytes::Bytes;
use chains_core::bundle::{Bundle, Content};
use chains_core::dsse::{Envelope, EnvelopeSignature};
use chains_core::{ErrorKind, PublicKey, Record, Result, Signed, Stored, media_type};
use chains_testkit::fake::FakeSigner;
use chains_testkit::fixture;
use chains_verify::{
    BundleContent, Verified, verify_bundle, verify_detached, verify_envelope, verify_stored,
};

fn record() -> Record {
    fixture::run_record(&fixture::run("build"))
}

fn envelope() -> Envelope {
    match record().signed {
        Some(Signed::Dsse(envelope)) => envelope,
        other => panic!("{other:?}"),
    }
}

fn key(seed: u8) -> PublicKey {
    FakeSigner::new(seed).public_key().clone()
}

/// Whether it is refused as not verified, with these first words.
fn check_refused(result: Result<Verified>, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification, "{}", error.report());
    assert!(error.report().starts_with(words), "{:?} is not {words:?}", error.report());
}

fn check_envelope(change: impl FnOnce(&mut Envelope), words: &str) {
    let mut envelope = envelope();
    change(&mut envelope);
    check_refused(verify_envelope(&envelope, media_type::IN_TOTO, &[key(1)]), words);
}

#[test]
fn the_key_that_matched_is_told() {
    let keys = [key(2), key(1), key(3)];
    let verified = verify_envelope(&envelope(), media_type::IN_TOTO, &keys).unwrap();
    assert_eq!((verified.key_index, verified.key_id.as_str()), (1, key(1).id()));
}

#[test]
fn key_ids_are_not_trusted() {
    for keyid in ["", "another", key(2).id()] {
        let mut envelope = envelope();
        envelope.signatures[0].keyid = keyid.to_owned();
        verify_envelope(&envelope, media_type::IN_TOTO, &[key(1)]).unwrap();
    }
}

#[test]
fn one_good_signature_among_others_is_enough() {
    let mut envelope = envelope();
    let bogus =
        EnvelopeSignature { keyid: key(1).id().to_owned(), sig: Bytes::from_static(b"bogus") };
    envelope.signatures.insert(0, bogus);
    verify_envelope(&envelope, media_type::IN_TOTO, &[key(1)]).unwrap();
}

#[test]
fn changed_envelopes_are_refused() {
    check_envelope(|e| e.payload_type = "text/plain".to_owned(), "payload type: ");
    check_envelope(|e| e.signatures.clear(), "signature: the envelope has none");
    check_envelope(|e| e.payload = Bytes::from_static(b"{}"), "signature: the one by \"SHA256:");
    let wrong = "signature: the one by \"SHA256:";
    check_envelope(|e| e.signatures[0].sig = Bytes::from_static(b"x"), wrong);
    check_envelope(
        |e| {
            e.signatures[0].keyid.clear();
            e.payload = Bytes::from_static(b"{}");
        },
        "signature: none is by SHA256:",
    );
    check_envelope(
        |e| {
            let one = e.signatures[0].clone();
            e.signatures = vec![one; 65];
        },
        "signature: the envelope has 65",
    );
}

#[test]
fn another_key_is_told_with_the_key_that_signed() {
    let result = verify_envelope(&envelope(), media_type::IN_TOTO, &[key(2)]);
    let words = format!("signature: none is by {}, only by \"{}\"", key(2).id(), key(1).id());
    check_refused(result, &words);
}

/// The payload type is part of what is signed: changing both it and the expectation does not help.
#[test]
fn the_payload_type_is_signed() {
    let mut envelope = envelope();
    envelope.payload_type = "text/plain".to_owned();
    check_refused(verify_envelope(&envelope, "text/plain", &[key(1)]), "signature: ");
}

#[test]
fn no_key_is_the_callers_mistake() {
    let error = verify_envelope(&envelope(), media_type::IN_TOTO, &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
}

#[test]
fn detached_signatures() {
    let record = fixture::image_record(&fixture::run("build"), &fixture::image("app"));
    let signed = record.signed.unwrap();
    let message = &record.payload.bytes;
    verify_detached(message, signed.signature(), &[key(2), key(1)]).unwrap();
    check_refused(verify_detached(b"x", signed.signature(), &[key(1)]), "signature: ");
    check_refused(verify_detached(message, b"x", &[key(1)]), "signature: ");
    check_refused(verify_detached(message, signed.signature(), &[key(2)]), "signature: ");
}

#[test]
fn bundles() {
    let run = fixture::run("build");
    let in_toto = BundleContent::Envelope { payload_type: media_type::IN_TOTO };
    let run_record = fixture::run_record(&run);
    let bundle = Bundle::from_record(&run_record).unwrap().unwrap();
    verify_bundle(&bundle, in_toto, &[key(1)]).unwrap();
    check_refused(verify_bundle(&bundle, in_toto, &[key(2)]), "signature: ");
    let other = BundleContent::Envelope { payload_type: "text/plain" };
    check_refused(verify_bundle(&bundle, other, &[key(1)]), "payload type: ");
    check_refused(verify_bundle(&bundle, BundleContent::Message(b""), &[key(1)]), "content: ");

    let mut two = bundle;
    if let Content::DsseEnvelope(envelope) = &mut two.content {
        let one = envelope.signatures[0].clone();
        envelope.signatures.push(one);
    }
    check_refused(verify_bundle(&two, in_toto, &[key(1)]), "signature: ");

    let image_record = fixture::image_record(&run, &fixture::image("app"));
    let bundle = Bundle::from_record(&image_record).unwrap().unwrap();
    let message = BundleContent::Message(&image_record.payload.bytes);
    verify_bundle(&bundle, message, &[key(1)]).unwrap();
    check_refused(verify_bundle(&bundle, BundleContent::Message(b"x"), &[key(1)]), "signature: ");
    check_refused(verify_bundle(&bundle, in_toto, &[key(1)]), "content: ");
}

#[test]
fn stored_records() {
    let record = record();
    let good = Stored {
        location: "memory".to_owned(),
        payload: record.payload.bytes,
        signed: record.signed,
        certificate: None,
        chain: None,
    };
    let check = |stored: &Stored| verify_stored(stored, media_type::IN_TOTO, &[key(1)]);
    check(&good).unwrap();
    let other_payload = Stored { payload: Bytes::from_static(b"{}"), ..good.clone() };
    check_refused(check(&other_payload), "payload: ");
    check_refused(check(&Stored { signed: None, ..good }), "signature: there is none");
}
