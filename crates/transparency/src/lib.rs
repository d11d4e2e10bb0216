//! Transparency logs, timestamp authorities, and the roots of trust for both.

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
pub use time::Validity;
pub use tsa::{VerifiedTimestamp, verify_timestamp, verify_timestamps};
