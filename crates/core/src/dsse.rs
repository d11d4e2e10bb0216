//! Dead Simple Signing Envelope: the [pre-authentication encoding][protocol] and the [envelope][envelope].
//!
//! [protocol]: https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md
//! [envelope]: https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Signature};

/// The bytes that are signed in place of the payload.
///
/// ```
/// assert_eq!(chains_core::dsse::pae("http://example.com/HelloWorld", b"hello world"),
///     b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
/// ```
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

/// A payload with the signatures over its pre-authentication encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// Media type of the payload; part of what is signed.
    pub payload_type: String,
    /// The payload itself; base64 in JSON.
    #[serde(with = "crate::base64_bytes")]
    pub payload: Bytes,
    /// At least one, each on its own enough.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an [`Envelope`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// Which key signed; a hint that is not itself signed.
    #[serde(default)]
    pub keyid: String,
    /// The signature; base64 in JSON.
    #[serde(with = "crate::base64_bytes")]
    pub sig: Bytes,
}

impl Envelope {
    /// Puts a payload and the signature over its [`pae`] together.
    #[must_use]
    pub fn new(payload_type: &str, payload: Bytes, signature: &Signature) -> Self {
        let sig = EnvelopeSignature {
            keyid: signature.material.key_id().to_owned(),
            sig: signature.bytes.clone(),
        };
        Self { payload_type: payload_type.to_owned(), payload, signatures: vec![sig] }
    }

    /// Reads an envelope's JSON.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is not JSON, a field is missing or base64 is broken.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(json).map_err(|e| {
            Error::new(ErrorKind::InvalidInput, "reading a DSSE envelope").with_source(e)
        })
    }

    /// The envelope as compact JSON: always the same bytes for the same envelope.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and bytes only: there is no value here that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What each of the signatures is over.
    #[must_use]
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }
}
