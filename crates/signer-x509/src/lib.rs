//! Signing with a private key at hand: PKCS#8, SEC1, PKCS#1 and encrypted cosign keys.
//!
//! [`X509Signer`] signs, [`KeyPair`] makes new keys. Keys are decrypted once, when they are read.
//!
//! | key | signature |
//! |---|---|
//! | P-256, P-384 | ECDSA over SHA-256, deterministic ([RFC 6979](https://www.rfc-editor.org/rfc/rfc6979)) |
//! | Ed25519 | Ed25519 over the message itself |
//! | RSA of 2048 to 8192 bits | PKCS#1 v1.5 over SHA-256 |
//!
//! These are what `cosign verify --key` takes without further flags: cosign 2 and 3 both hash with SHA-256
//! whatever the curve. The same key and message always give the same bytes, so that signing a second time
//! stores nothing twice.

mod cosign_key;
mod deterministic;
mod files;
mod key_pair;
mod pem;
mod private_key;
mod signer;

pub use files::{COSIGN_KEY, COSIGN_PASSWORD, COSIGN_PUBLIC_KEY, X509_KEY};
pub use key_pair::{KeyKind, KeyPair};
pub use signer::X509Signer;

use chains_core::{Error, ErrorKind};

pub(crate) fn key_error(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Key, why)
}
