//! What is read back from a registry.

use chains_core::Stored;

/// What was found at the tag for an image's signatures or attestations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachments {
    /// Readable ones in the order of the manifest; their signatures are not verified.
    pub found: Vec<Attached>,
    /// Those that could not be read: anybody who may push to the repository may add such.
    pub unreadable: Vec<Unreadable>,
}

/// One signature or attestation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Payload, signature and certificates.
    pub stored: Stored,
    /// The log entry, as the JSON that `cosign` keeps in `dev.sigstore.cosign/bundle`.
    pub bundle: Option<String>,
    /// The timestamp, as the JSON that `cosign` keeps in `dev.sigstore.cosign/rfc3161timestamp`.
    pub timestamp: Option<String>,
}

/// A layer that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it is.
    pub location: String,
    /// What is wrong with it.
    pub reason: String,
}
