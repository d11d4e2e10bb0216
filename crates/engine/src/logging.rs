//! Logs what was signed.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use chains_core::{Entry, Error, ErrorKind, Payload, Result, Signer, TransparencyLog};

use crate::plan::LogRoute;
use crate::signing::{self, Left, SignedPayload};

/// The log in one attempt at a run.
pub(crate) struct Logging<'a> {
    route: &'a LogRoute,
    /// Whether it let one target wait in vain: the others do not wait for the same, one after the other, until the time
    /// for storing is over too.
    is_silent: AtomicBool,
}

impl<'a> Logging<'a> {
    pub(crate) const fn new(route: &'a LogRoute) -> Self {
        Self { route, is_silent: AtomicBool::new(false) }
    }

    /// Whether nothing is stored before it is logged.
    pub(crate) const fn is_required(&self) -> bool {
        self.route.required
    }

    /// Logs it, or finds the entry that an earlier attempt made.
    pub(crate) async fn append(
        &self,
        payload: &Payload,
        signed: &SignedPayload,
        earlier: Option<Left<'_>>,
    ) -> Result<Entry> {
        let log = self.route.log.as_ref();
        if self.is_silent.load(Ordering::Relaxed) {
            let why = format!("logging in {}: it let another target of the run wait", log.url());
            return Err(Error::new(ErrorKind::Timeout, why));
        }
        let appended = append(log, payload, signed, earlier).await;
        if appended.as_ref().is_err_and(|error| error.kind() == ErrorKind::Timeout) {
            self.is_silent.store(true, Ordering::Relaxed);
        }
        appended
    }
}

async fn append(
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
