//! The key that a certificate is for: made in memory, never written, wiped when it is dropped.

use std::fmt;

use bytes::Bytes;
use chains_core::{ErrorKind, PublicKey};
use p256::SecretKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::EncodePublicKey as _;
use x509_cert::attr::Attributes;
use x509_cert::der::asn1::{BitString, ObjectIdentifier};
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{Decode as _, Encode as _, EncodePem as _};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

use crate::fault::{Fault, Result};

/// [RFC 5758 §3.2](https://www.rfc-editor.org/rfc/rfc5758#section-3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// How often bytes are drawn: all but one in 2³² are a key.
const DRAWS: usize = 16;

/// A P-256 key.
pub(crate) struct EphemeralKey {
    // Wiped when dropped, by the library.
    key: SigningKey,
    public: PublicKey,
}

impl fmt::Debug for EphemeralKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EphemeralKey({}, [redacted])", self.public.id())
    }
}

impl EphemeralKey {
    /// Makes a key from the operating system's random bytes.
    pub(crate) fn generate() -> Result<Self> {
        let key = SigningKey::from(draw()?);
        let spki = key.verifying_key().to_public_key_der().map_err(|e| failed(&e))?;
        let public = PublicKey::from_spki_der(spki.as_bytes())?;
        Ok(Self { key, public })
    }

    pub(crate) const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// ECDSA over SHA-256, as DER; the same message gives the same signature
    /// ([RFC 6979](https://www.rfc-editor.org/rfc/rfc6979)).
    pub(crate) fn sign(&self, message: &[u8]) -> Bytes {
        let signature: DerSignature = self.key.sign(message);
        Bytes::copy_from_slice(signature.as_bytes())
    }

    /// A request for a certificate ([RFC 2986](https://www.rfc-editor.org/rfc/rfc2986)) as PEM, for nobody's name:
    /// Fulcio takes the name from the token, and from the request the key and the proof that we have it.
    ///
    /// Its other way, a signature over a claim of the token, needs to know which claim the server has in mind.
    pub(crate) fn certificate_request(&self) -> Result<String> {
        let public_key = SubjectPublicKeyInfoOwned::from_der(self.public.spki_der());
        let info = CertReqInfo {
            version: Version::V1,
            subject: Name::default(),
            public_key: public_key.map_err(|e| failed(&e))?,
            attributes: Attributes::default(),
        };
        let signature = self.sign(&info.to_der().map_err(|e| failed(&e))?);
        let request = CertReq {
            info,
            algorithm: AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA256, parameters: None },
            signature: BitString::from_bytes(&signature).map_err(|e| failed(&e))?,
        };
        request.to_pem(LineEnding::LF).map_err(|e| failed(&e))
    }
}

fn draw() -> Result<SecretKey> {
    for _ in 0..DRAWS {
        let mut bytes = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(bytes.as_mut_slice())
            .map_err(|_| failed(&"the operating system gives no random bytes"))?;
        if let Ok(key) = SecretKey::from_slice(bytes.as_slice()) {
            return Ok(key);
        }
    }
    Err(failed(&"the operating system's random bytes are not random"))
}

fn failed(why: &dyn fmt::Display) -> Fault {
    Fault::new(ErrorKind::Key, "making a key for a certificate", why.to_string())
}

#[cfg(test)]
mod tests {
    use chains_core::SignatureAlgorithm;
    use x509_cert::der::DecodePem as _;
    use zeroize::ZeroizeOnDrop;

    use super::*;

    #[test]
    fn signatures_hold_and_are_the_same_again() {
        let key = EphemeralKey::generate().expect("a key");
        let signature = key.sign(b"message");
        assert_eq!(signature, key.sign(b"message"));
        let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
        chains_verify::verify(key.public_key(), algorithm, b"message", &signature).expect("holds");
        let other = EphemeralKey::generate().expect("a key");
        assert_ne!(key.public_key(), other.public_key());
    }

    #[test]
    fn a_request_proves_that_we_have_the_key() {
        let key = EphemeralKey::generate().expect("a key");
        let pem = key.certificate_request().expect("a request");
        assert!(pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"), "{pem}");
        let request = CertReq::from_pem(&pem).expect("it can be read");
        let info = request.info.to_der().expect("it can be written");
        let signature = request.signature.as_bytes().expect("whole bytes");
        let algorithm = SignatureAlgorithm::EcdsaP256Sha256;
        chains_verify::verify(key.public_key(), algorithm, &info, signature).expect("holds");
    }

    #[test]
    fn the_key_is_wiped_and_does_not_show() {
        fn wiped<T: ZeroizeOnDrop>(_: &T) {}
        let key = EphemeralKey::generate().expect("a key");
        wiped(&key.key);
        let secret = hex::encode(key.key.to_bytes());
        let shown = format!("{key:?} {}", key.certificate_request().expect("a request"));
        assert!(!shown.contains(&secret));
    }
}
