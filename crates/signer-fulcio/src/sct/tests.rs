//! Promises of real logs, and what must not pass for one.

use chains_core::PublicKey;
use proptest::prelude::*;

use super::*;
use crate::trust::{Authority, Window};

const PUBLIC: [&str; 3] = [
    include_str!("../../tests/fixtures/public-leaf.pem"),
    include_str!("../../tests/fixtures/public-chain.pem"),
    include_str!("../../tests/fixtures/public-ct.pub"),
];
const EXTENSIONS: [&str; 3] = [
    include_str!("../../tests/fixtures/extensions-leaf.pem"),
    include_str!("../../tests/fixtures/extensions-chain.pem"),
    include_str!("../../tests/fixtures/extensions-ct.pub"),
];
const OLD_LOG: &str = include_str!("../../tests/fixtures/public-old-ct.pub");
/// When the public certificate was promised.
const MOMENT: u64 = 1_710_869_186_470;

fn log(pem: &str, valid: Window) -> CtLog {
    CtLog { key: PublicKey::from_pem(pem).expect("a key"), valid }
}

fn trust(authority: &str, logs: Vec<CtLog>) -> Trust {
    let authority = Authority::from_pem(authority, Window::default()).expect("an authority");
    Trust { authorities: vec![authority], ct_logs: logs }
}

fn verdict(leaf: &str, beside: Option<&[u8]>, trust: &Trust) -> Result<(), String> {
    check(&Certificates::read(&[leaf.to_owned()]).expect("a certificate"), beside, trust)
}

fn refused(found: Result<(), String>, part: &str) {
    let why = found.expect_err("refused");
    assert!(why.contains(part), "{why}");
}

#[test]
fn promises_of_real_logs_hold() {
    for [leaf, chain, key] in [PUBLIC, EXTENSIONS] {
        let logs = vec![log(OLD_LOG, Window::default()), log(key, Window::default())];
        verdict(leaf, None, &trust(chain, logs)).expect("it holds");
    }
}

#[test]
fn what_was_not_promised_by_a_trusted_log_is_refused() {
    let [leaf, chain, key] = PUBLIC;
    let one = |key, valid| vec![log(key, valid)];
    refused(
        verdict(leaf, None, &trust(chain, one(OLD_LOG, Window::default()))),
        "the log is none of those that are trusted",
    );
    let moment = UNIX_EPOCH + Duration::from_millis(MOMENT);
    let before = Window { start: None, end: Some(moment - Duration::from_secs(1)) };
    let after = Window { start: Some(moment + Duration::from_secs(1)), end: None };
    for window in [before, after] {
        refused(
            verdict(leaf, None, &trust(chain, one(key, window))),
            "it was made when the log was not trusted",
        );
    }
    let exact = Window { start: Some(moment), end: Some(moment) };
    verdict(leaf, None, &trust(chain, one(key, exact))).expect("both ends count");
    let other = Trust { ct_logs: one(key, Window::default()), ..trust(EXTENSIONS[1], Vec::new()) };
    refused(verdict(leaf, None, &other), "does not match the certificate");
    let root = chain.rsplit("-----BEGIN").next().expect("a root");
    let root = format!("-----BEGIN{root}");
    let none = Trust { ct_logs: one(key, Window::default()), ..trust(&root, Vec::new()) };
    refused(verdict(&root, None, &none), "no certificate transparency log has promised");
    verdict(&root, None, &trust(&root, Vec::new())).expect("none is asked for");
}

/// A log of our own, to promise what we like.
mod own {
    use super::*;
    use p256::ecdsa::signature::Signer as _;
    use p256::ecdsa::{DerSignature, SigningKey};
    use p256::pkcs8::{EncodePublicKey as _, LineEnding};

    pub(super) fn key() -> SigningKey {
        SigningKey::from_slice(&[7; 32]).expect("a key")
    }

    pub(super) fn log() -> CtLog {
        let pem = key().verifying_key().to_public_key_pem(LineEnding::LF).expect("a key");
        super::log(&pem, Window::default())
    }

    /// The answer of the log to a certificate.
    pub(super) fn answer(der: &[u8], algorithm: [u8; 2], version: u8) -> String {
        let unsigned = Sct {
            log_id: log().id(),
            timestamp: 1_700_000_000_000,
            extensions: vec![1, 2, 3],
            algorithm,
            signature: Vec::new(),
        };
        let entry = [[0, 0].as_slice(), &length24(der.len()), der].concat();
        let signature: DerSignature = key().sign(&unsigned.signed(&entry));
        let length = u16::try_from(signature.as_bytes().len()).expect("short").to_be_bytes();
        let signed = [algorithm.as_slice(), &length, signature.as_bytes()].concat();
        serde_json::json!({
            "sct_version": version,
            "id": STANDARD.encode(unsigned.log_id),
            "timestamp": unsigned.timestamp,
            "extensions": STANDARD.encode(unsigned.extensions),
            "signature": STANDARD.encode(signed),
        })
        .to_string()
    }
}

#[test]
fn a_promise_may_come_beside_the_certificate() {
    let [leaf, chain, _] = PUBLIC;
    let trust = trust(chain, vec![own::log()]);
    let der = Certificates::read(&[leaf.to_owned()]).expect("a certificate").der().to_vec();
    let check = |answer: &str, expect: Result<(), &str>| {
        let found = verdict(leaf, Some(answer.as_bytes()), &trust);
        match expect {
            Ok(()) => found.expect("it holds"),
            Err(part) => refused(found, part),
        }
    };
    check(&own::answer(&der, [4, 3], 0), Ok(()));
    check(&own::answer(&der, [4, 3], 1), Err("cannot be read"));
    check(&own::answer(&der, [4, 1], 0), Err("by an algorithm that its key has not"));
    check(&own::answer(&der, [2, 3], 0), Err("by an algorithm that its key has not"));
    check(&own::answer(&der[1..], [4, 3], 0), Err("does not match the certificate"));
    check("{}", Err("cannot be read"));
    check("null", Err("cannot be read"));
    let long =
        own::answer(&der, [4, 3], 0).replace(r#""extensions":"AQID""#, r#""extensions":"%""#);
    check(&long, Err("cannot be read"));
}

#[test]
fn lists_are_read_to_the_end_or_not_at_all() {
    let [leaf, ..] = PUBLIC;
    let certificates = Certificates::read(&[leaf.to_owned()]).expect("a certificate");
    let (scts, _) = embedded(&certificates, &Trust::default()).expect("promises");
    assert_eq!(scts.len(), 1);
    assert_eq!(scts[0].timestamp, MOMENT);
    for list in [&[][..], &[0], &[0, 1], &[0, 2, 0, 1], &[0, 3, 0, 1, 0], &[0, 0, 0]] {
        assert_eq!(read_list(list), None, "{list:?}");
    }
    assert_eq!(read_list(&[0, 0]), Some(Vec::new()));
}

#[test]
fn a_certificate_without_the_list_is_otherwise_the_same() {
    let [leaf, ..] = PUBLIC;
    let certificates = Certificates::read(&[leaf.to_owned()]).expect("a certificate");
    let tbs = without_list(certificates.der()).expect("it can be taken out");
    let found = x509_cert::TbsCertificate::from_der(&tbs).expect("a certificate");
    let whole = certificates.leaf().tbs_certificate();
    assert_eq!(found.subject_public_key_info(), whole.subject_public_key_info());
    let ids = |tbs: &x509_cert::TbsCertificate| -> Vec<_> {
        tbs.extensions().into_iter().flatten().map(|one| one.extn_id).collect()
    };
    let mut expected = ids(whole);
    expected.retain(|id| *id != SCT_LIST);
    assert_eq!(ids(&found), expected);
    assert_eq!(tbs, without_list(certificates.der()).expect("again"));
    without_list(&[0x30, 0x03, 0x02, 0x01, 0x00]).expect_err("no certificate");
    without_list(&[]).expect_err("nothing");
}

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes: Vec<u8>) {
        let _ = read_list(&bytes);
        let _ = Sct::read(&bytes);
        let _ = from_json(&bytes);
        let _ = without_list(&bytes);
    }

    #[test]
    fn a_changed_certificate_is_not_promised(at in 0usize..600, bit in 0u8..8) {
        let [leaf, chain, key] = PUBLIC;
        let mut der = Certificates::read(&[leaf.to_owned()]).expect("a certificate").der().to_vec();
        let tbs = without_list(&der).expect("a certificate");
        der[at] ^= 1 << bit;
        let pem = der::pem::encode_string("CERTIFICATE", Default::default(), &der).expect("PEM");
        // What is not signed by the log may change: the signature of the authority, and the promise itself.
        if without_list(&der).is_ok_and(|changed| changed != tbs)
            && let Ok(changed) = Certificates::read(&[pem])
        {
            let trust = trust(chain, vec![log(key, Window::default())]);
            prop_assert!(check(&changed, None, &trust).is_err());
        }
    }
}
