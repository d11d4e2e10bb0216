//! Signs a payload, or takes over the signature of an earlier attempt.

use std::sync::Arc;

use chains_core::dsse::{self, Envelope};
use chains_core::{
    Payload, Result, Signature, Signed, Signer, TargetProgress, VerificationMaterial, Wrapping,
};

/// A payload's signature in its final form.
#[derive(Debug)]
pub(crate) struct SignedPayload {
    pub(crate) signed: Signed,
    pub(crate) material: Arc<VerificationMaterial>,
    /// Whether it was taken over.
    pub(crate) resumed: bool,
}

/// What an earlier attempt left of a target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) target: &'a TargetProgress,
    /// The certificate of the signature, DER.
    pub(crate) certificate: Option<&'a [u8]>,
}

/// Signs, unless an earlier attempt left a signature that holds. With `logs`, one by an earlier certificate holds too.
pub(crate) async fn sign(
    signer: &dyn Signer,
    payload: &Payload,
    earlier: Option<Left<'_>>,
    logs: bool,
) -> Result<SignedPayload> {
    match resume(signer, &message(payload), earlier, logs).await? {
        Some(signature) => Ok(finish(payload, signature, true)),
        None => fresh(signer, payload).await,
    }
}

/// Signs.
pub(crate) async fn fresh(signer: &dyn Signer, payload: &Payload) -> Result<SignedPayload> {
    let signature = signer.sign(&message(payload)).await?;
    Ok(finish(payload, signature, false))
}

fn finish(payload: &Payload, signature: Signature, resumed: bool) -> SignedPayload {
    let signed = match payload.wrapping {
        Wrapping::Dsse => {
            Signed::Dsse(Envelope::new(payload.media_type, payload.bytes.clone(), &signature))
        }
        Wrapping::Detached => Signed::Detached(signature.bytes),
    };
    SignedPayload { signed, material: signature.material, resumed }
}

/// What the signature is over.
fn message(payload: &Payload) -> Vec<u8> {
    match payload.wrapping {
        Wrapping::Dsse => dsse::pae(payload.media_type, &payload.bytes),
        Wrapping::Detached => payload.bytes.to_vec(),
    }
}

/// The signature of an earlier attempt, where the signer's present key verifies it, or that of an earlier certificate of
/// its own.
///
/// Anyone who may annotate runs may write there, so what does not verify is not an error: it is signed anew.
async fn resume(
    signer: &dyn Signer,
    message: &[u8],
    earlier: Option<Left<'_>>,
    logs: bool,
) -> Result<Option<Signature>> {
    let Some(earlier) = earlier.filter(|earlier| !earlier.target.signature.is_empty()) else {
        return Ok(None);
    };
    let present = signer.material().await?;
    let by = |material: Arc<VerificationMaterial>| {
        let bytes = &earlier.target.signature;
        let verified = chains_verify::verify_any(&material.public_key, message, bytes).ok();
        verified.map(|algorithm| Signature { bytes: bytes.clone(), algorithm, material })
    };
    if let Some(signature) = by(present) {
        return Ok(Some(signature));
    }
    // Without an entry from its time, nobody could tell that the certificate was valid.
    let Some(certificate) = earlier.certificate.filter(|_| logs) else {
        return Ok(None);
    };
    let known = signer.earlier(certificate).await.ok().flatten();
    let known = known.filter(|known| known.is_valid || earlier.target.entry.is_some());
    Ok(known.and_then(|known| by(known.material)))
}
