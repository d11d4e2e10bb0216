//! What differs between services.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{Error, ErrorKind, PublicKey, Result, SignatureAlgorithm};

use crate::{KmsOptions, Reference};

/// One version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The service's own name of this very version.
    pub version: String,
    /// Its public half.
    pub public_key: PublicKey,
    /// How it signs, as the service says.
    pub algorithm: SignatureAlgorithm,
}

/// A signature as the service made it; nobody has checked it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The signature in the encoding that the algorithm names.
    pub signature: Bytes,
    /// The version that signed, which need not be the one that was asked for; see [`Key::version`].
    pub version: String,
}

/// A key in a service. Implement it for a service of your own, and give it to
/// [`KmsSigner::with_provider`](crate::KmsSigner::with_provider), which does the rest.
///
/// Guarantees expected: both calls are safe under concurrent callers, end within a bounded time, and can be dropped
/// at any point. Errors name the key, the operation and the service's own code, hold no secret, and say by their
/// [kind](chains_core::ErrorKind) whether a later attempt may succeed.
#[async_trait]
pub trait Provider: Debug + Send + Sync + 'static {
    /// The reference to the key, as it was written.
    fn reference(&self) -> &str;

    /// Whether the reference names one version, for ever.
    fn is_pinned(&self) -> bool;

    /// Fetches the version with this name; with `None`, the one that signs now.
    ///
    /// # Errors
    /// Where it cannot be had, or signs in a way that is not known.
    async fn key(&self, version: Option<&str>) -> Result<Key>;

    /// Has the message signed, in the way that `key` signs.
    ///
    /// # Errors
    /// Where the service refuses or cannot be reached.
    async fn sign(&self, key: &Key, message: &[u8]) -> Result<Made>;
}

/// The provider for a reference.
pub(crate) fn build(options: KmsOptions) -> Result<Arc<dyn Provider>> {
    let missing = |scheme: &str| {
        let what = format!("using {}", options.key);
        let why = format!("this program is built without {scheme}://");
        Err(Error::new(ErrorKind::Configuration, what).with_source(why))
    };
    match &options.key {
        #[cfg(feature = "aws")]
        Reference::Aws(key) => Ok(Arc::new(crate::aws::AwsKms::new(key.clone(), &options)?)),
        #[cfg(feature = "azure")]
        Reference::Azure(key) => {
            Ok(Arc::new(crate::azure::AzureVault::new(key.clone(), &options)?))
        }
        #[cfg(feature = "gcp")]
        Reference::Gcp(key) => Ok(Arc::new(crate::gcp::CloudKms::new(key.clone(), &options)?)),
        #[cfg(feature = "vault")]
        Reference::Vault(key) => Ok(Arc::new(crate::vault::Transit::new(key.clone(), &options)?)),
        #[allow(unreachable_patterns, reason = "with every service compiled in, none is left")]
        key => missing(key.as_str().split(':').next().unwrap_or_default()),
    }
}
