//! Transparency logs, timestamp authorities, and the roots of trust for both.
//!
//! | to do | look at |
//! |---|---|
//! | log what was signed, and have it timestamped | [`Transparency`], [`TransparencyOptions`] |
//! | say what is trusted, and which services to use | [`TrustSource`]: [`FixedTrust`] from files, `TufTrust` (feature `tuf`) |
//! | read `trusted_root.json`, `signing_config.json` (v0.2) | [`TrustedRoot`], [`SigningConfig`] |
//! | verify entries and timestamps of a bundle, offline | [`verify_bundle_evidence`] |
//! | verify one entry, one timestamp, offline | [`verify_entry`], [`verify_timestamp`] |
//!
//! # Logs
//! Rekor v1 takes envelopes as `dsse` entries (`intoto` 0.0.2 where it does not know these), detached signatures as
//! `hashedrekord`, and those with Ed25519, which signs no hash, as `rekord`. Rekor v2 takes everything as `hashedrekord`
//! 0.0.2, an envelope by its pre-authentication encoding; it takes ECDSA on P-256, P-384 and P-521, each with the hash of
//! its size, and RSA PKCS#1 v1.5 of 2048, 3072 and 4096 bits with SHA-256. What a log does not take is refused here, or by
//! the log, for good: no attempt is made again.
//!
//! An entry that is there already is fetched: by its name from version 1, from the log's tiles in version 2.
//!
//! # Trust
//! Nothing that a log or an authority says is believed before it is verified, with keys that come from elsewhere:
//! see [`Transparency`]. Each failure of kind [`Verification`](chains_core::ErrorKind::Verification) begins with the check
//! that does not hold.

mod body;
mod bundle;
mod entry;
mod fault;
mod http;
mod logged;
mod merkle;
mod note;
mod options;
mod recent;
mod rekor;
mod root;
mod service;
mod time;
mod tsa;

pub use bundle::{BundleEvidence, BundlePolicy, verify_bundle_evidence};
pub use entry::{Evidence, TrustedLog, VerifiedEntry, entry_of_bundle, verify_entry};
pub use http::HttpOptions;
pub use logged::{Logged, LoggedContent, Verifier};
pub use options::{RekorVersion, TransparencyOptions};
pub use rekor::EnvelopeEntry;
pub use root::{
    Authority, FixedTrust, Select, Service, ServiceKind, SigningConfig, Trust, TrustSource,
    TrustedRoot,
};
#[cfg(feature = "tuf")]
pub use root::{SIGSTORE_MIRROR, TufOptions, TufTrust};
pub use service::Transparency;
pub use time::{Validity, show};
pub use tsa::{VerifiedTimestamp, verify_timestamp, verify_timestamps};
