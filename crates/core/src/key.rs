//! Public keys and their identifiers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};
use spki::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use spki::der::pem::LineEnding;
use spki::der::{Decode, Reader, SliceReader};
use spki::{Document, SubjectPublicKeyInfoRef};

use crate::{Error, ErrorKind, Result};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The kinds of key that Chains can verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA of any size.
    Rsa,
}

impl KeyAlgorithm {
    /// A short static name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::EcdsaP521 => "ecdsa-p521",
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
        }
    }
}

/// A public key: its SubjectPublicKeyInfo and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    raw: Vec<u8>,
    id: String,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo ([RFC 5280 §4.1.2.7](https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.7)).
    ///
    /// # Errors
    /// [`ErrorKind::Key`] where it is not one, or of a kind that is not known.
    pub fn from_spki_der(der: &[u8]) -> Result<Self> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|e| unreadable(&e))?;
        let algorithm = algorithm_of(&info)?;
        let raw = info
            .subject_public_key
            .as_bytes()
            .ok_or_else(|| Error::new(ErrorKind::Key, "the public key is not whole bytes"))?
            .to_vec();
        let id = fingerprint(algorithm, &raw)?;
        Ok(Self { algorithm, spki: der.to_vec(), raw, id })
    }

    /// Reads PEM with the label `PUBLIC KEY`.
    ///
    /// # Errors
    /// [`ErrorKind::Key`] where it is not PEM, has another label, or holds no key that is known.
    pub fn from_pem(pem: &str) -> Result<Self> {
        let (label, document) = Document::from_pem(pem.trim_start()).map_err(|e| unreadable(&e))?;
        if label != "PUBLIC KEY" {
            return Err(Error::new(
                ErrorKind::Key,
                format!("the PEM holds a {label}, not a PUBLIC KEY"),
            ));
        }
        Self::from_spki_der(document.as_bytes())
    }

    /// The kind of key.
    #[must_use]
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The key without its SubjectPublicKeyInfo: an uncompressed point, an Ed25519 key, or a DER `RSAPublicKey`.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The OpenSSH fingerprint, `SHA256:` and unpadded base64: the `keyid` of envelopes.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// PEM with the label `PUBLIC KEY`, ending in a newline.
    ///
    /// # Errors
    /// [`ErrorKind::Key`] where the key is too long for DER.
    pub fn to_pem(&self) -> Result<String> {
        Document::try_from(self.spki.as_slice())
            .and_then(|document| document.to_pem("PUBLIC KEY", LineEnding::LF))
            .map_err(|e| unreadable(&e))
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Key, "reading a public key").with_source(error.to_string())
}

fn algorithm_of(info: &SubjectPublicKeyInfoRef<'_>) -> Result<KeyAlgorithm> {
    let oid = info.algorithm.oid;
    if oid == ED25519 {
        return Ok(KeyAlgorithm::Ed25519);
    }
    if oid == RSA {
        return Ok(KeyAlgorithm::Rsa);
    }
    if oid != EC {
        return Err(Error::new(
            ErrorKind::Key,
            format!("public keys of algorithm {oid} are not supported"),
        ));
    }
    let curve =
        info.algorithm.parameters.and_then(|p: AnyRef<'_>| p.decode_as::<ObjectIdentifier>().ok());
    match curve {
        Some(P256) => Ok(KeyAlgorithm::EcdsaP256),
        Some(P384) => Ok(KeyAlgorithm::EcdsaP384),
        Some(P521) => Ok(KeyAlgorithm::EcdsaP521),
        Some(other) => {
            Err(Error::new(ErrorKind::Key, format!("the curve {other} is not supported")))
        }
        None => Err(Error::new(ErrorKind::Key, "the key does not name its curve")),
    }
}

/// SHA-256 over the key's SSH wire form ([RFC 4253 §6.6](https://www.rfc-editor.org/rfc/rfc4253#section-6.6),
/// [RFC 5656 §3.1](https://www.rfc-editor.org/rfc/rfc5656#section-3.1)).
fn fingerprint(algorithm: KeyAlgorithm, raw: &[u8]) -> Result<String> {
    let mut wire = Vec::with_capacity(raw.len() + 64);
    match algorithm {
        KeyAlgorithm::EcdsaP256 => ssh_ecdsa(&mut wire, "nistp256", raw),
        KeyAlgorithm::EcdsaP384 => ssh_ecdsa(&mut wire, "nistp384", raw),
        KeyAlgorithm::EcdsaP521 => ssh_ecdsa(&mut wire, "nistp521", raw),
        KeyAlgorithm::Ed25519 => {
            ssh_string(&mut wire, b"ssh-ed25519");
            ssh_string(&mut wire, raw);
        }
        KeyAlgorithm::Rsa => ssh_rsa(&mut wire, raw)?,
    }
    Ok(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&wire))))
}

fn ssh_ecdsa(wire: &mut Vec<u8>, curve: &str, point: &[u8]) {
    ssh_string(wire, format!("ecdsa-sha2-{curve}").as_bytes());
    ssh_string(wire, curve.as_bytes());
    ssh_string(wire, point);
}

fn ssh_rsa(wire: &mut Vec<u8>, der: &[u8]) -> Result<()> {
    let (modulus, exponent) = rsa_numbers(der).map_err(|e| unreadable(&e))?;
    ssh_string(wire, b"ssh-rsa");
    ssh_mpint(wire, &exponent);
    ssh_mpint(wire, &modulus);
    Ok(())
}

fn rsa_numbers(der: &[u8]) -> spki::der::Result<(Vec<u8>, Vec<u8>)> {
    SliceReader::new(der)?.sequence(|inner| {
        let modulus = UintRef::decode(inner)?.as_bytes().to_vec();
        let exponent = UintRef::decode(inner)?.as_bytes().to_vec();
        Ok((modulus, exponent))
    })
}

fn ssh_string(wire: &mut Vec<u8>, bytes: &[u8]) {
    // A key is never 4 GiB long.
    wire.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    wire.extend_from_slice(bytes);
}

/// A positive number: one zero byte in front where the highest bit is set.
fn ssh_mpint(wire: &mut Vec<u8>, number: &[u8]) {
    let mut padded = Vec::with_capacity(number.len() + 1);
    if number.first().is_some_and(|first| first & 0x80 != 0) {
        padded.push(0);
    }
    padded.extend_from_slice(number);
    ssh_string(wire, &padded);
}
