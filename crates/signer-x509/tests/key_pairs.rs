//! Keys that are made here are read here, and are all different.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::sync::Arc;

use chains_core::{ErrorKind, PublicKey, Secret};
use chains_signer_x509::{KeyKind, KeyPair, X509Signer};
use chains_testkit::signer::{self, Determinism};

#[tokio::test]
async fn every_kind_signs_and_comes_back() {
    for kind in KeyKind::ALL {
        let pair = KeyPair::generate(kind).unwrap();
        let public = pair.public_key().clone();
        assert_eq!(public.algorithm().as_str(), kind.as_str());
        assert_eq!(PublicKey::from_pem(&pair.public_pem().unwrap()).unwrap(), public);

        let plain = pair.private_pem().unwrap();
        let read = X509Signer::from_pem(plain.expose(), None).unwrap();
        assert_eq!(*read.public_key(), public);

        let password = Secret::new("pässword");
        let encrypted = pair.private_pem_encrypted(&password).unwrap();
        assert!(encrypted.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"));
        assert!(encrypted.lines().all(|line| line.len() <= 64), "{encrypted}");
        let read = X509Signer::from_pem(&encrypted, Some(&password)).unwrap();
        assert_eq!(*read.public_key(), public);
        let wrong = X509Signer::from_pem(&encrypted, Some(&Secret::new("other"))).unwrap_err();
        assert_eq!(wrong.kind(), ErrorKind::Key);

        let signer = pair.into_signer().unwrap();
        assert_eq!(
            signer.sign_message(b"x").unwrap().bytes,
            read.sign_message(b"x").unwrap().bytes,
            "the same key signs the same"
        );
        signer::suite(Arc::new(signer), Determinism::Deterministic).await;
    }
}

#[test]
fn no_two_keys_and_no_two_encryptions_are_the_same() {
    let first = KeyPair::generate(KeyKind::P256).unwrap();
    let second = KeyPair::generate(KeyKind::P256).unwrap();
    assert_ne!(first.public_key(), second.public_key());
    let password = Secret::new("x");
    let encrypt = || first.private_pem_encrypted(&password).unwrap();
    assert_ne!(encrypt(), encrypt());
}

#[test]
fn nothing_of_the_key_shows() {
    let pair = KeyPair::generate(KeyKind::Ed25519).unwrap();
    let pem = pair.private_pem().unwrap();
    assert_eq!(format!("{pem:?}"), "[redacted]");
    let shown = format!("{pair:?}");
    assert!(!shown.contains("PRIVATE") && shown.contains("pkcs8"), "{shown}");
}

#[test]
fn kinds_have_names() {
    for kind in KeyKind::ALL {
        assert_eq!(kind.to_string().parse::<KeyKind>().unwrap(), kind);
    }
    let error = "rsa".parse::<KeyKind>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown kind of key \"rsa\": known are ecdsa-p256, ecdsa-p384, ed25519"
    );
}
