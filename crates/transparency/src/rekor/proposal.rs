//! What is sent to a log, by version and kind of entry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chains_core::dsse::Envelope;
use chains_core::{Error, ErrorKind, KeyAlgorithm, Result, SignatureAlgorithm};
use serde_json::{Value, json};

use crate::logged::{HashName, Logged, Verifier};

/// As what kind of entry a log of version 1 takes envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum EnvelopeEntry {
    /// `dsse`, and `intoto` where the log does not know that.
    #[default]
    Auto,
    /// `dsse` 0.0.1.
    Dsse,
    /// `intoto` 0.0.2, for logs from before `dsse`.
    Intoto,
}

/// An entry of kind `dsse`; the envelope as it is sent, so that the log's hash of it can be checked.
pub(super) fn dsse(logged: &Logged<'_>, envelope_json: &str) -> Result<Value> {
    Ok(json!({
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {"proposedContent": {
            "envelope": envelope_json,
            "verifiers": [STANDARD.encode(logged.verifier.pem()?)],
        }},
    }))
}

/// An entry of kind `intoto`, which takes the base64 of the envelope for bytes.
pub(super) fn intoto(logged: &Logged<'_>, envelope: &Envelope) -> Result<Value> {
    let twice = |bytes: &[u8]| STANDARD.encode(STANDARD.encode(bytes));
    let hash = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex::encode(HashName::Sha256.of(bytes))});
    let key = STANDARD.encode(logged.verifier.pem()?);
    let signature = |signature: &chains_core::dsse::EnvelopeSignature| {
        let mut json = json!({"sig": twice(&signature.sig), "publicKey": key});
        if !signature.keyid.is_empty() {
            json["keyid"] = signature.keyid.clone().into();
        }
        json
    };
    Ok(json!({
        "apiVersion": "0.0.2",
        "kind": "intoto",
        "spec": {"content": {
            "envelope": {
                "payload": twice(&envelope.payload),
                "payloadType": envelope.payload_type,
                "signatures": envelope.signatures.iter().map(signature).collect::<Vec<_>>(),
            },
            "hash": hash(envelope.to_json().as_bytes()),
            "payloadHash": hash(&envelope.payload),
        }},
    }))
}

/// An entry for a detached signature: `hashedrekord`, or `rekord` for Ed25519, which signs no hash.
pub(super) fn detached(logged: &Logged<'_>) -> Result<Value> {
    let algorithm = logged.algorithm()?;
    let message = logged.message();
    let content = STANDARD.encode(logged.signature);
    let key = json!({"content": STANDARD.encode(logged.verifier.pem()?)});
    if algorithm == SignatureAlgorithm::Ed25519 {
        return Ok(json!({
            "apiVersion": "0.0.1",
            "kind": "rekord",
            "spec": {
                "data": {"content": STANDARD.encode(&message)},
                "signature": {"content": content, "format": "x509", "publicKey": key},
            },
        }));
    }
    let hash = hash_of(algorithm)?;
    Ok(json!({
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": hash.v1(), "value": hex::encode(hash.of(&message))}},
            "signature": {"content": content, "publicKey": key},
        },
    }))
}

/// The request of version 2, which takes everything as `hashedrekord`: an envelope by its pre-authentication encoding.
pub(super) fn v2(logged: &Logged<'_>) -> Result<Value> {
    let algorithm = logged.algorithm()?;
    let details = key_details(logged, algorithm)?;
    let hash = hash_of(algorithm)?;
    let der = json!({"rawBytes": STANDARD.encode(logged.verifier.der())});
    let verifier = match &logged.verifier {
        Verifier::Key(_) => json!({"publicKey": der, "keyDetails": details}),
        Verifier::Certificate { .. } => json!({"x509Certificate": der, "keyDetails": details}),
    };
    Ok(json!({"hashedRekordRequestV002": {
        "digest": STANDARD.encode(hash.of(&logged.message())),
        "signature": {"content": STANDARD.encode(logged.signature), "verifier": verifier},
    }}))
}

/// The hash that is signed.
fn hash_of(algorithm: SignatureAlgorithm) -> Result<HashName> {
    use SignatureAlgorithm as A;
    match algorithm {
        A::EcdsaP256Sha256 | A::EcdsaP384Sha256 | A::EcdsaP521Sha256 | A::RsaPkcs1Sha256 => {
            Ok(HashName::Sha256)
        }
        A::EcdsaP384Sha384 => Ok(HashName::Sha384),
        A::EcdsaP521Sha512 | A::RsaPkcs1Sha512 => Ok(HashName::Sha512),
        other => Err(not_taken(other, "logs take ECDSA and RSA PKCS#1 v1.5 over a hash")),
    }
}

/// How version 2 names key and algorithm together (`PublicKeyDetails`).
fn key_details(logged: &Logged<'_>, algorithm: SignatureAlgorithm) -> Result<&'static str> {
    use SignatureAlgorithm as A;
    match algorithm {
        A::EcdsaP256Sha256 => Ok("PKIX_ECDSA_P256_SHA_256"),
        A::EcdsaP384Sha384 => Ok("PKIX_ECDSA_P384_SHA_384"),
        A::EcdsaP521Sha512 => Ok("PKIX_ECDSA_P521_SHA_512"),
        A::RsaPkcs1Sha256 => match rsa_bits(logged) {
            2048 => Ok("PKIX_RSA_PKCS1V15_2048_SHA256"),
            3072 => Ok("PKIX_RSA_PKCS1V15_3072_SHA256"),
            4096 => Ok("PKIX_RSA_PKCS1V15_4096_SHA256"),
            bits => {
                let why = format!("it takes RSA keys of 2048, 3072 and 4096 bits, not of {bits}");
                Err(not_taken(algorithm, &why))
            }
        },
        A::EcdsaP384Sha256 | A::EcdsaP521Sha256 => {
            Err(not_taken(algorithm, "it takes each curve with its own hash only: use a P-256 key"))
        }
        _ => Err(not_taken(algorithm, "it takes ECDSA and RSA PKCS#1 v1.5: use a P-256 key")),
    }
}

/// The length of an RSA key's modulus; 0 where the key is of another kind.
fn rsa_bits(logged: &Logged<'_>) -> usize {
    use der::asn1::UintRef;
    use der::{Reader as _, SliceReader};
    let key = logged.verifier.key();
    if key.algorithm() != KeyAlgorithm::Rsa {
        return 0;
    }
    let modulus = SliceReader::new(key.raw()).and_then(|mut reader| {
        reader.sequence(|reader| {
            let modulus: UintRef<'_> = reader.decode()?;
            let _exponent: UintRef<'_> = reader.decode()?;
            Ok::<_, der::Error>(modulus.as_bytes().to_vec())
        })
    });
    let bits = |modulus: &[u8]| match modulus.first() {
        Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    };
    modulus.map_or(0, |modulus| bits(&modulus))
}

fn not_taken(algorithm: SignatureAlgorithm, why: &str) -> Error {
    let what = format!("logging a signature of kind {}", algorithm.as_str());
    Error::new(ErrorKind::Unsupported, what).with_source(why.to_owned())
}
