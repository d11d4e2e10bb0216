//! Proving who we are with a certificate: a JWT that its key signed
//! (<https://learn.microsoft.com/entra/identity-platform/certificate-credentials>).

use std::fmt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::signature::{RSA_PSS_SHA256, RsaKeyPair};
use chains_core::{Error, ErrorKind, Result, Secret};
use serde_json::json;
use spki::der::SecretDocument;
use zeroize::Zeroizing;

use super::key::to_base64url;
use crate::hash::Hash;

/// Seconds that the JWT is good for.
const LIFETIME: u64 = 600;

/// A certificate with its key.
pub(super) struct Certificate {
    key: RsaKeyPair,
    /// SHA-256 of the certificate.
    thumbprint: String,
}

/// The key stays out.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("thumbprint", &self.thumbprint).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads PEM with a certificate and its RSA key in PKCS#8, not encrypted.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let refused = |why: &str| {
            let what = format!("reading the client certificate of Azure from {}", path.display());
            Error::new(ErrorKind::Configuration, what).with_source(why.to_owned())
        };
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|e| {
            if e.kind() == std::io::ErrorKind::InvalidData {
                refused("it is not PEM: PKCS#12 is not supported")
            } else {
                refused(&e.to_string())
            }
        })?;
        let key = block(&text, "PRIVATE KEY")
            .ok_or_else(|| refused("it holds no PRIVATE KEY that is not encrypted, in PKCS#8"))?;
        let key = RsaKeyPair::from_pkcs8(key.as_bytes())
            .map_err(|_| refused("its private key is not RSA"))?;
        let certificate =
            block(&text, "CERTIFICATE").ok_or_else(|| refused("it holds no CERTIFICATE"))?;
        let thumbprint = to_base64url(&Hash::Sha256.digest(certificate.as_bytes()));
        Ok(Self { key, thumbprint })
    }

    /// The JWT.
    pub(super) fn assertion(&self, client_id: &str, audience: &str) -> Result<Secret> {
        let failed = || Error::new(ErrorKind::Internal, "signing with the client certificate");
        let random = SystemRandom::new();
        let id: [u8; 16] = rand::generate(&random).map_err(|_| failed())?.expose();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint });
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": hex::encode(id),
            "nbf": now,
            "iat": now,
            "exp": now + LIFETIME,
        });
        let parts = [header, claims].map(|part| to_base64url(part.to_string().as_bytes()));
        let signed = parts.join(".");
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &random, signed.as_bytes(), &mut signature)
            .map_err(|_| failed())?;
        Ok(Secret::new(format!("{signed}.{}", to_base64url(&signature))))
    }
}

/// The first block of PEM with this label, decoded.
fn block(text: &str, label: &str) -> Option<SecretDocument> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let start = text.find(&begin)?;
    let length = text.get(start..)?.find(&end)? + end.len();
    let (_, document) = SecretDocument::from_pem(text.get(start..start + length)?).ok()?;
    Some(document)
}
