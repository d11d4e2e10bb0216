//! What is done of a run, kept on the run while an attempt has failed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Digest, Error, ErrorKind, Result};

/// Which stores are done for each target, and the signature they share.
///
/// Kept as one small annotation ([`annotations::PROGRESS`](crate::annotations::PROGRESS)), so that the
/// next attempt, after a restart too, does only what is missing and signs nothing twice.
///
/// A run's annotations are hostile input. A signature from here is used only after it was verified over the payload made
/// anew, with the signer's key, or with that of a certificate which the signer knows as an earlier one of its own; then
/// it has to be logged while that was valid, too. Timestamps are verified as if they had just come. That a store is done is believed: whoever may write this
/// annotation may as well write `chains.tekton.dev/signed: "true"`, and the run would be left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// DER certificates of signatures that were made with one, by [`Certificate::name`]: those of one run share one as a
    /// rule.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, Certificate>,
    /// By the target's full key: two images may share a short one.
    #[serde(flatten)]
    pub targets: BTreeMap<String, TargetProgress>,
}

/// What is done of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetProgress {
    /// Hex SHA-256 of the payload: another payload starts anew.
    pub payload: String,
    /// The signature that was made.
    #[serde(default, with = "crate::base64_bytes", skip_serializing_if = "Bytes::is_empty")]
    pub signature: Bytes,
    /// The certificate that it was made with, by its name in [`Progress::certificates`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Timestamps that it got.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timestamps: Vec<Timestamp>,
    /// Names of the stores that have it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stores: BTreeSet<String>,
    /// Those of them that got it while the log did not answer, and have it without the entry which an attempt before
    /// had made.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unlogged: BTreeSet<String>,
    /// Address of the log entry, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
}

/// A DER certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Certificate(#[serde(with = "crate::base64_bytes")] pub Bytes);

/// A DER `TimeStampResp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(#[serde(with = "crate::base64_bytes")] pub Bytes);

impl Certificate {
    /// The first digits of its SHA-256.
    #[must_use]
    pub fn name(&self) -> String {
        let digest = Digest::sha256_of(&self.0);
        digest.hex().get(..16).unwrap_or_default().to_owned()
    }
}

impl Progress {
    /// Reads the annotation's value.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is not what [`Progress::to_json`] writes; start anew then.
    pub fn from_json(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|e| {
            Error::new(ErrorKind::InvalidInput, "reading the progress of a run").with_source(e)
        })
    }

    /// The annotation's value.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Maps of strings only: there is no value here that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What is done of a target, where it is the payload with this SHA-256 (hex) that was worked on.
    #[must_use]
    pub fn of(&self, full_key: &str, payload: &str) -> Option<&TargetProgress> {
        self.targets.get(full_key).filter(|target| target.payload == payload)
    }
}
