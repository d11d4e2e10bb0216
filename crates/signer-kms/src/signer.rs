//! The signer: what is the same for all services.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chains_core::{Error, ErrorKind, Result, Signature, Signer, VerificationMaterial};
use tokio::sync::Semaphore;

use crate::keys::{Keys, Known};
use crate::{KmsOptions, Limits, Provider};

/// Signs with a key in a key management service.
///
/// The public key is fetched once and kept. Of a reference that names no version, it is fetched again every
/// [`Limits::refresh`], and whenever the service signs with another version, or refuses: each signature comes with
/// the key of the version that made it. Every signature is verified before it leaves.
pub struct KmsSigner {
    provider: Arc<dyn Provider>,
    keys: Keys,
    turns: Semaphore,
}

impl fmt::Debug for KmsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KmsSigner").field(&self.reference()).finish()
    }
}

impl KmsSigner {
    /// Makes the signer for a reference. Nothing is sent before it is used.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] where the service is not compiled in, its variables cannot be read, or a file
    /// with certificates.
    pub fn new(options: KmsOptions) -> Result<Self> {
        let limits = options.limits;
        let provider = crate::provider::build(options)?;
        Ok(Self::with_provider(provider, limits))
    }

    /// Makes a signer that uses this provider.
    #[must_use]
    pub fn with_provider(provider: Arc<dyn Provider>, limits: Limits) -> Self {
        let keys = Keys::new(Arc::clone(&provider), limits.refresh);
        let turns = Semaphore::new(limits.concurrency.clamp(1, Semaphore::MAX_PERMITS));
        Self { provider, keys, turns }
    }

    /// The reference to the key, as it was written.
    #[must_use]
    pub fn reference(&self) -> &str {
        self.provider.reference()
    }

    async fn attempt(&self, known: &Arc<Known>, message: &[u8]) -> Result<Signature> {
        let made = self.provider.sign(&known.key, message).await?;
        let by = if made.version == known.key.version {
            Arc::clone(known)
        } else if self.provider.is_pinned() {
            // Verifiers were told of that one version: another one's signature is no good to them.
            let what = format!("checking a signature by {}", self.reference());
            let (made, asked) = (&made.version, &known.key.version);
            let why = format!("version {made} made it, where the reference names version {asked}");
            return Err(Error::new(ErrorKind::Verification, what).with_source(why));
        } else {
            self.keys.version(&made.version).await?
        };
        let key = &by.key;
        chains_verify::verify(&key.public_key, key.algorithm, message, &made.signature).map_err(
            |error| {
                let (reference, version) = (self.reference(), &key.version);
                let what = format!("checking a signature by {reference} (version {version})");
                Error::new(ErrorKind::Verification, what).with_source(error)
            },
        )?;
        Ok(Signature {
            bytes: made.signature,
            algorithm: key.algorithm,
            material: Arc::clone(&by.material),
        })
    }

    /// Whether another key may be the remedy.
    fn may_be_another_key(&self, error: &Error) -> bool {
        match error.kind() {
            // The same name may be given to another key.
            ErrorKind::Verification => true,
            ErrorKind::Unauthorized | ErrorKind::Configuration => false,
            _ => !error.is_retryable() && !self.provider.is_pinned(),
        }
    }
}

#[async_trait]
impl Signer for KmsSigner {
    fn name(&self) -> &str {
        "kms"
    }

    async fn material(&self) -> Result<Arc<VerificationMaterial>> {
        Ok(Arc::clone(&self.keys.current().await?.material))
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature> {
        let known = self.keys.current().await?;
        // The semaphore is never closed.
        let _turn = self.turns.acquire().await;
        let error = match self.attempt(&known, message).await {
            Ok(signature) => return Ok(signature),
            Err(error) => error,
        };
        if !self.may_be_another_key(&error) {
            return Err(error);
        }
        match self.keys.other_than(&known).await {
            Ok(Some(other)) => self.attempt(&other, message).await,
            // Why the first attempt failed says more than why looking again did.
            Ok(None) | Err(_) => Err(error),
        }
    }
}
