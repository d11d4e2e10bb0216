//! Whom to trust, and whom to ask: `trusted_root.json` and `signing_config.json` of an instance.

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// From when on everybody here is trusted, and asked.
const SINCE: &str = "2020-01-01T00:00:00Z";
/// How a key for Ed25519 begins, as DER.
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A log for the trusted root.
#[derive(Debug)]
pub(super) struct LogTrust<'a> {
    /// Its address.
    pub(super) url: &'a str,
    /// Its key, as DER.
    pub(super) key: &'a [u8],
    /// What its checkpoints call it, where it is told by that and its key, as logs of version 2 are.
    pub(super) origin: Option<&'a str>,
}

impl LogTrust<'_> {
    pub(super) fn json(&self) -> Value {
        let details = match ed25519(self.key) {
            Some(_) => "PKIX_ED25519",
            None => "PKIX_ECDSA_P256_SHA_256",
        };
        json!({
            "baseUrl": self.url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": STANDARD.encode(self.key),
                "keyDetails": details,
                "validFor": { "start": SINCE },
            },
            "logId": { "keyId": STANDARD.encode(self.id()) },
        })
    }

    /// The hash of the key or, as signed notes have it, of a name and an Ed25519 key.
    fn id(&self) -> Vec<u8> {
        match (self.origin, ed25519(self.key)) {
            (Some(origin), Some(key)) => {
                Sha256::digest([origin.as_bytes(), b"\n\x01", key].concat()).to_vec()
            }
            _ => Sha256::digest(self.key).to_vec(),
        }
    }
}

/// The 32 bytes of a key for Ed25519.
fn ed25519(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(&ED25519)
}

/// An authority for the trusted root: of certificates or of timestamps. `chain` begins with whoever signs.
pub(super) fn authority(url: &str, chain: &[Vec<u8>]) -> Value {
    let certificates: Vec<Value> =
        chain.iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect();
    json!({
        "subject": { "organization": "example.test", "commonName": "authority" },
        "uri": url,
        "certChain": { "certificates": certificates },
        "validFor": { "start": SINCE },
    })
}

/// A service for the signing config.
pub(super) fn service(url: &str, version: u8) -> Value {
    json!({
        "url": url, "majorApiVersion": version, "validFor": { "start": SINCE },
        "operator": "example.test",
    })
}

/// The certificates of a PEM text, as DER.
pub(super) fn certificates(pem: &str) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for part in pem.split("-----BEGIN CERTIFICATE-----").skip(1) {
        let (base64, _) = part.split_once("-----END").context("a certificate without an end")?;
        let base64: String = base64.split_whitespace().collect();
        all.push(STANDARD.decode(base64)?);
    }
    ensure!(!all.is_empty(), "no certificates in {pem:?}");
    Ok(all)
}
