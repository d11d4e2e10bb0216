//! Signatures that OpenSSL made, of every algorithm, and what was changed about them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::fs;
use std::path::PathBuf;

use chains_core::{ErrorKind, PublicKey, SignatureAlgorithm as A};
use chains_verify::{candidates, verify, verify_any};

const ALL: [(&str, A); 12] = [
    ("p256", A::EcdsaP256Sha256),
    ("p384", A::EcdsaP384Sha256),
    ("p384", A::EcdsaP384Sha384),
    ("p521", A::EcdsaP521Sha256),
    ("p521", A::EcdsaP521Sha512),
    ("ed25519", A::Ed25519),
    ("rsa", A::RsaPkcs1Sha256),
    ("rsa", A::RsaPkcs1Sha512),
    ("rsa", A::RsaPssSha256),
    ("rsa", A::RsaPssSha512),
    ("rsa-3072", A::RsaPkcs1Sha384),
    ("rsa-3072", A::RsaPssSha384),
];

fn fixture(name: &str) -> Vec<u8> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(dir.join(name)).unwrap()
}

fn key(name: &str) -> PublicKey {
    let pem = String::from_utf8(fixture(&format!("{name}.pub"))).unwrap();
    PublicKey::from_pem(&pem).unwrap()
}

fn signature(algorithm: A) -> Vec<u8> {
    fixture(&format!("{}.sig", algorithm.as_str()))
}

#[test]
fn every_algorithm_verifies_and_is_found() {
    let message = fixture("message");
    for (name, algorithm) in ALL {
        let (key, signature) = (key(name), signature(algorithm));
        verify(&key, algorithm, &message, &signature).unwrap();
        assert_eq!(verify_any(&key, &message, &signature).unwrap(), algorithm);
        assert!(candidates(key.algorithm()).contains(&algorithm));
    }
}

#[test]
fn another_message_key_or_signature_does_not_verify() {
    let message = fixture("message");
    for (name, algorithm) in ALL {
        let (key, good) = (key(name), signature(algorithm));
        let refused = |message: &[u8], signature: &[u8]| {
            let error = verify(&key, algorithm, message, signature).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Verification);
            let error = verify_any(&key, message, signature).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Verification);
        };
        refused(b"another message", &good);
        refused(&message, b"");
        refused(&message, &good[1..]);
        refused(&message, &[good.as_slice(), b"\0"].concat());
        refused(&message, &vec![0; good.len()]);
        for index in 0..good.len() {
            let mut changed = good.clone();
            changed[index] ^= 1;
            refused(&message, &changed);
        }
        for (other_name, other_algorithm) in ALL {
            if other_algorithm != algorithm {
                let other = self::key(other_name);
                assert!(verify(&other, algorithm, &message, &signature(other_algorithm)).is_err());
            }
        }
    }
}

#[test]
fn an_algorithm_of_another_kind_of_key_is_the_callers_mistake() {
    let error = verify(&key("p256"), A::Ed25519, b"", b"").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
    assert_eq!(error.to_string(), "a key of kind ecdsa-p256 does not verify ed25519 signatures");
}
