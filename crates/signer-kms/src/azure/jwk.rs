//! JSON Web Keys, and signatures as JSON Web Algorithms write them, turned into DER.

use chains_core::{Error, ErrorKind, KeyAlgorithm, PublicKey, Result};
use serde::Deserialize;

use super::key::base64url;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// `AlgorithmIdentifier` of each kind ([RFC 5480](https://www.rfc-editor.org/rfc/rfc5480),
/// [RFC 3279](https://www.rfc-editor.org/rfc/rfc3279)).
const P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];
const P384: &[u8] = &[
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
    0x00, 0x22,
];
const P521: &[u8] = &[
    0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
    0x00, 0x23,
];
const RSA: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// <https://learn.microsoft.com/rest/api/keyvault/keys/get-key/get-key#jsonwebkey>
#[derive(Debug, Deserialize)]
pub(super) struct Jwk {
    /// Where the key is, its version last.
    #[serde(default)]
    pub(super) kid: String,
    #[serde(default)]
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

impl Jwk {
    /// # Errors
    /// [`ErrorKind::Key`] where it is of a kind that is not known, or not a key.
    pub(super) fn public_key(&self) -> Result<PublicKey> {
        let der = match (self.kty.as_str(), self.crv.as_str()) {
            // In a hardware module, or not.
            ("EC" | "EC-HSM", "P-256") => self.point(P256, 32)?,
            ("EC" | "EC-HSM", "P-384") => self.point(P384, 48)?,
            ("EC" | "EC-HSM", "P-521") => self.point(P521, 66)?,
            ("RSA" | "RSA-HSM", _) => {
                let (modulus, exponent) = (decoded(&self.n)?, decoded(&self.e)?);
                info(RSA, &der(SEQUENCE, &[integer(&modulus), integer(&exponent)].concat()))
            }
            (kind, curve) => {
                let why = format!("keys of type {kind:?} {curve:?} are not supported");
                return Err(Error::new(ErrorKind::Key, why));
            }
        };
        PublicKey::from_spki_der(&der)
    }

    fn point(&self, algorithm: &[u8], length: usize) -> Result<Vec<u8>> {
        let mut point = vec![0x04];
        for coordinate in [&self.x, &self.y] {
            point.extend(padded(&decoded(coordinate)?, length)?);
        }
        Ok(info(algorithm, &point))
    }
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    let bytes = base64url(text)
        .map_err(|e| Error::new(ErrorKind::Key, "reading a JSON Web Key").with_source(e))?;
    if bytes.is_empty() {
        return Err(Error::new(ErrorKind::Key, "a part of the JSON Web Key is missing"));
    }
    Ok(bytes)
}

/// To the length of the curve: leading zeros may have been left out, or be too many.
fn padded(number: &[u8], length: usize) -> Result<Vec<u8>> {
    let number = stripped(number);
    let missing = length.checked_sub(number.len()).ok_or_else(|| {
        Error::new(ErrorKind::Key, "a coordinate of the JSON Web Key is too long for its curve")
    })?;
    Ok([vec![0; missing], number.to_vec()].concat())
}

fn info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let bits = der(BIT_STRING, &[&[0], key].concat());
    der(SEQUENCE, &[algorithm, &bits].concat())
}

/// The bytes of an ECDSA signature of a key of this kind, `r` and `s` one after the other
/// ([RFC 7518 §3.4](https://www.rfc-editor.org/rfc/rfc7518#section-3.4)), as ASN.1; `None` where they are too many
/// or too few.
pub(super) fn ecdsa_der(kind: KeyAlgorithm, raw: &[u8]) -> Option<Vec<u8>> {
    let length = match kind {
        KeyAlgorithm::EcdsaP256 => 32,
        KeyAlgorithm::EcdsaP384 => 48,
        KeyAlgorithm::EcdsaP521 => 66,
        _ => return None,
    };
    let (r, s) = raw.split_at_checked(length)?;
    (s.len() == length).then(|| der(SEQUENCE, &[integer(r), integer(s)].concat()))
}

fn stripped(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// A positive number: one zero byte in front where the highest bit is set, and where it is zero.
fn integer(number: &[u8]) -> Vec<u8> {
    let number = stripped(number);
    if number.first().is_none_or(|first| first & 0x80 != 0) {
        return der(INTEGER, &[&[0], number].concat());
    }
    der(INTEGER, number)
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        _ => {
            let long = length.to_be_bytes();
            let long = stripped(&long);
            // A length has eight bytes at most.
            bytes.push(0x80 | u8::try_from(long.len()).unwrap_or_default());
            bytes.extend_from_slice(long);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
        ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _,
    };
    use chains_core::SignatureAlgorithm;

    use super::super::key::to_base64url;
    use super::*;

    fn check(
        algorithm: &'static EcdsaSigningAlgorithm,
        crv: &str,
        length: usize,
        expect: SignatureAlgorithm,
    ) {
        let pair = EcdsaKeyPair::generate(algorithm).expect("a key");
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(length);
        let jwk = Jwk {
            kid: String::new(),
            kty: "EC-HSM".to_owned(),
            crv: crv.to_owned(),
            // Some leave out leading zeros.
            x: to_base64url(stripped(x)),
            y: to_base64url(y),
            n: String::new(),
            e: String::new(),
        };
        let key = jwk.public_key().expect("a key");
        for _ in 0..20 {
            let raw = pair.sign(&SystemRandom::new(), b"message").expect("a signature");
            let der = ecdsa_der(key.algorithm(), raw.as_ref()).expect("a signature");
            chains_verify::verify(&key, expect, b"message", &der).expect("it verifies");
            assert_eq!(ecdsa_der(key.algorithm(), &raw.as_ref()[1..]), None);
            assert_eq!(ecdsa_der(key.algorithm(), &[raw.as_ref(), b"."].concat()), None);
        }
    }

    #[test]
    fn curves_and_their_signatures() {
        check(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", 32, SignatureAlgorithm::EcdsaP256Sha256);
        check(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", 48, SignatureAlgorithm::EcdsaP384Sha384);
        check(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521", 66, SignatureAlgorithm::EcdsaP521Sha512);
    }

    fn refused(json: &str, because: &str) {
        let jwk: Jwk = serde_json::from_str(json).expect("JSON");
        let error = jwk.public_key().expect_err(json);
        assert_eq!(error.kind(), ErrorKind::Key);
        assert!(error.report().contains(because), "{}", error.report());
    }

    #[test]
    fn odd_keys_are_refused() {
        refused(r#"{"kty":"oct-HSM"}"#, r#"keys of type "oct-HSM" """#);
        refused(r#"{"kty":"EC","crv":"P-256K","x":"AQ","y":"AQ"}"#, "P-256K");
        refused(r#"{"kty":"EC","crv":"P-256","x":"AQ"}"#, "a part of the JSON Web Key is missing");
        refused(r#"{"kty":"EC","crv":"P-256","x":"!","y":"AQ"}"#, "reading a JSON Web Key");
        let long = to_base64url(&[1; 33]);
        refused(
            &format!(r#"{{"kty":"EC","crv":"P-256","x":"{long}","y":"AQ"}}"#),
            "too long for its curve",
        );
        refused(r#"{"kty":"RSA","n":"AQ"}"#, "a part of the JSON Web Key is missing");
    }
}
