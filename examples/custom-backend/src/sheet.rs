//! What stands on a sheet.

use chains_core::dsse::Envelope;
use chains_core::{Error, ErrorKind, Record, Result, Signed, Stored};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A record as JSON: always the same bytes for the same record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sheet {
    /// The run, for people.
    run: String,
    /// What was signed, in hexadecimal digits.
    payload: String,
    /// The envelope of what goes into one.
    envelope: Option<Envelope>,
    /// The signature of what does not, in hexadecimal digits.
    signature: Option<String>,
    certificate: Option<String>,
    chain: Option<String>,
}

impl Sheet {
    pub(crate) fn of(record: &Record) -> Self {
        let (envelope, signature) = match &record.signed {
            Some(Signed::Dsse(envelope)) => (Some(envelope.clone()), None),
            Some(Signed::Detached(signature)) => (None, Some(hex::encode(signature))),
            None => (None, None),
        };
        let material = record.material.as_deref();
        Self {
            run: record.run.to_string(),
            payload: hex::encode(&record.payload.bytes),
            envelope,
            signature,
            certificate: material.and_then(|material| material.certificate.clone()),
            chain: material.and_then(|material| material.chain.clone()),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        // Strings only: there is no value here that JSON cannot hold.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub(crate) fn from_json(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(odd)
    }

    pub(crate) fn stored(self, location: String) -> Result<Stored> {
        let signature = self.signature.map(hex::decode).transpose().map_err(odd)?;
        let detached = signature.map(|bytes| Signed::Detached(bytes.into()));
        Ok(Stored {
            location,
            payload: hex::decode(self.payload).map_err(odd)?.into(),
            signed: self.envelope.map(Signed::Dsse).or(detached),
            certificate: self.certificate,
            chain: self.chain,
        })
    }
}

fn odd(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Protocol, "it is not a sheet of ours").with_source(error)
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
