//! Sigstore bundles: one signature with all that verifies it, in one JSON document. Version 0.3 is written; 0.1 and 0.2
//! are read too.
//!
//! The types follow [`sigstore_bundle.proto`][spec] in the JSON form of protocol buffers: camel case,
//! bytes as standard base64, 64-bit numbers as strings, what is empty left out.
//! Reading is strict where security hangs on it and lenient where the JSON form is.
//!
//! [spec]: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use spki::Document;

use crate::dsse::Envelope;
use crate::{Entry, Error, ErrorKind, PublicKey, Record, Result, Signed, VerificationMaterial};

mod raw;
mod tlog;

pub use tlog::{
    Checkpoint, InclusionPromise, InclusionProof, KindVersion, LogId, TransparencyLogEntry,
};

/// Media type of the bundles that are written.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Every media type that is read: version 0.3 has two.
const MEDIA_TYPES: [(&str, Version); 4] = [
    (MEDIA_TYPE, Version::V0_3),
    ("application/vnd.dev.sigstore.bundle+json;version=0.3", Version::V0_3),
    ("application/vnd.dev.sigstore.bundle+json;version=0.2", Version::V0_2),
    ("application/vnd.dev.sigstore.bundle+json;version=0.1", Version::V0_1),
];

/// No bundle is read that is larger: the payload's base64 and little else.
const MAX_JSON: usize = 64 * 1024 * 1024;

/// No bundle is read with more log entries, timestamps or certificates.
const MAX_ENTRIES: usize = 32;

/// Version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Version {
    /// Entries have a promise of inclusion, and may have a proof.
    V0_1,
    /// Entries have a proof of inclusion.
    V0_2,
    /// As before, with one certificate in place of a chain.
    V0_3,
}

impl Version {
    fn of(media_type: &str) -> Option<Self> {
        MEDIA_TYPES.iter().find(|(known, _)| *known == media_type).map(|(_, version)| *version)
    }
}

/// One signature and what verifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "raw::Bundle")]
pub struct Bundle {
    /// Which version of the format this is.
    pub media_type: String,
    /// Key or certificate, log entries and timestamps.
    pub verification_material: Material,
    /// What is signed, and the signature.
    #[serde(flatten)]
    pub content: Content,
}

/// Key or certificate, log entries and timestamps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Material {
    /// What names the key.
    #[serde(flatten)]
    pub key: KeyMaterial,
    /// What stands above the certificate in the chain of a bundle before version 0.3, as it came. It proves nothing:
    /// whom to trust is known from elsewhere. Never written.
    #[serde(skip)]
    pub above: Vec<X509Certificate>,
    /// Entries of transparency logs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tlog_entries: Vec<TransparencyLogEntry>,
    /// Timestamps over the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_verification_data: Option<TimestampVerificationData>,
}

/// What names the key: a hint to a key known otherwise, or a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyMaterial {
    /// A key that the verifier has from elsewhere.
    PublicKey(PublicKeyIdentifier),
    /// The leaf certificate that carries the key; the first of the chain in bundles before version 0.3.
    Certificate(X509Certificate),
}

/// Names a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeyIdentifier {
    /// As cosign writes it: see [`key_hint`]. Not signed, so good for finding a key and nothing else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct X509Certificate {
    /// DER.
    #[serde(with = "crate::base64_bytes")]
    pub raw_bytes: Bytes,
}

/// Timestamps over the signature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimestampVerificationData {
    /// RFC 3161 responses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rfc3161_timestamps: Vec<Rfc3161SignedTimestamp>,
}

/// One RFC 3161 response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rfc3161SignedTimestamp {
    /// DER `TimeStampResp`.
    #[serde(with = "crate::base64_bytes")]
    pub signed_timestamp: Bytes,
}

/// What is signed, and the signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// Payload and signature in one.
    DsseEnvelope(Envelope),
    /// A signature over bytes that are kept elsewhere.
    MessageSignature(MessageSignature),
}

/// A signature over bytes that are kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageSignature {
    /// Digest of those bytes; a hint that is not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_digest: Option<HashOutput>,
    /// The signature.
    #[serde(with = "crate::base64_bytes")]
    pub signature: Bytes,
}

/// A digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashOutput {
    /// `SHA2_256`, `SHA2_384`, `SHA2_512`, …; empty where none was given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub algorithm: String,
    /// The raw digest.
    #[serde(default, with = "crate::base64_bytes", skip_serializing_if = "Bytes::is_empty")]
    pub digest: Bytes,
}

/// The hint that cosign writes for a key: base64 of the SHA-256 of its SubjectPublicKeyInfo.
#[must_use]
pub fn key_hint(key: &PublicKey) -> String {
    STANDARD.encode(Sha256::digest(key.spki_der()))
}

impl Bundle {
    /// The bundle of a record; `None` where the record is not signed.
    ///
    /// As in cosign's bundles the envelope's signature has no `keyid`: the format demands the same one
    /// as the hint, and verifiers that know a key by its OpenSSH fingerprint pass over another.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where the record's certificate is not PEM, the signature has no
    /// verification material, or the envelope has other than one signature, which the format excludes.
    pub fn from_record(record: &Record) -> Result<Option<Self>> {
        let Some(signed) = &record.signed else {
            return Ok(None);
        };
        let Some(material) = &record.material else {
            return Err(invalid("a signed record has no verification material"));
        };
        Self::new(signed, &record.payload.bytes, material, record.entry.as_deref()).map(Some)
    }

    /// Puts a signature, the bytes it is over, what verifies it and its log entry together.
    ///
    /// # Errors
    /// As for [`Bundle::from_record`].
    pub fn new(
        signed: &Signed,
        payload: &[u8],
        material: &VerificationMaterial,
        entry: Option<&Entry>,
    ) -> Result<Self> {
        let key = key_material(material)?;
        let bundle = Self {
            media_type: MEDIA_TYPE.to_owned(),
            content: content(signed, payload),
            verification_material: Material {
                key,
                above: Vec::new(),
                tlog_entries: entry.map(tlog::entries).transpose()?.unwrap_or_default(),
                timestamp_verification_data: entry.and_then(timestamps),
            },
        };
        bundle.check()?;
        Ok(bundle)
    }

    /// Reads a bundle's JSON. Fields that are not known are ignored, as the format grows.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is not JSON, of another version, lacks a part, holds broken
    /// base64, or has an envelope with other than one signature.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        if json.len() > MAX_JSON {
            return Err(invalid(format!(
                "a bundle of {} bytes is over the limit of {MAX_JSON}",
                json.len()
            )));
        }
        let bundle: Self = serde_json::from_slice(json)
            .map_err(|e| invalid("reading a Sigstore bundle").with_source(e))?;
        bundle.check()?;
        Ok(bundle)
    }

    /// The version of the format; `None` where it is none that is known.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        Version::of(&self.media_type)
    }

    /// Compact JSON: always the same bytes for the same bundle.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, bytes and numbers only: there is no value here that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the format demands beyond its fields.
    fn check(&self) -> Result<()> {
        if let Content::DsseEnvelope(envelope) = &self.content
            && envelope.signatures.len() != 1
        {
            let found = envelope.signatures.len();
            return Err(invalid(format!(
                "the envelope of a bundle has one signature, not {found}"
            )));
        }
        let material = &self.verification_material;
        let timestamps = material.timestamp_verification_data.as_ref();
        let counts = [
            material.tlog_entries.len(),
            timestamps.map_or(0, |t| t.rfc3161_timestamps.len()),
            material.above.len(),
        ];
        if counts.into_iter().any(|count| count > MAX_ENTRIES) {
            return Err(invalid(format!(
                "a bundle has more than {MAX_ENTRIES} log entries, timestamps or certificates"
            )));
        }
        Ok(())
    }
}

fn key_material(material: &VerificationMaterial) -> Result<KeyMaterial> {
    let Some(pem) = &material.certificate else {
        let hint = key_hint(&material.public_key);
        return Ok(KeyMaterial::PublicKey(PublicKeyIdentifier { hint }));
    };
    let (label, document) = Document::from_pem(pem.trim_start())
        .map_err(|e| invalid("reading the certificate of a record").with_source(e.to_string()))?;
    if label != "CERTIFICATE" {
        return Err(invalid(format!("the certificate of a record is a {label}")));
    }
    let raw_bytes = Bytes::copy_from_slice(document.as_bytes());
    Ok(KeyMaterial::Certificate(X509Certificate { raw_bytes }))
}

fn content(signed: &Signed, payload: &[u8]) -> Content {
    match signed {
        Signed::Dsse(envelope) => {
            let mut envelope = envelope.clone();
            for signature in &mut envelope.signatures {
                signature.keyid.clear();
            }
            Content::DsseEnvelope(envelope)
        }
        Signed::Detached(signature) => Content::MessageSignature(MessageSignature {
            // The hash of the signature itself, save for Ed25519, where any digest will do.
            message_digest: Some(HashOutput {
                algorithm: "SHA2_256".to_owned(),
                digest: Bytes::copy_from_slice(&Sha256::digest(payload)),
            }),
            signature: signature.clone(),
        }),
    }
}

fn timestamps(entry: &Entry) -> Option<TimestampVerificationData> {
    let timestamp = |der: &Bytes| Rfc3161SignedTimestamp { signed_timestamp: der.clone() };
    (!entry.timestamps.is_empty()).then(|| TimestampVerificationData {
        rfc3161_timestamps: entry.timestamps.iter().map(timestamp).collect(),
    })
}

fn invalid(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, why)
}
