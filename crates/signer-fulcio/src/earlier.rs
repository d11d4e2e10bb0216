//! Whether a certificate that somebody shows is one that this signer had before.

use std::sync::Arc;
use std::time::SystemTime;

use chains_core::{Earlier, PublicKey, VerificationMaterial};
use x509_cert::der::Encode as _;

use crate::Identity;
use crate::certificate::{Certificates, der_of_one, to_pem};
use crate::issue::margin;

/// No certificate of Fulcio comes near.
const MAX_CERTIFICATE: usize = 16 * 1024;

/// The earlier certificate, where it is as the present one: of the same identity, and by the same authority.
///
/// The present one was checked when it was issued, so its authority is the one that is trusted.
pub(crate) fn of(
    present: &VerificationMaterial,
    certificate: &[u8],
    now: SystemTime,
) -> Option<Earlier> {
    if certificate.len() > MAX_CERTIFICATE {
        return None;
    }
    let chain = present.chain.as_ref()?;
    let own = Identity::of_certificate(&der_of_one(present.certificate.as_ref()?).ok()?).ok()?;
    if own.subjects.is_empty() || Identity::of_certificate(certificate).ok()? != own {
        return None;
    }
    let pem = to_pem(certificate).ok()?;
    let certificates = Certificates::of(certificate, Some(chain)).ok()?;
    let spki = certificates.leaf().tbs_certificate().subject_public_key_info().to_der().ok()?;
    let public_key = PublicKey::from_spki_der(&spki).ok()?;
    certificates.check(&public_key, None, now).ok()?;
    let (start, end) = certificates.validity();
    let left = end.duration_since(now).unwrap_or_default();
    let lifetime = end.duration_since(start).unwrap_or_default();
    let material =
        VerificationMaterial { public_key, certificate: Some(pem), chain: Some(chain.clone()) };
    Some(Earlier { material: Arc::new(material), is_valid: left > margin(lifetime) })
}
