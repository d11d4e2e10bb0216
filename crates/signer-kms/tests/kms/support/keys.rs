//! True keys of every kind that services have.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use chains_core::PublicKey;

pub(crate) enum PrivateKey {
    Ec(EcdsaKeyPair, &'static digest::Algorithm),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding, &'static digest::Algorithm),
}

impl PrivateKey {
    pub(crate) fn p256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        Self::Ec(pair, &digest::SHA256)
    }

    pub(crate) fn p384() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
        Self::Ec(pair, &digest::SHA384)
    }

    /// By the name that Cloud KMS has for it.
    pub(crate) fn of_google(algorithm: &str) -> Option<Self> {
        let rsa = |size, encoding: &'static dyn RsaEncoding, hash| {
            Self::Rsa(RsaKeyPair::generate(size).unwrap(), encoding, hash)
        };
        let (sha256, sha512) = (&digest::SHA256, &digest::SHA512);
        Some(match algorithm {
            "EC_SIGN_P256_SHA256" => Self::p256(),
            "EC_SIGN_P384_SHA384" => Self::p384(),
            "RSA_SIGN_PKCS1_2048_SHA256" => rsa(KeySize::Rsa2048, &RSA_PKCS1_SHA256, sha256),
            "RSA_SIGN_PKCS1_3072_SHA256" => rsa(KeySize::Rsa3072, &RSA_PKCS1_SHA256, sha256),
            "RSA_SIGN_PKCS1_4096_SHA256" => rsa(KeySize::Rsa4096, &RSA_PKCS1_SHA256, sha256),
            "RSA_SIGN_PKCS1_4096_SHA512" => rsa(KeySize::Rsa4096, &RSA_PKCS1_SHA512, sha512),
            "RSA_SIGN_PSS_2048_SHA256" => rsa(KeySize::Rsa2048, &RSA_PSS_SHA256, sha256),
            "RSA_SIGN_PSS_3072_SHA256" => rsa(KeySize::Rsa3072, &RSA_PSS_SHA256, sha256),
            "RSA_SIGN_PSS_4096_SHA256" => rsa(KeySize::Rsa4096, &RSA_PSS_SHA256, sha256),
            "RSA_SIGN_PSS_4096_SHA512" => rsa(KeySize::Rsa4096, &RSA_PSS_SHA512, sha512),
            _ => return None,
        })
    }

    /// `None` where the digest is of another length than the key's own.
    pub(crate) fn sign_digest(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ec(pair, hash) => {
                let digest = Digest::import_less_safe(bytes, hash).ok()?;
                Some(pair.sign_digest(&digest).unwrap().as_ref().to_vec())
            }
            Self::Rsa(pair, encoding, hash) => {
                let digest = Digest::import_less_safe(bytes, hash).ok()?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(*encoding, &digest, &mut signature).unwrap();
                Some(signature)
            }
        }
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Ec(pair, _) => pair.public_key().as_der().unwrap(),
            Self::Rsa(pair, ..) => pair.public_key().as_der().unwrap(),
        };
        PublicKey::from_spki_der(der.as_ref()).unwrap()
    }
}
