//! Envelopes and detached signatures, against any of several keys.

use chains_core::dsse::Envelope;
use chains_core::{Error, ErrorKind, PublicKey, Result, SignatureAlgorithm, Signed, Stored};

use crate::{failed, quoted, verify_any};

/// No envelope with more signatures is looked at: each costs time, and the caller gave them.
const MAX_SIGNATURES: usize = 64;

/// Which key verified, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Id of the key: its OpenSSH fingerprint.
    pub key_id: String,
    /// Where the key stands among those that were given, from 0.
    pub key_index: usize,
    /// How the signature was made.
    pub algorithm: SignatureAlgorithm,
}

/// Checks that the envelope has the payload type and a signature by one of the keys.
///
/// The envelope's key ids are hints and trusted for nothing: every signature is tried with every key.
///
/// # Errors
/// [`ErrorKind::Verification`] naming the check: payload type, no signature, none by these keys, or a
/// signature that claims one of these keys and is wrong. [`ErrorKind::Key`] where no key was given.
pub fn verify_envelope(
    envelope: &Envelope,
    payload_type: &str,
    keys: &[PublicKey],
) -> Result<Verified> {
    if envelope.payload_type != payload_type {
        return Err(failed(format!(
            "payload type: the envelope has {}, expected is {payload_type:?}",
            quoted(&envelope.payload_type)
        )));
    }
    let count = envelope.signatures.len();
    if count == 0 {
        return Err(failed("signature: the envelope has none"));
    }
    if count > MAX_SIGNATURES {
        return Err(failed(format!("signature: the envelope has {count}, over {MAX_SIGNATURES}")));
    }
    let message = envelope.pae();
    let signatures = envelope.signatures.iter().map(|signature| signature.sig.as_ref());
    find(keys, &message, signatures)?.ok_or_else(|| explain(envelope, keys))
}

/// Checks that a signature over the message is by one of the keys.
///
/// # Errors
/// [`ErrorKind::Verification`] where it is by none; [`ErrorKind::Key`] where no key was given.
pub fn verify_detached(message: &[u8], signature: &[u8], keys: &[PublicKey]) -> Result<Verified> {
    find(keys, message, std::iter::once(signature))?.ok_or_else(|| {
        let ids = ids(keys);
        failed(format!(
            "signature: it is not by {ids} over these bytes: another key made it, or one of them was changed"
        ))
    })
}

/// Checks what a store gave back: that its payload is the one that is signed, and signed by one of the keys.
///
/// # Errors
/// As for [`verify_envelope`] and [`verify_detached`]; [`ErrorKind::Verification`] where the payload beside an
/// envelope is not the one in it, or where there is no signature at all.
pub fn verify_stored(stored: &Stored, payload_type: &str, keys: &[PublicKey]) -> Result<Verified> {
    match &stored.signed {
        None => Err(failed("signature: there is none, the record was stored unsigned")),
        Some(Signed::Detached(signature)) => verify_detached(&stored.payload, signature, keys),
        Some(Signed::Dsse(envelope)) if envelope.payload != stored.payload => {
            Err(failed("payload: the one that is stored is not the one in the envelope"))
        }
        Some(Signed::Dsse(envelope)) => verify_envelope(envelope, payload_type, keys),
    }
}

fn find<'a>(
    keys: &[PublicKey],
    message: &[u8],
    signatures: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<Verified>> {
    if keys.is_empty() {
        return Err(Error::new(ErrorKind::Key, "no key was given to verify with"));
    }
    for signature in signatures {
        for (key_index, key) in keys.iter().enumerate() {
            if let Ok(algorithm) = verify_any(key, message, signature) {
                let key_id = key.id().to_owned();
                return Ok(Some(Verified { key_id, key_index, algorithm }));
            }
        }
    }
    Ok(None)
}

/// Why no signature holds: made with another key, as far as its key id can be believed, or wrong.
fn explain(envelope: &Envelope, keys: &[PublicKey]) -> Error {
    let claims_ours = |id: &str| id.is_empty() || keys.iter().any(|key| key.id() == id);
    let claimed = envelope.signatures.iter().find(|signature| claims_ours(&signature.keyid));
    failed(match claimed {
        Some(signature) if signature.keyid.is_empty() => format!(
            "signature: none is by {} over this payload: another key made it, or one of them was changed",
            ids(keys)
        ),
        Some(signature) => format!(
            "signature: the one by {} is wrong: payload or signature has been changed",
            quoted(&signature.keyid)
        ),
        None => {
            let others: Vec<_> =
                envelope.signatures.iter().take(3).map(|s| quoted(&s.keyid)).collect();
            format!("signature: none is by {}, only by {}", ids(keys), others.join(", "))
        }
    })
}

fn ids(keys: &[PublicKey]) -> String {
    keys.iter().map(PublicKey::id).collect::<Vec<_>>().join(" or ")
}
