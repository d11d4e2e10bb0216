//! Logs what was signed.

use bytes::Bytes;
use chains_core::{Entry, Payload, Result, Signer, TransparencyLog};

use crate::signing::{self, Left, SignedPayload};

/// Logs it, or finds the entry that an earlier attempt made.
pub(crate) async fn append(
    log: &dyn TransparencyLog,
    payload: &Payload,
    signed: &SignedPayload,
    earlier: Option<Left<'_>>,
) -> Result<Entry> {
    let (content, material) = (&signed.signed, &signed.material);
    if let Some(earlier) =
        earlier.filter(|earlier| signed.resumed && !earlier.target.timestamps.is_empty())
    {
        let timestamps = earlier.target.timestamps.iter().map(|timestamp| timestamp.0.clone());
        let timestamps: Vec<Bytes> = timestamps.collect();
        match log.append_again(payload, content, material, &timestamps).await {
            // Anybody may have written them.
            Err(error) if !error.is_retryable() => {
                tracing::debug!(error = %error.report(), "the timestamps of an earlier attempt are left aside");
            }
            appended => return appended,
        }
    }
    log.append(payload, content, material).await
}

/// Another signature, where the certificate of this one is not the present one any more: that may be what the log
/// refuses.
pub(crate) async fn anew(
    signer: &dyn Signer,
    payload: &Payload,
    signed: &SignedPayload,
) -> Result<Option<SignedPayload>> {
    if signed.material.certificate.is_none() {
        return Ok(None);
    }
    let fresh = signing::fresh(signer, payload).await?;
    Ok((fresh.material != signed.material).then_some(fresh))
}
