//! Verification with public keys: signatures, envelopes, bundles, and what their payloads say.
//!
//! | to check | call |
//! |---|---|
//! | a signature whose algorithm is known | [`verify`] |
//! | a stored signature, which does not tell its algorithm | [`verify_any`] |
//! | a DSSE envelope | [`verify_envelope`] |
//! | what a store gave back | [`verify_stored`] |
//! | a Sigstore bundle | [`verify_bundle`] |
//! | which artifacts an in-toto statement speaks of | [`Statement`] |
//! | which image a simple signing document speaks of | [`SimpleSigning`] |
//!
//! Everything that is verified may have been written by an attacker: the one thing trusted is the key.
//! Each failure is of kind [`Verification`](chains_core::ErrorKind::Verification) and says in its first
//! words which check failed.

mod bundle;
mod envelope;
mod signature;
mod simple_signing;
mod statement;

pub use bundle::{BundleContent, verify_bundle};
pub use envelope::{Verified, verify_detached, verify_envelope, verify_stored};
pub use signature::{candidates, verify, verify_any};
pub use simple_signing::SimpleSigning;
pub use statement::{Statement, check_subject};

use chains_core::{Error, ErrorKind};

pub(crate) fn failed(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Verification, why)
}

/// Text from the outside, fit for an error message: quoted, and cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
