//! One signature, one key.

use aws_lc_rs::signature::{self as algorithms, UnparsedPublicKey, VerificationAlgorithm};
use chains_core::{Error, ErrorKind, KeyAlgorithm, PublicKey, Result, SignatureAlgorithm};

use crate::failed;

/// Checks a signature over the unhashed message.
///
/// ```
/// use chains_core::{PublicKey, SignatureAlgorithm};
/// let key = PublicKey::from_pem(
///     "-----BEGIN PUBLIC KEY-----\n\
///      MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
///      -----END PUBLIC KEY-----\n",
/// )?;
/// let wrong = chains_verify::verify(&key, SignatureAlgorithm::Ed25519, b"message", &[0; 64]);
/// assert_eq!(wrong.unwrap_err().to_string(), "the signature does not match the message and the key");
/// # Ok::<(), chains_core::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Verification`] where it does not match; [`ErrorKind::Key`] where the key is not one that
/// the algorithm uses.
pub fn verify(
    key: &PublicKey,
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<()> {
    if !candidates(key.algorithm()).contains(&algorithm) {
        return Err(Error::new(
            ErrorKind::Key,
            format!(
                "a key of kind {} does not verify {} signatures",
                key.algorithm().as_str(),
                algorithm.as_str()
            ),
        ));
    }
    let verifier = verifier(algorithm)?;
    UnparsedPublicKey::new(verifier, key.raw())
        .verify(message, signature)
        .map_err(|_| failed("the signature does not match the message and the key"))
}

/// The algorithms that a stored signature by such a key may have, the likeliest first.
///
/// cosign signs with SHA-256 whatever the curve, while newer bundles may have the curve's own hash.
#[must_use]
pub const fn candidates(key: KeyAlgorithm) -> &'static [SignatureAlgorithm] {
    use SignatureAlgorithm as A;
    match key {
        KeyAlgorithm::EcdsaP256 => &[A::EcdsaP256Sha256],
        KeyAlgorithm::EcdsaP384 => &[A::EcdsaP384Sha256, A::EcdsaP384Sha384],
        KeyAlgorithm::EcdsaP521 => &[A::EcdsaP521Sha256, A::EcdsaP521Sha512],
        KeyAlgorithm::Ed25519 => &[A::Ed25519],
        KeyAlgorithm::Rsa => &[
            A::RsaPkcs1Sha256,
            A::RsaPssSha256,
            A::RsaPkcs1Sha512,
            A::RsaPssSha512,
            A::RsaPkcs1Sha384,
            A::RsaPssSha384,
        ],
        // A kind of key that this version cannot verify with.
        _ => &[],
    }
}

/// Checks a signature whose algorithm is not told, and tells which of the [`candidates`] it is.
///
/// # Errors
/// [`ErrorKind::Verification`] where none matches.
pub fn verify_any(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<SignatureAlgorithm> {
    candidates(key.algorithm())
        .iter()
        .copied()
        .find(|algorithm| verify(key, *algorithm, message, signature).is_ok())
        .ok_or_else(|| failed("the signature does not match the message and the key"))
}

fn verifier(algorithm: SignatureAlgorithm) -> Result<&'static dyn VerificationAlgorithm> {
    use SignatureAlgorithm as A;
    Ok(match algorithm {
        A::EcdsaP256Sha256 => &algorithms::ECDSA_P256_SHA256_ASN1,
        A::EcdsaP384Sha256 => &algorithms::ECDSA_P384_SHA256_ASN1,
        A::EcdsaP384Sha384 => &algorithms::ECDSA_P384_SHA384_ASN1,
        A::EcdsaP521Sha256 => &algorithms::ECDSA_P521_SHA256_ASN1,
        A::EcdsaP521Sha512 => &algorithms::ECDSA_P521_SHA512_ASN1,
        A::Ed25519 => &algorithms::ED25519,
        A::RsaPkcs1Sha256 => &algorithms::RSA_PKCS1_2048_8192_SHA256,
        A::RsaPkcs1Sha384 => &algorithms::RSA_PKCS1_2048_8192_SHA384,
        A::RsaPkcs1Sha512 => &algorithms::RSA_PKCS1_2048_8192_SHA512,
        A::RsaPssSha256 => &algorithms::RSA_PSS_2048_8192_SHA256,
        A::RsaPssSha384 => &algorithms::RSA_PSS_2048_8192_SHA384,
        A::RsaPssSha512 => &algorithms::RSA_PSS_2048_8192_SHA512,
        other => {
            let why = format!("{} signatures cannot be verified", other.as_str());
            return Err(Error::new(ErrorKind::Unsupported, why));
        }
    })
}
