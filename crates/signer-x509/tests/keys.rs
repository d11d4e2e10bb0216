//! Keys that cosign and OpenSSL made are read; what cannot be read is refused with the reason.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy does not see"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::bundle::Bundle;
use chains_core::{ErrorKind, PublicKey, Secret, SignatureAlgorithm};
use chains_signer_x509::X509Signer;
use chains_testkit::signer::{self, Determinism};
use chains_verify::{BundleContent, verify_any, verify_bundle};

const COSIGN2: &str = "test password of cosign 2";
const COSIGN3: &str = "test password of cosign 3";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

fn public(name: &str) -> PublicKey {
    PublicKey::from_pem(&text(name)).unwrap()
}

/// Reads the key and signs with it, and compares its public half.
async fn check(stem: &str, extension: &str, password: Option<&str>, algorithm: SignatureAlgorithm) {
    let password = password.map(Secret::new);
    let pem = text(&format!("{stem}.{extension}"));
    let key = X509Signer::from_pem(&pem, password.as_ref()).unwrap();
    assert_eq!(*key.public_key(), public(&format!("{stem}.pub")), "{stem}");
    assert_eq!(key.algorithm(), algorithm, "{stem}");
    signer::suite(Arc::new(key), Determinism::Deterministic).await;
}

#[tokio::test]
async fn keys_of_openssl() {
    use SignatureAlgorithm as A;
    for (stem, algorithm) in [
        ("test-openssl-p256-sec1", A::EcdsaP256Sha256),
        ("test-openssl-p256-pkcs8", A::EcdsaP256Sha256),
        ("test-openssl-p384-sec1", A::EcdsaP384Sha256),
        ("test-openssl-ed25519", A::Ed25519),
        ("test-openssl-rsa-pkcs1", A::RsaPkcs1Sha256),
        ("test-openssl-rsa-pkcs8", A::RsaPkcs1Sha256),
    ] {
        check(stem, "pem", None, algorithm).await;
    }
}

#[tokio::test]
async fn keys_of_cosign() {
    use SignatureAlgorithm as A;
    for (stem, password, algorithm) in [
        ("test-cosign2", COSIGN2, A::EcdsaP256Sha256),
        ("test-cosign3", COSIGN3, A::EcdsaP256Sha256),
        ("test-cosign3-p384", COSIGN3, A::EcdsaP384Sha256),
        ("test-cosign3-ed25519", COSIGN3, A::Ed25519),
        ("test-cosign3-rsa", COSIGN3, A::RsaPkcs1Sha256),
        ("test-cosign3-empty-password", "", A::EcdsaP256Sha256),
    ] {
        check(stem, "key", Some(password), algorithm).await;
    }
}

#[test]
fn the_label_of_older_keys_is_read() {
    let password = Secret::new(COSIGN2);
    let key = X509Signer::from_pem(&text("test-old-label.key"), Some(&password)).unwrap();
    assert_eq!(*key.public_key(), public("test-cosign2.pub"));
}

#[test]
fn signatures_of_cosign_verify() {
    let message = text("message");
    let signature = STANDARD.decode(text("test-cosign2.sig").trim()).unwrap();
    verify_any(&public("test-cosign2.pub"), message.as_bytes(), &signature).unwrap();
    let bundle = Bundle::from_json(text("test-cosign3.sigstore.json").as_bytes()).unwrap();
    let content = BundleContent::Message(message.as_bytes());
    verify_bundle(&bundle, content, &[public("test-cosign3.pub")]).unwrap();
    verify_bundle(&bundle, content, &[public("test-cosign2.pub")]).unwrap_err();
}

#[test]
fn other_line_ends_widths_and_surroundings_are_read() {
    let pem = text("test-openssl-p256-pkcs8.pem");
    let expected = public("test-openssl-p256-pkcs8.pub");
    let read = |text: &str| X509Signer::from_pem(text, None).unwrap().public_key().clone();
    assert_eq!(read(&pem.replace('\n', "\r\n")), expected);
    assert_eq!(read(&format!("some text\n\n  {pem}trailing")), expected);
    let wide =
        pem.replace("KEY-----\n", "KEY-----;").replace('\n', "").replace("-----;", "-----\n");
    assert_eq!(read(&wide.replace("-----END", "\n-----END")), expected);
    assert_eq!(read(&format!("{}{pem}", text("test-cosign2.pub"))), expected);
    assert_eq!(read(pem.trim_end()), expected);
}

/// Every error is of kind `key`, has these words, and shows nothing of the file.
fn check_refused(pem: &str, password: Option<&str>, words: &str) {
    let password = password.map(Secret::new);
    let error = X509Signer::from_pem(pem, password.as_ref()).unwrap_err();
    let report = error.report();
    assert_eq!(error.kind(), ErrorKind::Key, "{report}");
    assert!(!error.is_retryable(), "{report}");
    assert!(report.contains(words), "{report:?} has not {words:?}");
    for line in pem.lines().filter(|line| line.len() > 30 && !line.contains("KEY")) {
        assert!(!report.contains(line), "the key shows: {report}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    let file = |name: &str, words: &str| check_refused(&text(name), None, words);
    file("test-openssl-p521-sec1.pem", "P-521 are not supported: use P-256 or P-384");
    file("test-openssl-p521-pkcs8.pem", "P-521 are not supported: use P-256 or P-384");
    file("test-openssl-encrypted-pkcs8.pem", "encrypted PKCS#8 is not supported");
    file("test-openssl-encrypted-sec1.pem", "encrypted in OpenSSL's old form");
    file("test-openssl-p256-explicit.pem", "must name its curve");
    file("test-openssl-x25519.pem", "1.3.101.110 are not supported");
    file("test-openssl-rsa-1024.pem", "2048 to 8192 bits");
    file("test-cosign2.pub", "it is a public key, and signing needs the private one");
    file("test-cosign2.key", "the key is encrypted and no password was given");
    check_refused("", None, "it is not PEM");
    check_refused("hello", None, "it is not PEM");
    check_refused("-----BEGIN PRIVATE KEY", None, "has no end");
    check_refused("-----BEGIN PRIVATE KEY-----\nAAAA", None, "no line `-----END PRIVATE KEY-----`");
    check_refused(
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
        None,
        "CERTIFICATE",
    );
    let block =
        |body: &str| format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    check_refused(&block(""), None, "nothing between");
    check_refused(&block("%%%%"), None, "decoding the PEM");
    check_refused(&block("ääää".repeat(40).as_str()), None, "decoding the PEM");
    check_refused(&block("MAA="), None, "reading the PKCS#8 key");
    check_refused(&"-----BEGIN ".repeat(100_000), None, "over");
    let dsa = "-----BEGIN DSA PRIVATE KEY-----\nMAA=\n-----END DSA PRIVATE KEY-----\n";
    check_refused(dsa, None, "DSA PRIVATE KEY is not supported");
}

#[test]
fn wrong_passwords_are_told() {
    let pem = text("test-cosign2.key");
    check_refused(&pem, Some("wrong"), "the password is wrong, or the key has been changed");
    check_refused(&pem, Some(""), "the password is wrong");
    let with_newline = format!("{COSIGN2}\n");
    check_refused(&pem, Some(&with_newline), "it ends in a line break");
}

/// Changes the JSON inside the PEM.
fn changed(change: impl FnOnce(String) -> String) -> String {
    let pem = text("test-cosign2.key");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let json = String::from_utf8(STANDARD.decode(body).unwrap()).unwrap();
    let label = "ENCRYPTED SIGSTORE PRIVATE KEY";
    let body = STANDARD.encode(change(json));
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[test]
fn hostile_cosign_keys_are_refused_before_they_cost_anything() {
    let check = |from: &str, to: &str, words: &str| {
        let pem = changed(|json| json.replace(from, to));
        check_refused(&pem, Some(COSIGN2), words);
    };
    let bounds = "N=32768, 65536 or 131072 with r=8, p=1";
    check("65536", "1073741824", bounds);
    check("65536", "18446744073709551615", bounds);
    check("65536", "0", bounds);
    check("65536", "-1", "reading the JSON");
    check("\"r\":8", "\"r\":4294967295", bounds);
    check("\"p\":1", "\"p\":1000000", bounds);
    check("scrypt", "md5", "supported are scrypt");
    check("nacl/secretbox", "none", "supported are scrypt and nacl/secretbox");
    check("\"nonce\":\"", "\"nonce\":\"AAAA", "24 bytes");
    check("\"salt\":\"", "\"salt\":\"%", "reading the salt");
    check_refused(&changed(|_| "{".to_owned()), Some(COSIGN2), "reading the JSON");
    check_refused(&changed(|_| "[".repeat(90_000)), Some(COSIGN2), "reading the JSON");
    let short = changed(|json| {
        let start = json.find("ciphertext").unwrap();
        format!("{}ciphertext\":\"AAAA\"}}", &json[..start])
    });
    check_refused(&short, Some(COSIGN2), "the password is wrong, or the key has been changed");
}

#[test]
fn nothing_of_the_key_shows() {
    let key = X509Signer::from_pem(&text("test-openssl-p256-pkcs8.pem"), None).unwrap();
    let shown = format!("{key:?}");
    assert!(shown.contains("[redacted]"), "{shown}");
}
