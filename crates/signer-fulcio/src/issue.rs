//! Getting one certificate: token, key, request, answer, checks.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{ErrorKind, PublicKey, Signature, SignatureAlgorithm, VerificationMaterial};
use tokio::time::Instant;

use crate::certificate::Certificates;
use crate::connection::Http;
use crate::fault::{Fault, Result};
use crate::key::EphemeralKey;
use crate::renewal::Issue;
use crate::server::{Answer, Server};
use crate::source::IdentitySource;
use crate::trust::TrustSource;
use crate::{FulcioOptions, sct};

/// For how long before its end a certificate is not used any more: a signature counts from when a log or a
/// timestamp authority has seen it, which must still be while the certificate is valid.
const LONGEST_MARGIN: Duration = Duration::from_secs(60);
/// The same as a part of the time that the certificate is valid for.
const MARGIN_PART: u32 = 10;
/// For how long before its end a certificate of this lifetime is not used any more.
pub(crate) fn margin(lifetime: Duration) -> Duration {
    (lifetime / MARGIN_PART).min(LONGEST_MARGIN)
}

/// How many of the requests' time limits a whole attempt may take: token, certificate, explanation.
const ATTEMPT: u32 = 3;

/// Issues certificates.
#[derive(Debug)]
pub(crate) struct Issuer {
    options: FulcioOptions,
    server: Server,
    source: Arc<dyn IdentitySource>,
    trust: Option<Arc<dyn TrustSource>>,
}

/// A key with a certificate for it.
pub(crate) struct Issued {
    key: EphemeralKey,
    material: Arc<VerificationMaterial>,
    not_after: SystemTime,
    lifetime: Duration,
    /// When it ends by the clock that nobody sets.
    ends: Instant,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("key", &self.key)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    pub(crate) fn new(
        options: FulcioOptions,
        source: Arc<dyn IdentitySource>,
        trust: Option<Arc<dyn TrustSource>>,
    ) -> Result<Self> {
        let server = Server::new(&options.address, Http::new(options.connection.clone()))?;
        if !server.is_private() {
            tracing::warn!(
                address = %server.address(),
                "identity tokens go to Fulcio without TLS: whoever listens can sign with them"
            );
        }
        Ok(Self { options, server, source, trust })
    }

    async fn attempt(&self) -> Result<Issued> {
        let token = self.source.token(&self.options.audience).await?;
        token
            .check(&self.options.audience, self.options.issuer.as_deref(), SystemTime::now())
            .map_err(|error| error.context(format!("the source `{}`", self.source.name())))?;
        let key = EphemeralKey::generate()?;
        let asked = Instant::now();
        let answer = self.server.certificate(&token, &key.certificate_request()?).await?;
        let trust = match &self.trust {
            Some(source) => Some(source.trust().await?),
            None => None,
        };
        let refused = |why: String| {
            let what = format!("checking the certificate of {}", self.server.address());
            Fault::new(ErrorKind::Verification, what, why)
        };
        let now = SystemTime::now();
        let certificates =
            check(&answer, key.public_key(), trust.as_deref(), now).map_err(refused)?;
        let issued = Issued::new(key, &certificates, asked, now).map_err(refused)?;
        tracing::info!(
            address = %self.server.address(),
            source = self.source.name(),
            issuer = token.issuer(),
            subject = token.subject(),
            valid = ?issued.remaining(),
            "got a certificate"
        );
        Ok(issued)
    }
}

#[async_trait]
impl Issue for Issuer {
    async fn issue(&self) -> Result<Issued> {
        let limit = self.options.connection.request_timeout * ATTEMPT;
        tokio::time::timeout(limit, self.attempt()).await.unwrap_or_else(|_| {
            let what = format!("getting a certificate of {}", self.server.address());
            Err(Fault::new(ErrorKind::Timeout, what, format!("it takes longer than {limit:?}")))
        })
    }
}

fn check(
    answer: &Answer,
    key: &PublicKey,
    trust: Option<&crate::Trust>,
    now: SystemTime,
) -> Result<Certificates, String> {
    let certificates = Certificates::read(&answer.certificates)?;
    certificates.check(key, trust, now)?;
    if let Some(trust) = trust {
        sct::check(&certificates, answer.promise.as_deref(), trust)?;
    }
    Ok(certificates)
}

impl Issued {
    fn new(
        key: EphemeralKey,
        certificates: &Certificates,
        asked: Instant,
        now: SystemTime,
    ) -> Result<Self, String> {
        let (not_before, not_after) = certificates.validity();
        let lifetime = not_after.duration_since(not_before).unwrap_or_default();
        if lifetime.is_zero() {
            return Err("it is never valid".to_owned());
        }
        let Ok(remaining) = not_after.duration_since(now) else {
            return Err("it has ended already, by the clock here: do the clocks differ?".to_owned());
        };
        let material = VerificationMaterial {
            public_key: key.public_key().clone(),
            certificate: Some(certificates.leaf_pem()?),
            chain: certificates.chain_pem()?,
        };
        // A clock here that is behind would have the certificate end too late, one that is ahead too early: the
        // earlier of the two ends holds. Certificates of centuries are renewed once in a while.
        const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
        let ends = (asked + lifetime.min(LONGEST)).min(Instant::now() + remaining.min(LONGEST));
        Ok(Self { key, material: Arc::new(material), not_after, lifetime, ends })
    }

    /// For how long the certificate is valid from now on.
    ///
    /// Asked of both clocks: one can be set, the other stands still while a machine sleeps.
    fn remaining(&self) -> Duration {
        let by_date = self.not_after.duration_since(SystemTime::now()).unwrap_or_default();
        by_date.min(self.ends.saturating_duration_since(Instant::now()))
    }

    /// Whether there is time enough to sign and have it logged.
    pub(crate) fn is_usable(&self) -> bool {
        self.remaining() > margin(self.lifetime)
    }

    /// When to ask for the next one: when a third of its time is left.
    pub(crate) fn renew_at(&self) -> Instant {
        let ahead = self.lifetime / 3;
        self.ends.checked_sub(ahead).unwrap_or(self.ends)
    }

    pub(crate) const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    pub(crate) const fn material(&self) -> &Arc<VerificationMaterial> {
        &self.material
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        let bytes: Bytes = self.key.sign(message);
        Signature {
            bytes,
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            material: Arc::clone(&self.material),
        }
    }
}

#[cfg(test)]
impl Issued {
    /// One that is valid for so long from now on, with a text in place of the certificate.
    pub(crate) fn lasting(lifetime: Duration, certificate: &str) -> Self {
        let key = EphemeralKey::generate().expect("a key");
        let material = VerificationMaterial {
            public_key: key.public_key().clone(),
            certificate: Some(certificate.to_owned()),
            chain: None,
        };
        let (not_after, ends) = (SystemTime::now() + lifetime, Instant::now() + lifetime);
        Self { key, material: Arc::new(material), not_after, lifetime, ends }
    }
}
