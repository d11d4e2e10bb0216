//! Digests: what is sent to a service in place of the message.

use aws_lc_rs::digest;
use chains_core::SignatureAlgorithm;

/// The hash that a signature algorithm signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// `None` where the message itself is signed, or where the algorithm is not known.
    pub(crate) const fn of(algorithm: SignatureAlgorithm) -> Option<Self> {
        use SignatureAlgorithm as A;
        match algorithm {
            A::EcdsaP256Sha256
            | A::EcdsaP384Sha256
            | A::EcdsaP521Sha256
            | A::RsaPkcs1Sha256
            | A::RsaPssSha256 => Some(Self::Sha256),
            A::EcdsaP384Sha384 | A::RsaPkcs1Sha384 | A::RsaPssSha384 => Some(Self::Sha384),
            A::EcdsaP521Sha512 | A::RsaPkcs1Sha512 | A::RsaPssSha512 => Some(Self::Sha512),
            _ => None,
        }
    }

    pub(crate) fn digest(self, message: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, message).as_ref().to_vec()
    }
}
