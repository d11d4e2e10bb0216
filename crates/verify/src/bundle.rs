//! Sigstore bundles that were signed with a key.

use chains_core::bundle::{Bundle, Content, KeyMaterial};
use chains_core::{Error, ErrorKind, PublicKey, Result};

use crate::{Verified, failed, verify_detached, verify_envelope};

/// What the caller holds and expects of a bundle.
#[derive(Debug, Clone, Copy)]
pub enum BundleContent<'a> {
    /// An envelope with this payload type.
    Envelope {
        /// E.g. `application/vnd.in-toto+json`.
        payload_type: &'a str,
    },
    /// A signature over this message.
    Message(&'a [u8]),
}

/// Checks that a bundle's content is what is expected and signed by one of the keys.
///
/// Log entries and timestamps are not looked at: with a key at hand they are not needed to trust the
/// signature. The key hint is not trusted for anything.
///
/// # Errors
/// [`ErrorKind::Verification`] naming the check: kind of content, payload type or signature.
/// [`ErrorKind::Unsupported`] where the bundle was signed with a certificate, [`ErrorKind::Key`] where
/// no key was given.
pub fn verify_bundle(
    bundle: &Bundle,
    expected: BundleContent<'_>,
    keys: &[PublicKey],
) -> Result<Verified> {
    if matches!(bundle.verification_material.key, KeyMaterial::Certificate(_)) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the bundle was signed with a certificate: it is not verified with a key",
        ));
    }
    match (&bundle.content, expected) {
        (Content::DsseEnvelope(envelope), BundleContent::Envelope { payload_type }) => {
            if envelope.signatures.len() != 1 {
                return Err(failed("signature: the envelope of a bundle has exactly one"));
            }
            verify_envelope(envelope, payload_type, keys)
        }
        (Content::MessageSignature(signature), BundleContent::Message(message)) => {
            verify_detached(message, &signature.signature, keys)
        }
        (Content::DsseEnvelope(_), BundleContent::Message(_)) => {
            Err(failed("content: the bundle holds an envelope, expected is a message signature"))
        }
        (Content::MessageSignature(_), BundleContent::Envelope { .. }) => {
            Err(failed("content: the bundle holds a message signature, expected is an envelope"))
        }
    }
}
