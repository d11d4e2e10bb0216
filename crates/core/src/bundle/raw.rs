//! The fields as they may come, before it is known that exactly one of each choice is there.

use serde::Deserialize;

use super::{
    Content, KeyMaterial, MessageSignature, PublicKeyIdentifier, TimestampVerificationData,
    TransparencyLogEntry, X509Certificate,
};
use crate::dsse::Envelope;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    media_type: String,
    verification_material: super::Material,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<MessageSignature>,
}

impl TryFrom<Bundle> for super::Bundle {
    type Error = &'static str;

    fn try_from(raw: Bundle) -> Result<Self, Self::Error> {
        let content = match (raw.dsse_envelope, raw.message_signature) {
            (Some(envelope), None) => Content::DsseEnvelope(envelope),
            (None, Some(signature)) => Content::MessageSignature(signature),
            (None, None) => return Err("neither dsseEnvelope nor messageSignature is there"),
            (Some(_), Some(_)) => return Err("both dsseEnvelope and messageSignature are there"),
        };
        Ok(Self {
            media_type: raw.media_type,
            verification_material: raw.verification_material,
            content,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Material {
    public_key: Option<PublicKeyIdentifier>,
    certificate: Option<X509Certificate>,
    x509_certificate_chain: Option<serde::de::IgnoredAny>,
    tlog_entries: Option<Vec<TransparencyLogEntry>>,
    timestamp_verification_data: Option<TimestampVerificationData>,
}

impl TryFrom<Material> for super::Material {
    type Error = &'static str;

    fn try_from(raw: Material) -> Result<Self, Self::Error> {
        if raw.x509_certificate_chain.is_some() {
            return Err("bundles of version 0.3 hold no certificate chain");
        }
        let key = match (raw.public_key, raw.certificate) {
            (Some(identifier), None) => KeyMaterial::PublicKey(identifier),
            (None, Some(certificate)) => KeyMaterial::Certificate(certificate),
            (None, None) => return Err("neither publicKey nor certificate is there"),
            (Some(_), Some(_)) => return Err("both publicKey and certificate are there"),
        };
        Ok(Self {
            key,
            tlog_entries: raw.tlog_entries.unwrap_or_default(),
            timestamp_verification_data: raw.timestamp_verification_data,
        })
    }
}
