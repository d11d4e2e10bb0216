//! The signer.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::VerificationMaterial;
use chains_core::{PublicKey, Result, Secret, Signature, SignatureAlgorithm, Signer};

use crate::pem::Block;
use crate::private_key::PrivateKey;
use crate::{cosign_key, key_error, pem};

/// Signs with a private key that is held in memory.
///
/// ```
/// use chains_signer_x509::{KeyKind, KeyPair, X509Signer};
/// let pair = KeyPair::generate(KeyKind::P256)?;
/// let signer = X509Signer::from_pem(pair.private_pem()?.expose(), None)?;
/// assert_eq!(signer.public_key(), pair.public_key());
/// # Ok::<(), chains_core::Error>(())
/// ```
#[derive(Debug)]
pub struct X509Signer {
    key: PrivateKey,
    material: Arc<VerificationMaterial>,
}

impl X509Signer {
    /// Reads a private key from PEM: `PRIVATE KEY` (PKCS#8), `EC PRIVATE KEY` (SEC1), `RSA PRIVATE KEY`
    /// (PKCS#1), or cosign's `ENCRYPTED SIGSTORE PRIVATE KEY` and `ENCRYPTED COSIGN PRIVATE KEY`.
    ///
    /// Decrypting a cosign key takes 64 MiB of memory and some tenths of a second, here and never again.
    /// A password for a key that is not encrypted is not used.
    ///
    /// # Errors
    /// [`ErrorKind::Key`](chains_core::ErrorKind::Key): not PEM, a public key, encrypted and no password
    /// given, wrong password, unsupported algorithm or curve. No error holds anything of the key.
    pub fn from_pem(pem: &str, password: Option<&Secret>) -> Result<Self> {
        let block =
            pem::private_key_block(pem).map_err(|error| error.context("reading a private key"))?;
        read(&block, password)
            .and_then(Self::new)
            .map_err(|error| error.context(format!("reading a private key ({})", block.label)))
    }

    pub(crate) fn new(key: PrivateKey) -> Result<Self> {
        let material = VerificationMaterial::from_public_key(key.public_key()?);
        Ok(Self { key, material: Arc::new(material) })
    }

    /// The public key that verifies.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.material.public_key
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.key.algorithm()
    }

    /// Signs without waiting for anything: what [`Signer::sign`] does.
    ///
    /// # Errors
    /// [`ErrorKind::Signing`](chains_core::ErrorKind::Signing) where the library fails, which it does not
    /// for keys that could be read.
    pub fn sign_message(&self, message: &[u8]) -> Result<Signature> {
        Ok(Signature {
            bytes: self.key.sign(message)?,
            algorithm: self.key.algorithm(),
            material: Arc::clone(&self.material),
        })
    }
}

fn read(block: &Block, password: Option<&Secret>) -> Result<PrivateKey> {
    match block.label.as_str() {
        "PRIVATE KEY" => PrivateKey::from_pkcs8(block.der()?.as_bytes()),
        "EC PRIVATE KEY" => PrivateKey::from_sec1(block.der()?.as_bytes()),
        "RSA PRIVATE KEY" => PrivateKey::from_pkcs1(block.der()?.as_bytes()),
        cosign_key::LABEL | cosign_key::OLD_LABEL => {
            let Some(password) = password else {
                return Err(key_error("the key is encrypted and no password was given"));
            };
            // What is encrypted need not be decoded in constant time.
            let json = STANDARD
                .decode(block.base64.as_bytes())
                .map_err(|e| key_error("decoding the PEM").with_source(e))?;
            PrivateKey::from_pkcs8(&cosign_key::decrypt(&json, password)?)
        }
        "ENCRYPTED PRIVATE KEY" => Err(key_error(
            "encrypted PKCS#8 is not supported: import it with `cosign import-key-pair`, \
             or decrypt it with `openssl pkcs8 -topk8 -nocrypt`",
        )),
        other => Err(key_error(format!("a {other} is not supported: use PKCS#8"))),
    }
}

#[async_trait]
impl Signer for X509Signer {
    fn name(&self) -> &str {
        "x509"
    }

    async fn material(&self) -> Result<Arc<VerificationMaterial>> {
        Ok(Arc::clone(&self.material))
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature> {
        self.sign_message(message)
    }
}
