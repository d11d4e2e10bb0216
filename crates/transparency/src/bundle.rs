//! The entries and timestamps of a Sigstore bundle, verified without a network.

use std::collections::BTreeSet;

use bytes::Bytes;
use chains_core::bundle::{Bundle, Content, KeyMaterial, MessageSignature, Version};
use chains_core::{Error, ErrorKind, PublicKey, Result};

use crate::entry::{Evidence, VerifiedEntry, entry_of_bundle, verify_entry};
use crate::fault::failed;
use crate::logged::{HashName, Logged, LoggedContent, Verifier, is_self_issued};
use crate::root::TrustedRoot;
use crate::tsa::{VerifiedTimestamp, verify_timestamps};

/// What a bundle must have to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundlePolicy {
    /// Entries in so many different logs of the trusted root.
    pub entries: usize,
    /// So many different sources of time: logs that promised, and timestamp authorities.
    pub times: usize,
}

impl BundlePolicy {
    /// For signatures with a key that is known: one entry, no time.
    pub const KEY: Self = Self { entries: 1, times: 0 };
    /// For signatures with a certificate, which was valid for minutes: one entry and one time.
    pub const CERTIFICATE: Self = Self { entries: 1, times: 1 };
}

/// What holds of a bundle's entries and timestamps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleEvidence {
    /// Entries; entries of logs that are not in the trusted root are left out.
    pub entries: Vec<VerifiedEntry>,
    /// Timestamps; those of authorities that are not in the trusted root are left out.
    pub timestamps: Vec<VerifiedTimestamp>,
}

impl BundleEvidence {
    /// When logs and authorities saw the signature, in seconds since 1970: the certificate must have been valid at each.
    #[must_use]
    pub fn times(&self) -> Vec<i64> {
        let entries = self.entries.iter().filter_map(|entry| entry.integrated_time);
        entries.chain(self.timestamps.iter().map(|timestamp| timestamp.time)).collect()
    }
}

/// Checks the entries and timestamps of a bundle against a trusted root.
///
/// `message` is what a detached signature is over; `key` is the key that verifies, where the bundle has no certificate.
/// The signature itself, the chain of a certificate and the identity in it are not looked at here: that a certificate
/// was valid when it was used is.
///
/// # Errors
/// [`ErrorKind::Verification`] naming the check: one entry of a trusted log that does not hold is enough, as are too few
/// entries or times. [`ErrorKind::InvalidInput`] where `message` or `key` is missing.
pub fn verify_bundle_evidence(
    bundle: &Bundle,
    message: Option<&[u8]>,
    key: Option<&PublicKey>,
    root: &TrustedRoot,
    policy: BundlePolicy,
) -> Result<BundleEvidence> {
    check_above(bundle)?;
    let logged = logged(bundle, message, key)?;
    let entries = entries(bundle, &logged, root)?;
    let logs: BTreeSet<_> = entries.iter().map(|entry| entry.log).collect();
    if logs.len() < policy.entries {
        let (found, wanted) = (logs.len(), policy.entries);
        return Err(failed(format!("log entry: {found} of a trusted log, {wanted} are wanted")));
    }
    let (timestamps, why) = timestamps(bundle, &logged, root)?;
    let promised = entries.iter().filter(|entry| entry.integrated_time.is_some());
    let found = promised.map(|entry| entry.log).collect::<BTreeSet<_>>().len() + timestamps.len();
    if found < policy.times {
        let error = failed(format!("time: {found} trusted, {} wanted", policy.times));
        return Err(match why {
            Some(why) => error.with_source(why),
            None => error,
        });
    }
    Ok(BundleEvidence { entries, timestamps })
}

fn logged<'a>(
    bundle: &'a Bundle,
    message: Option<&'a [u8]>,
    key: Option<&PublicKey>,
) -> Result<Logged<'a>> {
    let missing = |what: &str| {
        let why = format!("verifying the log entries of a bundle: {what}");
        Error::new(ErrorKind::InvalidInput, why)
    };
    let verifier = match (&bundle.verification_material.key, key) {
        (KeyMaterial::Certificate(certificate), _) => {
            Verifier::from_certificate_der(&certificate.raw_bytes)?
        }
        (KeyMaterial::PublicKey(_), Some(key)) => Verifier::Key(key.clone()),
        (KeyMaterial::PublicKey(_), None) => {
            return Err(missing("it needs the key that signed it"));
        }
    };
    let (content, signature) = match &bundle.content {
        Content::DsseEnvelope(envelope) => {
            let [signature] = envelope.signatures.as_slice() else {
                return Err(failed("signature: the envelope of a bundle has exactly one"));
            };
            let (payload_type, payload) = (&envelope.payload_type, &envelope.payload);
            (LoggedContent::Envelope { payload_type, payload }, &signature.sig)
        }
        Content::MessageSignature(signature) => {
            let message = message.ok_or_else(|| missing("it needs the message that is signed"))?;
            check_digest(signature, message)?;
            (LoggedContent::Message(message), &signature.signature)
        }
    };
    Ok(Logged { content, signature, verifier })
}

/// A bundle that brings its own root wants to be believed for what it says itself: the format forbids that.
fn check_above(bundle: &Bundle) -> Result<()> {
    for certificate in &bundle.verification_material.above {
        if is_self_issued(&certificate.raw_bytes)? {
            return Err(failed("certificate chain: the bundle holds a root certificate"));
        }
    }
    Ok(())
}

/// The digest in a bundle is a hint that nobody signed; one that is wrong shows that the bundle is of something else.
fn check_digest(signature: &MessageSignature, message: &[u8]) -> Result<()> {
    let Some(told) = &signature.message_digest else {
        return Ok(());
    };
    match HashName::from_v2(&told.algorithm) {
        Some(hash) if hash.of(message).as_ref() != told.digest => {
            Err(failed("message digest: the bundle is about another message"))
        }
        _ => Ok(()),
    }
}

fn entries(bundle: &Bundle, logged: &Logged<'_>, root: &TrustedRoot) -> Result<Vec<VerifiedEntry>> {
    // The first version of the format takes the log's promise for enough.
    let evidence = match bundle.version() {
        Some(Version::V0_1) => Evidence::PromiseOrProof,
        _ => Evidence::Proof,
    };
    let mut seen = BTreeSet::new();
    let mut verified = Vec::new();
    for entry in &bundle.verification_material.tlog_entries {
        if !seen.insert((entry.log_id.key_id.clone(), entry.log_index)) {
            return Err(failed("log entry: the same is there twice"));
        }
        let entry = entry_of_bundle(entry)?;
        if root.logs.iter().any(|log| log.is_named_by(&entry)) {
            verified.push(verify_entry(&entry, logged, &root.logs, evidence)?);
        }
    }
    Ok(verified)
}

/// The timestamps that hold, and why others do not.
fn timestamps(
    bundle: &Bundle,
    logged: &Logged<'_>,
    root: &TrustedRoot,
) -> Result<(Vec<VerifiedTimestamp>, Option<Error>)> {
    let data = bundle.verification_material.timestamp_verification_data.as_ref();
    let all: Vec<&Bytes> = data
        .iter()
        .flat_map(|data| &data.rfc3161_timestamps)
        .map(|t| &t.signed_timestamp)
        .collect();
    if all.is_empty() {
        return Ok((Vec::new(), None));
    }
    match verify_timestamps(all, logged.signature, &root.timestamp_authorities) {
        Ok(timestamps) => {
            for timestamp in &timestamps {
                logged.verifier.check_valid_at(timestamp.time, "timestamp: time")?;
            }
            Ok((timestamps, None))
        }
        Err(why) => Ok((Vec::new(), Some(why))),
    }
}
