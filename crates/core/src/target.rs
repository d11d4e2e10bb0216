//! What gets signed, and under which keys it is kept.

use std::fmt;

use crate::{ImageDigest, RunRef};

/// One thing to sign.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The run itself: its provenance.
    Run,
    /// An image that the run built.
    Image(ImageDigest),
}

impl Target {
    /// The keys under which records of this target are kept, for the run that made it.
    #[must_use]
    pub fn record_key(&self, run: &RunRef) -> RecordKey {
        match self {
            Self::Run => run.record_key(),
            Self::Image(image) => RecordKey {
                short: image.digest.hex().chars().take(12).collect(),
                full: image.to_string(),
            },
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run => f.write_str("run"),
            Self::Image(image) => image.fmt(f),
        }
    }
}

/// The names under which a record is kept; computed once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// `taskrun-<uid>`, `pipelinerun-<uid>`, or the first 12 hex digits of an image's digest.
    pub short: String,
    /// `tekton.dev-v1-TaskRun-<uid>`, or `REPOSITORY@sha256:…`.
    pub full: String,
}
