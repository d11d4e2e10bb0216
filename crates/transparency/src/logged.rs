//! What an entry of a log must be about: a signature, what it is over, and what verifies it.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{
    Error, ErrorKind, Payload, PublicKey, Result, SignatureAlgorithm, Signed, VerificationMaterial,
    dsse,
};
use der::Document;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use crate::fault::failed;
use crate::time::of_certificate;

/// The hash functions that entries may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashName {
    Sha256,
    Sha384,
    Sha512,
}

impl HashName {
    pub(crate) fn of(self, message: &[u8]) -> digest::Digest {
        let algorithm = match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        };
        digest::digest(algorithm, message)
    }

    /// As entries of version 1 name it.
    pub(crate) const fn v1(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// As entries of version 2 name it.
    pub(crate) const fn v2(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA2_256",
            Self::Sha384 => "SHA2_384",
            Self::Sha512 => "SHA2_512",
        }
    }

    pub(crate) fn from_v1(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|hash| hash.v1() == name)
    }

    pub(crate) fn from_v2(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|hash| hash.v2() == name)
    }
}

/// What a signature is over.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum LoggedContent<'a> {
    /// The pre-authentication encoding of an envelope's payload.
    Envelope {
        /// Media type of the payload.
        payload_type: &'a str,
        /// The payload.
        payload: &'a [u8],
    },
    /// These bytes.
    Message(&'a [u8]),
}

/// What an entry must be about.
#[derive(Debug, Clone)]
pub struct Logged<'a> {
    /// What the signature is over.
    pub content: LoggedContent<'a>,
    /// The signature.
    pub signature: &'a [u8],
    /// What verifies it.
    pub verifier: Verifier,
}

/// The key or the certificate that stands in an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verifier {
    /// A bare key.
    Key(PublicKey),
    /// A certificate.
    Certificate {
        /// DER.
        der: Vec<u8>,
        /// The key in it.
        key: PublicKey,
        /// From when to when it is valid: seconds since 1970, both included.
        valid: (i64, i64),
    },
}

/// Whether a DER certificate says that it issued itself.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where it is none.
pub(crate) fn is_self_issued(der: &[u8]) -> Result<bool> {
    let certificate = Certificate::from_der(der).map_err(|e| {
        Error::new(ErrorKind::InvalidInput, "reading a certificate above the signer's")
            .with_source(e.to_string())
    })?;
    let tbs = certificate.tbs_certificate();
    Ok(tbs.issuer() == tbs.subject())
}

impl Verifier {
    /// Reads a DER certificate.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is none; [`ErrorKind::Key`] where its key is of no known kind.
    pub fn from_certificate_der(der: &[u8]) -> Result<Self> {
        let unreadable = |e: der::Error| {
            Error::new(ErrorKind::InvalidInput, "reading the signer's certificate")
                .with_source(e.to_string())
        };
        let certificate = Certificate::from_der(der).map_err(unreadable)?;
        let tbs = certificate.tbs_certificate();
        let spki = tbs.subject_public_key_info().to_der().map_err(unreadable)?;
        let validity = tbs.validity();
        Ok(Self::Certificate {
            der: der.to_vec(),
            key: PublicKey::from_spki_der(&spki)?,
            valid: (of_certificate(validity.not_before), of_certificate(validity.not_after)),
        })
    }

    /// The one of a record's material: the certificate where there is one.
    ///
    /// # Errors
    /// As for [`Verifier::from_certificate_der`], and where the certificate is not PEM.
    pub fn of(material: &VerificationMaterial) -> Result<Self> {
        let Some(pem) = &material.certificate else {
            return Ok(Self::Key(material.public_key.clone()));
        };
        let document = certificate_pem(pem).ok_or_else(|| {
            let what = "reading the signer's certificate";
            Error::new(ErrorKind::InvalidInput, what).with_source("it is no PEM of a certificate")
        })?;
        Self::from_certificate_der(&document)
    }

    /// The key that verifies.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        match self {
            Self::Key(key) | Self::Certificate { key, .. } => key,
        }
    }

    /// DER: of the certificate or of the key's SubjectPublicKeyInfo.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        match self {
            Self::Key(key) => key.spki_der(),
            Self::Certificate { der, .. } => der,
        }
    }

    /// PEM, as entries of version 1 hold it.
    pub(crate) fn pem(&self) -> Result<String> {
        let label = match self {
            Self::Key(_) => "PUBLIC KEY",
            Self::Certificate { .. } => "CERTIFICATE",
        };
        Document::try_from(self.der())
            .and_then(|document| document.to_pem(label, der::pem::LineEnding::LF))
            .map_err(|e| {
                let what = "writing what verifies the signature as PEM";
                Error::new(ErrorKind::Key, what).with_source(e.to_string())
            })
    }

    /// Whether this PEM holds the same: however long its lines are, as clients differ in that.
    pub(crate) fn is_pem(&self, pem: &str) -> bool {
        let label = match self {
            Self::Key(_) => "PUBLIC KEY",
            Self::Certificate { .. } => "CERTIFICATE",
        };
        let inner = pem.trim().strip_prefix(&format!("-----BEGIN {label}-----"));
        let inner = inner.and_then(|rest| rest.strip_suffix(&format!("-----END {label}-----")));
        let Some(mut base64) = inner.map(str::to_owned) else {
            return false;
        };
        base64.retain(|c| !c.is_ascii_whitespace());
        STANDARD.decode(base64).is_ok_and(|der| der == self.der())
    }

    /// Checks that a certificate was valid at this time, of which `what` tells where it is from.
    pub(crate) fn check_valid_at(&self, time: i64, what: &str) -> Result<()> {
        match self {
            Self::Certificate { valid: (from, to), .. } if time < *from || time > *to => {
                Err(failed(format!(
                    "{what}: {} is outside the validity of the signer's certificate, {} to {}",
                    crate::time::show(time),
                    crate::time::show(*from),
                    crate::time::show(*to)
                )))
            }
            _ => Ok(()),
        }
    }
}

/// The first certificate of a PEM file as DER.
fn certificate_pem(pem: &str) -> Option<Vec<u8>> {
    let (label, document) = Document::from_pem(pem.trim_start()).ok()?;
    (label == "CERTIFICATE").then(|| document.as_bytes().to_vec())
}

impl<'a> Logged<'a> {
    /// What an entry for this signed payload must be about.
    ///
    /// # Errors
    /// As for [`Verifier::of`]; [`ErrorKind::InvalidInput`] where an envelope has no signature.
    pub fn of(
        payload: &'a Payload,
        signed: &'a Signed,
        material: &VerificationMaterial,
    ) -> Result<Self> {
        let verifier = Verifier::of(material)?;
        let content = match signed {
            Signed::Dsse(envelope) => LoggedContent::Envelope {
                payload_type: &envelope.payload_type,
                payload: &envelope.payload,
            },
            Signed::Detached(_) => LoggedContent::Message(&payload.bytes),
        };
        let signature = signed.signature();
        if signature.is_empty() {
            let why = "what is to be logged has no signature";
            return Err(Error::new(ErrorKind::InvalidInput, why));
        }
        Ok(Self { content, signature, verifier })
    }

    /// The bytes that the signature is over.
    pub(crate) fn message(&self) -> std::borrow::Cow<'a, [u8]> {
        match self.content {
            LoggedContent::Envelope { payload_type, payload } => {
                dsse::pae(payload_type, payload).into()
            }
            LoggedContent::Message(message) => message.into(),
        }
    }

    /// How the signature was made, found by verifying it: nobody logs what does not verify.
    pub(crate) fn algorithm(&self) -> Result<SignatureAlgorithm> {
        chains_verify::verify_any(self.verifier.key(), &self.message(), self.signature)
            .map_err(|e| e.context("checking a signature before it is logged"))
    }
}
