//! What can be set.

use chains_core::PublicKey;

use crate::{EnvelopeEntry, HttpOptions};

/// Which version of Rekor a log is (`transparency.rekor-version`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RekorVersion {
    /// The one that the signing config tells of the log's address; where none does, the one that answers there.
    #[default]
    Auto,
    /// Version 1.
    V1,
    /// Version 2: tiles.
    V2,
}

/// Options of [`Transparency`](crate::Transparency).
///
/// ```
/// use chains_transparency::{RekorVersion, TransparencyOptions};
/// let options = TransparencyOptions {
///     url: Some("https://rekor.example.com".to_owned()),
///     timestamp_urls: vec!["https://timestamp.example.com/api/v1/timestamp".to_owned()],
///     ..TransparencyOptions::default()
/// };
/// assert_eq!(options.version, RekorVersion::Auto);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransparencyOptions {
    /// Address of the log (`transparency.url`); unset: those that the signing config chooses.
    pub url: Option<String>,
    /// The log's version (`transparency.rekor-version`); of no effect on what the signing config chooses.
    pub version: RekorVersion,
    /// Where a log of version 2 is read, if that is not below its own address: `/checkpoint` and `/tile/…` follow.
    /// It is read only when the log says that it has an entry already.
    pub read_url: Option<String>,
    /// The log's public key, where it is told so and not in the trusted root.
    pub log_key: Option<PublicKey>,
    /// As what kind of entry a log of version 1 takes envelopes.
    pub envelopes: EnvelopeEntry,
    /// Whole addresses of timestamp authorities (`transparency.tsa.url`). Each gives a timestamp to every signature.
    /// Where there is none, those of the signing config are asked where time is wanting: with logs of version 2.
    pub timestamp_urls: Vec<String>,
    /// PEM of the certificates of those authorities, root last, where they are told so and not in the trusted root.
    pub timestamp_certificates: Option<Vec<u8>>,
    /// How all of them are spoken to.
    pub http: HttpOptions,
}
