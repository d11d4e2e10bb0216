//! Folders as Kubernetes mounts them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::fs;
use std::path::{Path, PathBuf};

use chains_core::ErrorKind;
use chains_signer_x509::X509Signer;
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A folder with fixtures and texts under other names.
fn folder(copies: &[(&str, &str)], texts: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (from, to) in copies {
        fs::copy(fixture(from), dir.path().join(to)).unwrap();
    }
    for (name, text) in texts {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn refused(dir: &Path, words: &str) {
    let error = X509Signer::from_dir(dir).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key);
    assert!(error.report().contains(words), "{:?} has not {words:?}", error.report());
}

const PASSWORD: (&str, &str) = ("cosign.password", "test password of cosign 2");

#[test]
fn the_plain_key_comes_first() {
    let copies = [("test-openssl-ed25519.pem", "x509.pem"), ("test-cosign2.key", "cosign.key")];
    let signer = X509Signer::from_dir(folder(&copies, &[]).path()).unwrap();
    let expected = fs::read_to_string(fixture("test-openssl-ed25519.pub")).unwrap();
    assert_eq!(signer.public_key().to_pem().unwrap(), expected);
}

#[test]
fn a_cosign_key_comes_with_its_password_and_public_key() {
    let copies = [("test-cosign2.key", "cosign.key"), ("test-cosign2.pub", "cosign.pub")];
    let dir = folder(&copies, &[PASSWORD]);
    let signer = X509Signer::from_dir(dir.path()).unwrap();
    let expected = fs::read_to_string(fixture("test-cosign2.pub")).unwrap();
    assert_eq!(signer.public_key().to_pem().unwrap(), expected);
}

#[test]
fn halves_of_two_pairs_are_refused() {
    let copies = [("test-cosign2.key", "cosign.key"), ("test-cosign3.pub", "cosign.pub")];
    refused(folder(&copies, &[PASSWORD]).path(), "is of another pair");
}

#[test]
fn what_is_missing_or_broken_is_named() {
    refused(folder(&[], &[]).path(), "looked for x509.pem and cosign.key");
    refused(Path::new("/no/such/folder"), "/no/such/folder");
    let key = [("test-cosign2.key", "cosign.key")];
    refused(folder(&key, &[]).path(), "the key is encrypted and no password was given");
    refused(folder(&key, &[("cosign.password", "x")]).path(), "cosign.key");
    // A broken key is not passed over for another.
    refused(folder(&key, &[PASSWORD, ("x509.pem", "")]).path(), "x509.pem");
    let dir = folder(&[], &[]);
    fs::create_dir(dir.path().join("x509.pem")).unwrap();
    refused(dir.path(), "x509.pem");
    fs::remove_dir(dir.path().join("x509.pem")).unwrap();
    fs::write(dir.path().join("x509.pem"), [0xff, 0xfe]).unwrap();
    refused(dir.path(), "UTF-8");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = X509Signer::from_file(Path::new("/no/such.key"), None).unwrap_err();
    assert_eq!(error.report(), "the key file /no/such.key is not there");
}

#[test]
fn bytes_by_name_are_read_as_a_folder_is() {
    let entries = [
        ("cosign.key", fs::read(fixture("test-cosign2.key")).unwrap()),
        ("cosign.password", PASSWORD.1.into()),
        ("cosign.pub", fs::read(fixture("test-cosign2.pub")).unwrap()),
    ];
    let read = |present: usize| {
        X509Signer::from_entries("k8s://ci/keys", |name| {
            let found = entries.iter().take(present).find(|(key, _)| *key == name);
            Ok(found.map(|(_, bytes)| bytes.clone()))
        })
    };
    let expected = fs::read_to_string(fixture("test-cosign2.pub")).unwrap();
    assert_eq!(read(3).unwrap().public_key().to_pem().unwrap(), expected);
    let report = |present| read(present).unwrap_err().report();
    assert!(report(1).starts_with("the key cosign.key in k8s://ci/keys: "), "{}", report(1));
    assert_eq!(report(0), "no private key in k8s://ci/keys: looked for x509.pem and cosign.key");
}

#[test]
fn an_entry_that_cannot_be_read_is_not_passed_over() {
    let refuse = |_: &str| Err(chains_core::Error::new(ErrorKind::Unavailable, "no answer"));
    let error = X509Signer::from_entries("k8s://ci/keys", refuse).unwrap_err();
    assert_eq!((error.kind(), error.report().as_str()), (ErrorKind::Unavailable, "no answer"));
}
