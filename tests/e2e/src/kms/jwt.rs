//! Somebody who issues JWTs, as the API server does for service accounts.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rcgen::KeyPair;
use serde_json::{Value, json};

/// An issuer with a key of its own.
#[derive(Debug)]
pub struct JwtIssuer {
    key: EcdsaKeyPair,
    public: String,
}

impl JwtIssuer {
    /// Makes one.
    ///
    /// # Errors
    /// If its key cannot be made.
    pub fn new() -> Result<Self> {
        let pair = KeyPair::generate()?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.serialized_der())
            .context("read the issuer's key")?;
        Ok(Self { key, public: pair.public_key_pem() })
    }

    /// Its public key in PEM.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// A JWT that says `subject` to `audience`, for ten minutes.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn jwt(&self, subject: &str, audience: &str) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({
            "iss": "https://kubernetes.default.svc", "sub": subject, "aud": [audience],
            "iat": now - 5, "nbf": now - 5, "exp": now + 600,
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(json!({ "typ": "JWT", "alg": "ES256" })), part(claims));
        let signature =
            self.key.sign(&SystemRandom::new(), signed.as_bytes()).ok().context("sign a JWT")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
