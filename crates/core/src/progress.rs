//! What is done of a run, kept on the run while an attempt has failed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// Which stores are done for each target, and the signature they share.
///
/// Kept as one small annotation ([`annotations::PROGRESS`](crate::annotations::PROGRESS)), so that the
/// next attempt, after a restart too, does only what is missing and signs nothing twice.
///
/// A run's annotations are hostile input. A signature from here is used only after it was verified with the
/// signer's key over the payload made anew. That a store is done is believed: whoever may write this
/// annotation may as well write `chains.tekton.dev/signed: "true"`, and the run would be left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
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
    /// Names of the stores that have it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stores: BTreeSet<String>,
    /// Address of the log entry, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
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
