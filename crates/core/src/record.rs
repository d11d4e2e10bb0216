//! A record, and what a store made of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Entry, Payload, RecordKey, RunRef, Signed, Target, VerificationMaterial};

/// Everything a store needs; immutable. What is absent is `None`, never an empty string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The run that made the target.
    pub run: RunRef,
    /// What is signed.
    pub target: Target,
    /// The names it is kept under.
    pub key: RecordKey,
    /// What was signed.
    pub payload: Payload,
    /// The signature; `None` with `signer: none`.
    pub signed: Option<Signed>,
    /// What verifies the signature; present exactly when `signed` is.
    pub material: Option<Arc<VerificationMaterial>>,
    /// Entry of the transparency log, where one was made.
    pub entry: Option<Arc<Entry>>,
}

/// What a store did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is there now.
    Stored {
        /// Where, as a reader would ask for it.
        location: String,
    },
    /// The very same was there before.
    AlreadyStored {
        /// Where.
        location: String,
    },
    /// To be written on the run itself, by whoever owns the run.
    OnRun {
        /// The annotations to add.
        annotations: BTreeMap<String, String>,
    },
    /// Nothing to keep here, for a reason. Never counted as stored.
    Skipped(String),
}

impl Outcome {
    /// A static word for tables and metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Stored { .. } => "stored",
            Self::AlreadyStored { .. } => "already stored",
            Self::OnRun { .. } => "on run",
            Self::Skipped(_) => "skipped",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored { location } => write!(f, "stored at {location}"),
            Self::AlreadyStored { location } => write!(f, "already stored at {location}"),
            Self::OnRun { annotations } => {
                write!(f, "{} annotations for the run", annotations.len())
            }
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

/// A record as it was read back from a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it was found.
    pub location: String,
    /// The payload, as stored.
    pub payload: Bytes,
    /// The signature, as stored; not verified.
    pub signed: Option<Signed>,
    /// PEM of the leaf certificate, where one is stored.
    pub certificate: Option<String>,
    /// PEM of the chain above it, where one is stored.
    pub chain: Option<String>,
}
