//! A signer that needs no key file.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use bytes::Bytes;
use chains_core::{PublicKey, Result, Signature, SignatureAlgorithm, Signer, VerificationMaterial};

/// What stands before an Ed25519 key in a SubjectPublicKeyInfo ([RFC 8410 §4](https://www.rfc-editor.org/rfc/rfc8410#section-4)).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Signs with an Ed25519 key that follows from a number, and counts how often.
#[derive(Debug)]
pub struct FakeSigner {
    pair: Ed25519KeyPair,
    material: Arc<VerificationMaterial>,
    count: AtomicUsize,
}

impl FakeSigner {
    /// A signer whose key follows from `seed`: the same number, the same key.
    ///
    /// # Panics
    /// Never: every seed makes a key.
    #[must_use]
    pub fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes are a seed");
        let spki = [&SPKI_PREFIX, pair.public_key().as_ref()].concat();
        let key = PublicKey::from_spki_der(&spki).expect("an Ed25519 key is a key");
        let material = Arc::new(VerificationMaterial::from_public_key(key));
        Self { pair, material, count: AtomicUsize::new(0) }
    }

    /// The key that verifies.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.material.public_key
    }

    /// How many signatures were made.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Signs without waiting.
    #[must_use]
    pub fn sign_message(&self, message: &[u8]) -> Signature {
        self.count.fetch_add(1, Ordering::SeqCst);
        Signature {
            bytes: Bytes::copy_from_slice(self.pair.sign(message).as_ref()),
            algorithm: SignatureAlgorithm::Ed25519,
            material: Arc::clone(&self.material),
        }
    }
}

#[async_trait]
impl Signer for FakeSigner {
    fn name(&self) -> &str {
        "fake"
    }

    async fn material(&self) -> Result<Arc<VerificationMaterial>> {
        Ok(Arc::clone(&self.material))
    }

    async fn sign(&self, message: &[u8]) -> Result<Signature> {
        Ok(self.sign_message(message))
    }
}
