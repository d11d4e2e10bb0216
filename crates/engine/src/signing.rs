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

/// Signs, unless an earlier attempt left a signature that holds.
pub(crate) async fn sign(
    signer: &dyn Signer,
    payload: &Payload,
    earlier: Option<&TargetProgress>,
) -> Result<SignedPayload> {
    let message = message(payload);
    let (signature, resumed) = match resume(signer, &message, earlier).await? {
        Some(signature) => (signature, true),
        None => (signer.sign(&message).await?, false),
    };
    let signed = match payload.wrapping {
        Wrapping::Dsse => {
            Signed::Dsse(Envelope::new(payload.media_type, payload.bytes.clone(), &signature))
        }
        Wrapping::Detached => Signed::Detached(signature.bytes),
    };
    Ok(SignedPayload { signed, material: signature.material, resumed })
}

/// What the signature is over.
fn message(payload: &Payload) -> Vec<u8> {
    match payload.wrapping {
        Wrapping::Dsse => dsse::pae(payload.media_type, &payload.bytes),
        Wrapping::Detached => payload.bytes.to_vec(),
    }
}

/// The signature of an earlier attempt, where the signer's present key verifies it.
///
/// Anyone who may annotate runs may write there, so what does not verify is not an error: it is signed anew.
async fn resume(
    signer: &dyn Signer,
    message: &[u8],
    earlier: Option<&TargetProgress>,
) -> Result<Option<Signature>> {
    let Some(earlier) = earlier.filter(|earlier| !earlier.signature.is_empty()) else {
        return Ok(None);
    };
    let material = signer.material().await?;
    let verified =
        chains_verify::verify_any(&material.public_key, message, &earlier.signature).ok();
    Ok(verified.map(|algorithm| Signature {
        bytes: earlier.signature.clone(),
        algorithm,
        material,
    }))
}
