//! `trusted_root.json`: the logs and authorities that count.
//!
//! After [`sigstore_trustroot.proto`](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto).

use bytes::Bytes;
use chains_core::{PublicKey, Result};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode as _, Encode as _, Sequence};
use serde::Deserialize;

use super::document::{self, TimeRange, base64, unusable};
use crate::entry::TrustedLog;
use crate::time::Validity;

const WHAT: &str = "trusted root";
const TYPES: &[&str] = &[
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot+json;version=0.2",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
];
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The logs and authorities that count.
///
/// ```
/// use chains_transparency::TrustedRoot;
/// let root = TrustedRoot::from_json(
///     br#"{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#,
/// )?;
/// assert!(root.logs.is_empty());
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedRoot {
    /// Transparency logs of signatures (`tlogs`).
    pub logs: Vec<TrustedLog>,
    /// Logs of certificates (`ctlogs`).
    pub certificate_logs: Vec<TrustedLog>,
    /// Authorities that issue certificates to signers.
    pub certificate_authorities: Vec<Authority>,
    /// Authorities that tell the time.
    pub timestamp_authorities: Vec<Authority>,
}

/// An authority with its certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Where it is.
    pub url: String,
    /// DER, the root last; at a timestamp authority its own certificate may come first.
    pub certificates: Vec<Bytes>,
    /// When it is to be trusted, beside what its certificates say.
    pub valid: Validity,
}

impl TrustedRoot {
    /// Reads the document. Fields that are not known are ignored, as the format grows; so are logs with keys of a
    /// kind that nothing here can verify.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](chains_core::ErrorKind::InvalidInput) where it is not JSON, of another type, or a
    /// part that every log and authority has is missing.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let raw: Raw = document::read(json, WHAT, TYPES)?;
        Ok(Self {
            logs: logs(raw.tlogs)?,
            certificate_logs: logs(raw.ctlogs)?,
            certificate_authorities: authorities(raw.certificate_authorities)?,
            timestamp_authorities: authorities(raw.timestamp_authorities)?,
        })
    }
}

impl Authority {
    /// An authority of which the certificates are known and nothing else: PEM, the root last.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](chains_core::ErrorKind::InvalidInput) where there is no certificate in it.
    pub fn from_pem(url: &str, pem: &[u8]) -> Result<Self> {
        let certificates = x509_cert::Certificate::load_pem_chain(pem)
            .and_then(|all| all.iter().map(|one| one.to_der().map(Bytes::from)).collect())
            .map_err(|e: der::Error| unusable("chain of certificates", e.to_string()))?;
        let certificates: Vec<Bytes> = certificates;
        if certificates.is_empty() {
            return Err(unusable("chain of certificates", "it holds none"));
        }
        Ok(Self { url: url.to_owned(), certificates, valid: Validity::default() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    tlogs: Vec<RawLog>,
    #[serde(default)]
    ctlogs: Vec<RawLog>,
    #[serde(default)]
    certificate_authorities: Vec<RawAuthority>,
    #[serde(default)]
    timestamp_authorities: Vec<RawAuthority>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLog {
    #[serde(default)]
    base_url: String,
    hash_algorithm: String,
    public_key: RawKey,
    log_id: Option<RawId>,
    checkpoint_key_id: Option<RawId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawKey {
    #[serde(deserialize_with = "base64")]
    raw_bytes: Bytes,
    #[serde(default)]
    key_details: String,
    valid_for: TimeRange,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawId {
    #[serde(deserialize_with = "base64")]
    key_id: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAuthority {
    #[serde(default)]
    uri: String,
    cert_chain: RawChain,
    #[serde(default)]
    valid_for: TimeRange,
}

#[derive(Deserialize)]
struct RawChain {
    certificates: Vec<RawCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    #[serde(deserialize_with = "base64")]
    raw_bytes: Bytes,
}

fn logs(raw: Vec<RawLog>) -> Result<Vec<TrustedLog>> {
    let mut logs = Vec::with_capacity(raw.len());
    for raw in raw {
        if raw.public_key.valid_for.start.is_none() {
            let why =
                format!("the log {:?} does not tell since when its key is valid", raw.base_url);
            return Err(unusable(WHAT, why));
        }
        if raw.hash_algorithm != "SHA2_256" {
            let hash = crate::fault::quoted(&raw.hash_algorithm);
            return Err(unusable(WHAT, format!("a log with the hash {hash} is not supported")));
        }
        let ids: Vec<_> = [raw.log_id, raw.checkpoint_key_id].into_iter().flatten().collect();
        if ids.is_empty() {
            return Err(unusable(WHAT, format!("the log {:?} has no id", raw.base_url)));
        }
        match key(&raw.public_key) {
            Ok(key) => logs.push(TrustedLog {
                key,
                ids: ids.into_iter().map(|id| id.key_id).collect(),
                url: (!raw.base_url.is_empty()).then_some(raw.base_url),
                valid: raw.public_key.valid_for.into(),
            }),
            Err(error) => {
                let why = error.report();
                tracing::debug!(log = raw.base_url, why, "a log of the trusted root is of no use");
            }
        }
    }
    Ok(logs)
}

fn key(raw: &RawKey) -> Result<PublicKey> {
    if !raw.key_details.starts_with("PKCS1_") {
        return PublicKey::from_spki_der(&raw.raw_bytes);
    }
    // A bare RSA key, as logs had it at first.
    let spki = pkcs1_to_spki(&raw.raw_bytes).map_err(|e| unusable(WHAT, e.to_string()))?;
    PublicKey::from_spki_der(&spki)
}

#[derive(Sequence)]
struct Spki<'a> {
    algorithm: Algorithm<'a>,
    key: BitStringRef<'a>,
}

#[derive(Sequence)]
struct Algorithm<'a> {
    oid: ObjectIdentifier,
    parameters: AnyRef<'a>,
}

fn pkcs1_to_spki(key: &[u8]) -> der::Result<Vec<u8>> {
    AnyRef::from_der(key)?;
    let algorithm = Algorithm { oid: RSA, parameters: AnyRef::NULL };
    Spki { algorithm, key: BitStringRef::from_bytes(key)? }.to_der()
}

fn authorities(raw: Vec<RawAuthority>) -> Result<Vec<Authority>> {
    let authority = |raw: RawAuthority| {
        if raw.cert_chain.certificates.is_empty() {
            return Err(unusable(WHAT, format!("the authority {:?} has no certificate", raw.uri)));
        }
        Ok(Authority {
            url: raw.uri,
            certificates: raw.cert_chain.certificates.into_iter().map(|c| c.raw_bytes).collect(),
            valid: raw.valid_for.into(),
        })
    };
    raw.into_iter().map(authority).collect()
}
