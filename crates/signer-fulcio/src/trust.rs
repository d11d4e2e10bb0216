//! Whom to believe: certificate authorities and certificate transparency logs, each for its time.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{Error, ErrorKind, PublicKey, Result};
use sha2::{Digest as _, Sha256};

use crate::certificate;

/// A span of time; unset ends are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// Its first moment.
    pub start: Option<SystemTime>,
    /// Its last moment.
    pub end: Option<SystemTime>,
}

impl Window {
    /// Whether the moment is within.
    #[must_use]
    pub fn holds(&self, moment: SystemTime) -> bool {
        self.start.is_none_or(|start| start <= moment) && self.end.is_none_or(|end| moment <= end)
    }
}

/// A certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// DER certificates: the one that issues first, the root last.
    pub certificates: Vec<Bytes>,
    /// When it issued certificates.
    pub valid: Window,
}

impl Authority {
    /// Reads certificates from PEM: the one that issues first, the root last.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where it is not PEM, or holds no certificate.
    pub fn from_pem(pem: &str, valid: Window) -> Result<Self> {
        let what = "reading the certificates of an authority";
        let odd = |why: String| Error::new(ErrorKind::InvalidInput, what).with_source(why);
        let read = certificate::from_pem(pem).map_err(odd)?;
        if read.is_empty() {
            return Err(odd("there is none".to_owned()));
        }
        let certificates = read.iter().map(|der| Bytes::copy_from_slice(der)).collect();
        Ok(Self { certificates, valid })
    }
}

/// A certificate transparency log ([RFC 6962](https://www.rfc-editor.org/rfc/rfc6962)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CtLog {
    /// Its key.
    pub key: PublicKey,
    /// When it signed with it.
    pub valid: Window,
}

impl CtLog {
    /// SHA-256 of the key ([RFC 6962 §3.2](https://www.rfc-editor.org/rfc/rfc6962#section-3.2)).
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(self.key.spki_der()).into()
    }
}

/// Whom to believe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// One of them must have issued a certificate.
    pub authorities: Vec<Authority>,
    /// One of them must have promised to show it; with none, no promise is asked for.
    pub ct_logs: Vec<CtLog>,
}

/// Tells whom to believe now: what it says may change, as when a trusted root is refreshed.
#[async_trait]
pub trait TrustSource: fmt::Debug + Send + Sync + 'static {
    /// What holds now; asked for with every certificate.
    ///
    /// # Errors
    /// Where it cannot be had: no certificate is used then.
    async fn trust(&self) -> Result<Arc<Trust>>;
}

#[async_trait]
impl TrustSource for Trust {
    async fn trust(&self) -> Result<Arc<Trust>> {
        Ok(Arc::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn windows_hold_what_is_within() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let check = |start: Option<u64>, end: Option<u64>, expect: [bool; 4]| {
            let window = Window { start: start.map(at), end: end.map(at) };
            assert_eq!([1, 2, 3, 4].map(|moment| window.holds(at(moment))), expect);
        };
        check(None, None, [true; 4]);
        check(Some(2), None, [false, true, true, true]);
        check(None, Some(3), [true, true, true, false]);
        check(Some(2), Some(3), [false, true, true, false]);
        check(Some(3), Some(2), [false; 4]);
    }

    #[test]
    fn authorities_have_certificates() {
        for (pem, expect) in [
            ("", "there is none"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "there is none"),
            ("-----BEGIN CERTIFICATE-----\nA\n", "PEM"),
        ] {
            let error = Authority::from_pem(pem, Window::default()).expect_err("refused");
            assert!(error.report().contains(expect), "{}", error.report());
        }
    }
}
