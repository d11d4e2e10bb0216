//! Keyless signing: a key that lives in memory, and certificates of [Fulcio] that tell whose it is.
//!
//! [`FulcioSigner`] signs. It makes a key, shows Fulcio an identity token with proof that it has the key, and
//! gets a certificate that is valid for some minutes: long enough for many signatures. Before it ends, the next
//! one is fetched in the background, with a new key.
//!
//! Identity tokens come from an [`IdentitySource`]; [`identity_source`] picks one by its name in the
//! configuration, or those that are present:
//!
//! | source | where its tokens come from |
//! |---|---|
//! | [`Environment`] | the variable `SIGSTORE_ID_TOKEN` |
//! | [`Filesystem`] | a file, e.g. a projected ServiceAccount token |
//! | [`Google`] | Google's metadata server: workload identity, or a service account to act as |
//! | [`GitHub`] | GitHub Actions |
//! | [`Buildkite`] | Buildkite's agent API |
//! | `Spiffe` | the SPIFFE Workload API (feature `spiffe`) |
//! | [`Given`] | whoever has a token already |
//!
//! What Fulcio answers is believed after it was checked: the certificate is for our key and for signing code, its
//! chain holds and, where a [`Trust`] is given, leads up to it; a certificate transparency log of that trust has
//! promised to show the certificate.
//!
//! [Fulcio]: https://docs.sigstore.dev/certificate_authority/overview/

mod certificate;
mod connection;
mod earlier;
mod fault;
mod identity;
mod issue;
mod key;
mod options;
mod renewal;
mod sct;
mod server;
mod signer;
mod source;
mod token;
mod trust;

pub use connection::{Connection, Proxy};
pub use identity::{Identity, VerifiedCertificate, certificate_der, verify_certificate};
pub use options::FulcioOptions;
pub use renewal::Status;
pub use signer::FulcioSigner;
#[cfg(feature = "spiffe")]
pub use source::Spiffe;
pub use source::{
    Buildkite, Environment, Filesystem, FirstPresent, GitHub, Given, Google, IdentitySource,
    Provider, SourceOptions, Variables, identity_source,
};
pub use token::IdentityToken;
pub use trust::{Authority, CtLog, Trust, TrustSource, Window};
