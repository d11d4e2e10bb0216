//! Servers and keys of the tests.

pub(crate) mod cloudkms;
pub(crate) mod keys;
pub(crate) mod server;

use std::error::Error as _;
use std::time::Duration;

use chains_core::{Error, Signature, Signer};
use chains_signer_kms::{KmsOptions, KmsSigner, Limits, Variables};

/// A signer for the reference, with these variables and no others.
pub(crate) fn signer(reference: &str, variables: &[(&str, &str)]) -> KmsSigner {
    signer_of(options(reference, variables))
}

pub(crate) fn signer_of(options: KmsOptions) -> KmsSigner {
    KmsSigner::new(options).unwrap_or_else(|e| panic!("{}", e.report()))
}

pub(crate) fn options(reference: &str, variables: &[(&str, &str)]) -> KmsOptions {
    let mut options = KmsOptions::new(reference.parse().unwrap());
    options.variables = Variables::of(variables.iter().copied());
    // Tests need not wait for what never comes.
    let request_timeout = Duration::from_secs(5);
    options.limits = Limits { request_timeout, ..Limits::default() };
    options
}

/// A signature that verifies.
pub(crate) async fn signed(signer: &dyn Signer, message: &[u8]) -> Signature {
    let signature = signer.sign(message).await.unwrap_or_else(|e| panic!("{}", e.report()));
    let key = &signature.material.public_key;
    chains_verify::verify(key, signature.algorithm, message, &signature.bytes).unwrap();
    signature
}

/// The failure of a signature.
pub(crate) async fn refused(signer: &dyn Signer) -> Error {
    signer.sign(b"message").await.expect_err("it is refused")
}

/// The failure is of this kind, in these words.
pub(crate) fn check(error: &Error, kind: &str, words: &[&str]) {
    assert_eq!(error.kind().as_str(), kind, "{}", error.report());
    assert!(error.source().is_some(), "why is the source: {}", error.report());
    for word in words {
        assert!(error.report().contains(word), "{:?} has not {word:?}", error.report());
    }
}
