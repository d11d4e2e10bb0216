//! Roots of trust: which logs and authorities count, and which services to use.

mod config;
mod document;
mod source;
mod trusted;
#[cfg(feature = "tuf")]
mod tuf;

pub use config::{Select, Service, ServiceKind, SigningConfig};
pub use source::{FixedTrust, Trust, TrustSource};
pub use trusted::{Authority, TrustedRoot};
#[cfg(feature = "tuf")]
pub use tuf::{SIGSTORE_MIRROR, TufOptions, TufTrust};
