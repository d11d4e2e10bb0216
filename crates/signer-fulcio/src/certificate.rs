//! Certificates as a server answers them: read, checked, and written as PEM.
//!
//! The chain is built and checked by `webpki`; what is asked of a certificate here besides is that it is for our
//! key and that it is for signing code.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::PublicKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sha2::{Digest as _, Sha256};
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::Certificate;
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{Decode as _, Encode as _, pem};
use x509_cert::time::Time;

use crate::trust::{Authority, Trust};

/// No chain is longer.
const MAX_CERTIFICATES: usize = 10;
/// `id-kp-codeSigning` ([RFC 5280 §4.2.1.12](https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.12)), as DER
/// without tag and length.
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// A certificate with those above it; what a function here says of them is why they are refused.
#[derive(Debug)]
pub(crate) struct Certificates {
    der: CertificateDer<'static>,
    leaf: Certificate,
    above: Vec<CertificateDer<'static>>,
}

/// Reads all certificates of a PEM text.
pub(crate) fn from_pem(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| format!("a certificate is not PEM: {e:?}"))
}

/// DER of a PEM text that holds one certificate and nothing else.
///
/// Readers of PEM differ in where a block may begin and in what may stand around it; this one leaves no choice, and
/// whoever verifies hands on what it returns, never the text.
pub(crate) fn der_of_one(pem: &str) -> Result<Vec<u8>, String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let one = || "it has to be the PEM of exactly one certificate".to_owned();
    let inner = pem.trim_ascii().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let mut base64 = inner.ok_or_else(one)?.to_owned();
    base64.retain(|c| !c.is_ascii_whitespace());
    // No other boundary can be within: dashes are no base64.
    STANDARD.decode(base64).map_err(|_| one())
}

impl Certificates {
    /// A certificate, and the PEM of those above it that came along.
    pub(crate) fn of(der: &[u8], above: Option<&str>) -> Result<Self, String> {
        let above = above.map(from_pem).transpose()?.unwrap_or_default();
        if above.len() >= MAX_CERTIFICATES {
            return Err(format!("there are more than {MAX_CERTIFICATES} certificates"));
        }
        let leaf = parse(der)?;
        Ok(Self { der: CertificateDer::from(der.to_vec()), leaf, above })
    }

    /// Reads the certificates of an answer, the leaf first.
    pub(crate) fn read(pems: &[String]) -> Result<Self, String> {
        let mut all = Vec::new();
        for pem in pems {
            all.extend(from_pem(pem)?);
            if all.len() > MAX_CERTIFICATES {
                return Err(format!("there are more than {MAX_CERTIFICATES} certificates"));
            }
        }
        if all.is_empty() {
            return Err("there is no certificate".to_owned());
        }
        let above = all.split_off(1);
        let der = all.remove(0);
        let leaf = parse(&der)?;
        Ok(Self { der, leaf, above })
    }

    /// Checks that the certificate is for this key and for signing code, and that its chain holds: up to the
    /// last certificate of the answer, or up to an authority that is trusted.
    pub(crate) fn check(
        &self,
        key: &PublicKey,
        trust: Option<&Trust>,
        now: SystemTime,
    ) -> Result<(), String> {
        let found = self.leaf.tbs_certificate().subject_public_key_info().to_der();
        if found.map_err(|e| format!("its key cannot be read: {e}"))? != key.spki_der() {
            return Err("it is for another key than ours".to_owned());
        }
        match trust {
            Some(trust) => self.check_trusted(trust, now),
            None => match self.above.split_last() {
                Some((last, others)) => self.check_chain(others, last, now),
                // Who issued it is known from the connection alone.
                None => Ok(()),
            },
        }
    }

    fn check_trusted(&self, trust: &Trust, now: SystemTime) -> Result<(), String> {
        let mut reasons = Vec::new();
        for authority in trust.authorities.iter().filter(|authority| authority.valid.holds(now)) {
            let Some((root, others)) = authority.certificates.split_last() else { continue };
            let root = CertificateDer::from_slice(root);
            let others = others.iter().map(|der| CertificateDer::from_slice(der));
            let between: Vec<_> = self.intermediates().chain(others).collect();
            match self.check_chain(&between, &root, now) {
                Ok(()) => return Ok(()),
                Err(why) => reasons.push(why),
            }
        }
        if reasons.is_empty() {
            return Err("none of the trusted authorities is valid now".to_owned());
        }
        reasons.dedup();
        Err(format!("it leads up to no trusted authority: {}", reasons.join(", ")))
    }

    fn check_chain(
        &self,
        between: &[CertificateDer<'_>],
        root: &CertificateDer<'_>,
        now: SystemTime,
    ) -> Result<(), String> {
        let odd = |e: webpki::Error| format!("its chain does not hold: {e}");
        let anchor: TrustAnchor<'_> = webpki::anchor_from_trusted_cert(root).map_err(odd)?;
        let leaf = EndEntityCert::try_from(&self.der).map_err(odd)?;
        // Its own time is looked at by whoever uses it, who knows what to say about clocks that differ.
        let (start, end) = self.validity();
        let since = now.max(start).min(end).duration_since(UNIX_EPOCH).unwrap_or_default();
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            between,
            UnixTime::since_unix_epoch(since),
            KeyUsage::required(CODE_SIGNING),
            None,
            None,
        )
        .map(drop)
        .map_err(odd)
    }

    /// Those above the certificate that another one issued: a root of the answer leads nowhere.
    fn intermediates(&self) -> impl Iterator<Item = CertificateDer<'_>> {
        let own = |der: &CertificateDer<'_>| {
            Certificate::from_der(der).is_ok_and(|certificate| {
                let tbs = certificate.tbs_certificate();
                tbs.subject() == tbs.issuer()
            })
        };
        self.above.iter().filter(move |der| !own(der)).map(|der| CertificateDer::from_slice(der))
    }

    /// From when until when the certificate is valid.
    pub(crate) fn validity(&self) -> (SystemTime, SystemTime) {
        let validity = self.leaf.tbs_certificate().validity();
        (moment(&validity.not_before), moment(&validity.not_after))
    }

    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) const fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// SHA-256 of the keys of those that may have issued the certificate.
    pub(crate) fn issuer_key_hashes(&self, authorities: &[Authority]) -> Vec<[u8; 32]> {
        let trusted = authorities.iter().flat_map(|authority| &authority.certificates);
        let all = self.above.iter().map(AsRef::as_ref).chain(trusted.map(AsRef::as_ref));
        let mut hashes: Vec<[u8; 32]> = all.filter_map(|der| self.issuer_key_hash(der)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }

    fn issuer_key_hash(&self, der: &[u8]) -> Option<[u8; 32]> {
        let issuer = Certificate::from_der(der).ok()?;
        let tbs = issuer.tbs_certificate();
        if tbs.subject() != self.leaf.tbs_certificate().issuer() {
            return None;
        }
        Some(Sha256::digest(tbs.subject_public_key_info().to_der().ok()?).into())
    }

    /// PEM of the certificate.
    pub(crate) fn leaf_pem(&self) -> Result<String, String> {
        to_pem(&self.der)
    }

    /// PEM of those above it, where there are any.
    pub(crate) fn chain_pem(&self) -> Result<Option<String>, String> {
        let all: String = self.above.iter().map(|der| to_pem(der)).collect::<Result<_, _>>()?;
        Ok((!all.is_empty()).then_some(all))
    }
}

fn parse(der: &[u8]) -> Result<Certificate, String> {
    Certificate::from_der(der).map_err(|e| format!("the certificate cannot be read: {e}"))
}

pub(crate) fn to_pem(der: &[u8]) -> Result<String, String> {
    pem::encode_string("CERTIFICATE", LineEnding::LF, der)
        .map_err(|e| format!("the certificate cannot be written as PEM: {e}"))
}

fn moment(time: &Time) -> SystemTime {
    let seconds: Duration = time.to_unix_duration();
    UNIX_EPOCH + seconds
}

#[cfg(test)]
mod tests;
