//! The bytes that are signed.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Media types of payloads.
pub mod media_type {
    /// An in-toto statement: the payload type of provenance envelopes.
    pub const IN_TOTO: &str = "application/vnd.in-toto+json";
    /// A simple signing document about an image.
    pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
    /// Plain JSON: the status of a run, as releases before 0.8 signed it.
    pub const JSON: &str = "application/json";
}

/// How a signature goes with its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wrapping {
    /// Inside a [DSSE envelope](crate::dsse): the signature is over the pre-authentication encoding.
    Dsse,
    /// Beside the payload: the signature is over the bytes as they are.
    Detached,
}

/// A thing that a statement speaks of: its name and digests by algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// Name or URI, as the run gave it.
    pub name: String,
    /// Hex digits by algorithm, e.g. `sha256`.
    pub digest: BTreeMap<String, String>,
}

impl Subject {
    /// `NAME@ALGORITHM:HEX`, one for each digest.
    pub fn artifact_uris(&self) -> impl Iterator<Item = String> + '_ {
        self.digest.iter().map(move |(algorithm, hex)| format!("{}@{algorithm}:{hex}", self.name))
    }
}

/// Bytes serialised once, with their type. What is signed is what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The serialised document.
    pub bytes: Bytes,
    /// Its media type; for [`Wrapping::Dsse`] the payload type of the envelope.
    pub media_type: &'static str,
    /// Whether it is signed inside an envelope.
    pub wrapping: Wrapping,
    /// The name of the format that made it, e.g. `slsa/v2alpha4`.
    pub format: &'static str,
    /// The predicate type, where the document is an in-toto statement.
    pub predicate_type: Option<&'static str>,
    /// What the document speaks of, in its own order.
    pub subjects: Vec<Subject>,
}
