//! The fields as they may come, before it is known that exactly one of each choice is there.

use serde::Deserialize;

use super::{
    Content, KeyMaterial, MessageSignature, PublicKeyIdentifier, TimestampVerificationData,
    TransparencyLogEntry, Version, X509Certificate,
};
use crate::dsse::Envelope;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<MessageSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<PublicKeyIdentifier>,
    certificate: Option<X509Certificate>,
    x509_certificate_chain: Option<Chain>,
    tlog_entries: Option<Vec<TransparencyLogEntry>>,
    timestamp_verification_data: Option<TimestampVerificationData>,
}

/// The certificates of versions 0.1 and 0.2, leaf first.
#[derive(Deserialize)]
struct Chain {
    certificates: Vec<X509Certificate>,
}

impl TryFrom<Bundle> for super::Bundle {
    type Error = String;

    fn try_from(raw: Bundle) -> Result<Self, Self::Error> {
        let version = Version::of(&raw.media_type)
            .ok_or_else(|| format!("bundles of type {:?} are not supported", raw.media_type))?;
        let content = match (raw.dsse_envelope, raw.message_signature) {
            (Some(envelope), None) => Content::DsseEnvelope(envelope),
            (None, Some(signature)) => Content::MessageSignature(signature),
            (None, None) => return Err("neither dsseEnvelope nor messageSignature is there".into()),
            (Some(_), Some(_)) => {
                return Err("both dsseEnvelope and messageSignature are there".into());
            }
        };
        Ok(Self {
            media_type: raw.media_type,
            verification_material: raw.verification_material.read(version)?,
            content,
        })
    }
}

impl Material {
    fn read(self, version: Version) -> Result<super::Material, &'static str> {
        let (chain, above) = match self.x509_certificate_chain {
            Some(_) if version >= Version::V0_3 => {
                return Err("bundles of version 0.3 hold no certificate chain");
            }
            Some(chain) => chain.parted().map(|(leaf, above)| (Some(leaf), above))?,
            None => (None, Vec::new()),
        };
        let key = match (self.public_key, self.certificate, chain) {
            (Some(identifier), None, None) => KeyMaterial::PublicKey(identifier),
            (None, Some(certificate), None) | (None, None, Some(certificate)) => {
                KeyMaterial::Certificate(certificate)
            }
            (None, None, None) => return Err("neither publicKey nor certificate is there"),
            (Some(_), _, _) => return Err("both publicKey and certificate are there"),
            (None, Some(_), Some(_)) => {
                return Err("both certificate and x509CertificateChain are there");
            }
        };
        let mut tlog_entries = self.tlog_entries.unwrap_or_default();
        for entry in &mut tlog_entries {
            entry.check(version)?;
        }
        Ok(super::Material {
            key,
            above,
            tlog_entries,
            timestamp_verification_data: self.timestamp_verification_data,
        })
    }
}

impl Chain {
    /// The first, and those above it.
    fn parted(self) -> Result<(X509Certificate, Vec<X509Certificate>), &'static str> {
        let mut certificates = self.certificates.into_iter();
        let leaf = certificates.next().ok_or("x509CertificateChain holds no certificate")?;
        Ok((leaf, certificates.collect()))
    }
}
