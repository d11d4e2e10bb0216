//! The signer.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use chains_core::{Earlier, Result, Signature, Signer, VerificationMaterial};
use tokio::sync::watch;

use crate::earlier;
use crate::issue::Issuer;
use crate::renewal::{Renewal, Status};
use crate::{FulcioOptions, IdentitySource, TrustSource};

/// Signs with a key in memory and a certificate of Fulcio for it.
///
/// # Guarantees
/// - One certificate serves all signatures for as long as it is valid; the next one is fetched before, in the
///   background and once, however many wait for it. Each has a key of its own.
/// - Each signature comes with the certificate that it was made under, also when the certificate changes between
///   [`material`](Signer::material) and [`sign`](Signer::sign).
/// - A certificate is not used in the last tenth of its time, at most a minute: what was signed has yet to be logged
///   while it is valid.
/// - The same message gives the same signature while the certificate is the same.
/// - Keys are wiped with the certificate; neither they nor identity tokens are in an error, a log or a file.
///
/// # Caveats
/// Whoever logs a signature later than the certificate ends has to sign again: verifiers compare the two.
///
/// ```no_run
/// # async fn example() -> chains_core::Result<()> {
/// use std::sync::Arc;
/// use chains_core::Signer as _;
/// use chains_signer_fulcio::{Filesystem, FulcioOptions, FulcioSigner};
///
/// let source = Arc::new(Filesystem::new("/var/run/sigstore/cosign/oidc-token"));
/// let signer = FulcioSigner::new(FulcioOptions::default(), source, None)?;
/// let signature = signer.sign(b"message").await?;
/// println!("{}", signature.material.certificate.as_deref().unwrap_or_default());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FulcioSigner {
    renewal: Renewal,
}

impl FulcioSigner {
    /// A signer; where a trust is given, certificates must lead up to it.
    ///
    /// Nothing is asked of anybody before [`FulcioSigner::start`] or the first signature.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](chains_core::ErrorKind::Configuration) where the address is none.
    pub fn new(
        options: FulcioOptions,
        source: Arc<dyn IdentitySource>,
        trust: Option<Arc<dyn TrustSource>>,
    ) -> Result<Self> {
        let idle = options.idle;
        let issuer = Issuer::new(options, source, trust)
            .map_err(|fault| chains_core::Error::from(fault).with_retryable(false))?;
        Ok(Self { renewal: Renewal::new(issuer, idle) })
    }

    /// Gets a certificate in the background, so that the first signature need not wait for one. Without a runtime of
    /// tokio around it, it does nothing.
    pub fn start(&self) {
        self.renewal.start();
    }

    /// How it stands with the certificate, now and whenever that changes.
    ///
    /// While there is none, signatures fail, with an error that is worth another attempt: who has a queue may
    /// wait here instead.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.renewal.status()
    }
}

#[async_trait]
impl Signer for FulcioSigner {
    /// As in the configuration, which knows Fulcio as a way of `x509`.
    fn name(&self) -> &str {
        "x509"
    }

    async fn material(&self) -> Result<Arc<VerificationMaterial>> {
        Ok(Arc::clone(self.renewal.certificate().await?.material()))
    }

    fn start(&self) {
        self.renewal.start();
    }

    /// Told by the present certificate: an earlier one of ours has the same names, of the same issuer of tokens, and
    /// was issued by the same authority.
    async fn earlier(&self, certificate: &[u8]) -> Result<Option<Earlier>> {
        let present = Arc::clone(self.renewal.certificate().await?.material());
        Ok(earlier::of(&present, certificate, SystemTime::now()))
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature> {
        Ok(self.renewal.certificate().await?.sign(message))
    }
}
