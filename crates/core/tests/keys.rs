//! Public keys of OpenSSL, with the fingerprints that `ssh-keygen -l` tells, and what is refused.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::fs;
use std::path::PathBuf;

use chains_core::{ErrorKind, PublicKey, bundle::key_hint};
use proptest::prelude::*;

fn pem(name: &str) -> String {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    fs::read_to_string(dir.join(format!("{name}.pub"))).unwrap()
}

fn check(name: &str, algorithm: &str, fingerprint: &str) {
    let pem = pem(name);
    let key = PublicKey::from_pem(&pem).unwrap();
    assert_eq!(key.algorithm().as_str(), algorithm);
    assert_eq!(key.id(), fingerprint, "{name}");
    assert_eq!(key.to_pem().unwrap(), pem, "{name}");
    assert_eq!(PublicKey::from_spki_der(key.spki_der()).unwrap(), key);
}

#[test]
fn ids_are_the_fingerprints_of_openssh() {
    check("p256", "ecdsa-p256", "SHA256:b+6Vtcce3UyxSeuQdG3h5v14bQMn3qiodQIxS4POdmM");
    check("p384", "ecdsa-p384", "SHA256:LDVb2JZVWYkz5eQ7s5xa+s69Jsi7Opr9TX8PEcYDUaE");
    check("p521", "ecdsa-p521", "SHA256:zVM1GmmpNnOQc4ZPn0WpRSNZCvzmyKKTplbOCgk5ZCc");
    check("ed25519", "ed25519", "SHA256:W7GiUOIupPT5l0ua+xRgL62ZVrzdYcQUTYwz9d9UWnI");
    check("rsa", "rsa", "SHA256:HGFXuPcs2M447VWFKXk/qBXA0IhH17OB+1QBHm7YAGA");
}

/// What cosign 3.1 wrote into bundles that it signed with this key.
#[test]
fn hints_are_those_of_cosign() {
    let key = PublicKey::from_pem(&pem("ed25519")).unwrap();
    assert_eq!(key_hint(&key), "temsZqeWXZ8qIoCX3kWl9zXBXdYXoSl/YUgZkk6+OmY=");
}

fn check_refused(pem: &str, words: &str) {
    let error = PublicKey::from_pem(pem).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
    assert!(error.report().contains(words), "{:?} has not {words:?}", error.report());
}

#[test]
fn other_keys_are_refused() {
    check_refused(&pem("secp256k1"), "the curve 1.3.132.0.10 is not supported");
    check_refused(&pem("ed448"), "algorithm 1.3.101.113 are not supported");
    check_refused(&pem("explicit"), "the key does not name its curve");
    check_refused(&pem("p256").replace("PUBLIC", "PRIVATE"), "holds a PRIVATE KEY");
    check_refused("", "reading a public key");
    check_refused("hello", "reading a public key");
    check_refused(&pem("rsa").replace("MIIB", "MIIA"), "reading a public key");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = PublicKey::from_spki_der(&bytes);
    }

    /// A key that was changed is refused or another key: it never has the same id.
    #[test]
    fn a_changed_key_has_another_id(
        name in prop::sample::select(vec!["p256", "p384", "ed25519", "rsa"]), at: prop::sample::Index, bit in 0..8_u8
    ) {
        let key = PublicKey::from_pem(&pem(name)).unwrap();
        let mut der = key.spki_der().to_vec();
        let at = at.index(der.len());
        der[at] ^= 1 << bit;
        if let Ok(other) = PublicKey::from_spki_der(&der) {
            prop_assert_ne!(other.spki_der(), key.spki_der());
            if other.raw() != key.raw() {
                prop_assert_ne!(other.id(), key.id());
            }
        }
    }
}
