//! Signatures and what verifies them.

use std::sync::Arc;

use bytes::Bytes;
use spki::Document;

use crate::PublicKey;
use crate::dsse::Envelope;

/// How a signature was made: told by the signer, never guessed from the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA P-256 over SHA-256; ASN.1 DER.
    EcdsaP256Sha256,
    /// ECDSA P-384 over SHA-256, which cosign takes for every curve by default; ASN.1 DER.
    EcdsaP384Sha256,
    /// ECDSA P-384 over SHA-384; ASN.1 DER.
    EcdsaP384Sha384,
    /// ECDSA P-521 over SHA-256, which cosign takes for every curve by default; ASN.1 DER.
    EcdsaP521Sha256,
    /// ECDSA P-521 over SHA-512; ASN.1 DER.
    EcdsaP521Sha512,
    /// Ed25519 over the message itself; 64 bytes.
    Ed25519,
    /// RSA PKCS#1 v1.5 over SHA-256.
    RsaPkcs1Sha256,
    /// RSA PKCS#1 v1.5 over SHA-384, which Azure Key Vault's users take for keys of 3072 bits.
    RsaPkcs1Sha384,
    /// RSA PKCS#1 v1.5 over SHA-512.
    RsaPkcs1Sha512,
    /// RSA PSS over SHA-256, salt as long as the hash.
    RsaPssSha256,
    /// RSA PSS over SHA-384, salt as long as the hash.
    RsaPssSha384,
    /// RSA PSS over SHA-512, salt as long as the hash.
    RsaPssSha512,
}

impl SignatureAlgorithm {
    /// A short static name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha256 => "ecdsa-p384-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::EcdsaP521Sha256 => "ecdsa-p521-sha256",
            Self::EcdsaP521Sha512 => "ecdsa-p521-sha512",
            Self::Ed25519 => "ed25519",
            Self::RsaPkcs1Sha256 => "rsa-pkcs1-sha256",
            Self::RsaPkcs1Sha384 => "rsa-pkcs1-sha384",
            Self::RsaPkcs1Sha512 => "rsa-pkcs1-sha512",
            Self::RsaPssSha256 => "rsa-pss-sha256",
            Self::RsaPssSha384 => "rsa-pss-sha384",
            Self::RsaPssSha512 => "rsa-pss-sha512",
        }
    }
}

/// What a verifier needs besides the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationMaterial {
    /// The key that verifies; with certificates, the leaf's.
    pub public_key: PublicKey,
    /// PEM of the leaf certificate, where there is one.
    pub certificate: Option<String>,
    /// PEM of the certificates above the leaf, nearest first; empty where there are none.
    pub chain: Option<String>,
}

impl VerificationMaterial {
    /// A bare public key.
    #[must_use]
    pub const fn from_public_key(public_key: PublicKey) -> Self {
        Self { public_key, certificate: None, chain: None }
    }

    /// The leaf certificate as DER, where there is one that can be read.
    #[must_use]
    pub fn certificate_der(&self) -> Option<Bytes> {
        let (label, document) = Document::from_pem(self.certificate.as_ref()?.trim_start()).ok()?;
        (label == "CERTIFICATE").then(|| Bytes::copy_from_slice(document.as_bytes()))
    }

    /// The key id of the public key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        self.public_key.id()
    }
}

/// A signature, with what made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The signature in the encoding that its algorithm names.
    pub bytes: Bytes,
    /// How it was made.
    pub algorithm: SignatureAlgorithm,
    /// What verifies this very signature: a signer's key may change between two of them.
    pub material: Arc<VerificationMaterial>,
}

/// A signed payload, in one of the two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// The payload in an envelope.
    Dsse(Envelope),
    /// The signature beside the payload.
    Detached(Bytes),
}

impl Signed {
    /// The bare signature: of an envelope, its first.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        match self {
            Self::Dsse(envelope) => envelope.signatures.first().map_or(&[], |first| &first.sig),
            Self::Detached(signature) => signature,
        }
    }
}
