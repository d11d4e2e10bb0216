//! A private key of any supported kind: reading, signing, and its public half.

use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, ECDH_P384};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use bytes::Bytes;
use chains_core::{Error, ErrorKind, PublicKey, Result, SignatureAlgorithm};
use ed25519_dalek::Signer as _;
use p256::NistP256;
use p384::NistP384;
use pkcs8::spki::{AlgorithmIdentifier, EncodePublicKey};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use sec1::EcPrivateKey;

use crate::{deterministic, key_error};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

const RSA_SIZES: &str = "RSA (of 2048 to 8192 bits)";

/// Wiped when dropped, by the libraries that hold it.
pub(crate) enum PrivateKey {
    P256(ecdsa::SigningKey<NistP256>),
    P384(ecdsa::SigningKey<NistP384>),
    // Boxed: many times larger than the others.
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Rsa(RsaKeyPair),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, [redacted])", self.algorithm().as_str())
    }
}

impl PrivateKey {
    /// Reads PKCS#8 ([RFC 5958](https://www.rfc-editor.org/rfc/rfc5958)).
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|e| unreadable("PKCS#8", &e))?;
        match info.algorithm.oid {
            EC => Self::from_ec_pkcs8(info),
            ED25519 => ed25519_dalek::SigningKey::try_from(info)
                .map(|key| Self::Ed25519(Box::new(key)))
                .map_err(|e| unreadable("Ed25519", &e)),
            RSA => {
                RsaKeyPair::from_pkcs8(der).map(Self::Rsa).map_err(|e| unreadable(RSA_SIZES, &e))
            }
            other => Err(key_error(format!(
                "private keys of algorithm {other} are not supported: use ECDSA, Ed25519 or RSA"
            ))),
        }
    }

    fn from_ec_pkcs8(info: PrivateKeyInfoRef<'_>) -> Result<Self> {
        match curve_of(&info.algorithm)? {
            P256 => p256::SecretKey::try_from(info).map(|key| Self::P256(key.into())),
            P384 => p384::SecretKey::try_from(info).map(|key| Self::P384(key.into())),
            other => return Err(unsupported_curve(other)),
        }
        .map_err(|e| unreadable("ECDSA", &e))
    }

    /// Reads SEC1 ([RFC 5915](https://www.rfc-editor.org/rfc/rfc5915)).
    pub(crate) fn from_sec1(der: &[u8]) -> Result<Self> {
        let info = EcPrivateKey::try_from(der)
            .map_err(|e| unreadable("SEC1 (which must name its curve, not spell it out)", &e))?;
        let curve = match info.parameters.and_then(sec1::EcParameters::named_curve) {
            Some(curve) => curve,
            None => return Err(key_error("the private key does not name its curve")),
        };
        match curve {
            P256 => p256::SecretKey::from_sec1_der(der).map(|key| Self::P256(key.into())),
            P384 => p384::SecretKey::from_sec1_der(der).map(|key| Self::P384(key.into())),
            other => return Err(unsupported_curve(other)),
        }
        .map_err(|e| unreadable("SEC1", &e))
    }

    /// Reads PKCS#1 ([RFC 8017 §A.1.2](https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.2)).
    pub(crate) fn from_pkcs1(der: &[u8]) -> Result<Self> {
        RsaKeyPair::from_der(der).map(Self::Rsa).map_err(|e| unreadable(RSA_SIZES, &e))
    }

    /// How it signs.
    pub(crate) const fn algorithm(&self) -> SignatureAlgorithm {
        match self {
            Self::P256(_) => SignatureAlgorithm::EcdsaP256Sha256,
            Self::P384(_) => SignatureAlgorithm::EcdsaP384Sha256,
            Self::Ed25519(_) => SignatureAlgorithm::Ed25519,
            Self::Rsa(_) => SignatureAlgorithm::RsaPkcs1Sha256,
        }
    }

    /// Its public half.
    pub(crate) fn public_key(&self) -> Result<PublicKey> {
        let document = match self {
            Self::P256(key) => key.verifying_key().to_public_key_der(),
            Self::P384(key) => key.verifying_key().to_public_key_der(),
            Self::Ed25519(key) => key.verifying_key().to_public_key_der(),
            Self::Rsa(key) => return rsa_public_key(key),
        };
        let der = document.map_err(|e| unreadable("public", &e))?;
        PublicKey::from_spki_der(der.as_bytes())
    }

    /// Signs the message; the same message gives the same signature.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Bytes> {
        match self {
            Self::P256(key) => {
                let signature = deterministic::sign(key.as_nonzero_scalar(), &ECDH_P256, message)?;
                Ok(Bytes::copy_from_slice(signature.to_der().as_bytes()))
            }
            Self::P384(key) => {
                let signature = deterministic::sign(key.as_nonzero_scalar(), &ECDH_P384, message)?;
                Ok(Bytes::copy_from_slice(signature.to_der().as_bytes()))
            }
            Self::Ed25519(key) => Ok(Bytes::copy_from_slice(&key.sign(message).to_bytes())),
            Self::Rsa(key) => sign_rsa(key, message),
        }
    }
}

fn sign_rsa(key: &RsaKeyPair, message: &[u8]) -> Result<Bytes> {
    let mut signature = vec![0; key.public_modulus_len()];
    let random = aws_lc_rs::rand::SystemRandom::new();
    key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
        .map_err(|_| Error::new(ErrorKind::Signing, "signing with an RSA key"))?;
    Ok(signature.into())
}

fn rsa_public_key(key: &RsaKeyPair) -> Result<PublicKey> {
    use aws_lc_rs::encoding::AsDer as _;

    let der = key.public_key().as_der().map_err(|e| unreadable("public", &e))?;
    let der: &[u8] = der.as_ref();
    PublicKey::from_spki_der(der)
}

fn curve_of(
    algorithm: &AlgorithmIdentifier<pkcs8::der::asn1::AnyRef<'_>>,
) -> Result<ObjectIdentifier> {
    algorithm.parameters_oid().map_err(|_| key_error("the private key does not name its curve"))
}

fn unsupported_curve(curve: ObjectIdentifier) -> Error {
    let name = if curve == P521 { "P-521".to_owned() } else { curve.to_string() };
    key_error(format!("private keys on the curve {name} are not supported: use P-256 or P-384"))
}

/// The libraries' errors tell kinds of mistakes and never bytes of the key.
fn unreadable(what: &str, error: &dyn fmt::Display) -> Error {
    key_error(format!("reading the {what} key")).with_source(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::PrivateKey;

    /// Vectors of RFC 6979 §A.2.5 and §A.2.6: the message `sample` with SHA-256.
    fn check(key: &PrivateKey, r: &str, s: &str) {
        let numbers = match key {
            PrivateKey::P256(_) => {
                let der = key.sign(b"sample").unwrap();
                hex::encode(p256::ecdsa::Signature::from_der(&der).unwrap().to_bytes())
            }
            _ => {
                let der = key.sign(b"sample").unwrap();
                hex::encode(p384::ecdsa::Signature::from_der(&der).unwrap().to_bytes())
            }
        };
        assert_eq!(numbers, format!("{r}{s}").to_lowercase());
    }

    #[test]
    fn nonces_are_those_of_rfc_6979_on_p256() {
        let secret = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721";
        let key = p256::SecretKey::from_slice(&hex::decode(secret).unwrap()).unwrap();
        check(
            &PrivateKey::P256(key.into()),
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        );
    }

    #[test]
    fn nonces_are_those_of_rfc_6979_on_p384() {
        let secret = "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D8\
                      96D5724E4C70A825F872C9EA60D2EDF5";
        let key = p384::SecretKey::from_slice(&hex::decode(secret).unwrap()).unwrap();
        check(
            &PrivateKey::P384(key.into()),
            "21B13D1E013C7FA1392D03C5F99AF8B30C570C6F98D4EA8E354B63A21D3DAA33\
             BDE1E888E63355D92FA2B3C36D8FB2CD",
            "F3AA443FB107745BF4BD77CB3891674632068A10CA67E3D45DB2266FA7D1FEEB\
             EFDC63ECCD1AC42EC0CB8668A4FA0AB0",
        );
    }
}
