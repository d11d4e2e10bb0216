//! Making keys, in the form that cosign makes them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::{Error, ErrorKind, PublicKey, Result, Secret};
use ed25519_dalek::pkcs8::KeypairBytes;
use pkcs8::{EncodePrivateKey as _, SecretDocument};
use zeroize::Zeroizing;

use crate::private_key::PrivateKey;
use crate::{X509Signer, cosign_key, key_error, pem};

/// The kinds of key that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyKind {
    /// ECDSA on NIST P-256: what cosign makes.
    #[default]
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::Ed25519];

    /// The name that [`FromStr`] reads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "ecdsa-p256",
            Self::P384 => "ecdsa-p384",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyKind {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the known kinds.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            let why = format!("unknown kind of key {text:?}: known are {known}");
            Error::new(ErrorKind::InvalidInput, why)
        })
    }
}

/// A private key that was just made, with its public half.
///
/// ```
/// use chains_core::Secret;
/// use chains_signer_x509::{KeyKind, KeyPair};
/// let pair = KeyPair::generate(KeyKind::Ed25519)?;
/// assert!(pair.private_pem()?.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
/// assert!(pair.public_pem()?.starts_with("-----BEGIN PUBLIC KEY-----\n"));
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug)]
pub struct KeyPair {
    pkcs8: SecretDocument,
    public: PublicKey,
}

impl KeyPair {
    /// Makes a key from the operating system's random bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Key`] where the system gives no random bytes.
    pub fn generate(kind: KeyKind) -> Result<Self> {
        let pkcs8 = match kind {
            KeyKind::P256 => {
                scalar(|bytes: &[u8; 32]| p256::SecretKey::from_slice(bytes).ok())?.to_pkcs8_der()
            }
            KeyKind::P384 => {
                scalar(|bytes: &[u8; 48]| p384::SecretKey::from_slice(bytes).ok())?.to_pkcs8_der()
            }
            // Without the public key, which older readers do not expect.
            KeyKind::Ed25519 => {
                KeypairBytes { secret_key: cosign_key::random()?, public_key: None }.to_pkcs8_der()
            }
        }
        .map_err(|e| key_error("encoding a private key").with_source(e.to_string()))?;
        let public = PrivateKey::from_pkcs8(pkcs8.as_bytes())?.public_key()?;
        Ok(Self { pkcs8, public })
    }

    /// The public half.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// PEM of the public half, as in `cosign.pub`.
    ///
    /// # Errors
    /// None for keys that could be made.
    pub fn public_pem(&self) -> Result<String> {
        self.public.to_pem()
    }

    /// PEM of the private key, not encrypted: PKCS#8, as in `x509.pem`.
    ///
    /// # Errors
    /// None for keys that could be made.
    pub fn private_pem(&self) -> Result<Secret> {
        let pem = pem::encode("PRIVATE KEY", &self.pkcs8)?;
        Ok(Secret::new(pem.as_str()))
    }

    /// PEM of the private key, encrypted as cosign does, as in `cosign.key`.
    ///
    /// Takes 64 MiB of memory and some tenths of a second. The password may be empty: so is cosign's where
    /// none is given.
    ///
    /// # Errors
    /// [`ErrorKind::Key`] where the system gives no random bytes.
    pub fn private_pem_encrypted(&self, password: &Secret) -> Result<String> {
        let json = cosign_key::encrypt(self.pkcs8.as_bytes(), password)?;
        Ok(pem::encode_base64(cosign_key::LABEL, &STANDARD.encode(json)))
    }

    /// Signs with the key.
    ///
    /// # Errors
    /// None for keys that could be made.
    pub fn into_signer(self) -> Result<X509Signer> {
        X509Signer::new(PrivateKey::from_pkcs8(self.pkcs8.as_bytes())?)
    }
}

/// Draws until the bytes are a scalar of the curve: all but one in 2³² at most are at once.
fn scalar<const LENGTH: usize, K>(read: impl Fn(&[u8; LENGTH]) -> Option<K>) -> Result<K> {
    const DRAWS: usize = 16;
    for _ in 0..DRAWS {
        let bytes = Zeroizing::new(cosign_key::random::<LENGTH>()?);
        if let Some(key) = read(&bytes) {
            return Ok(key);
        }
    }
    Err(key_error("the operating system's random bytes are not random"))
}
