//! Signatures of runs, checked without Chains.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chains_core::dsse::Envelope;

/// A P-256 key that says whether it signed something.
#[derive(Debug)]
pub struct Key(UnparsedPublicKey<Vec<u8>>);

impl Key {
    /// The public key in a PEM file.
    ///
    /// # Errors
    /// If it is none of P-256.
    pub fn read(path: &Path) -> Result<Self> {
        let pem = std::fs::read_to_string(path)?;
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let spki = STANDARD.decode(base64)?;
        // The point is what a P-256 key's SubjectPublicKeyInfo ends with.
        let point =
            spki.len().checked_sub(65).and_then(|at| spki.get(at..)).context("no P-256 key")?;
        Ok(Self(UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point.to_vec())))
    }

    /// Reads an envelope and expects that it signed it.
    ///
    /// # Errors
    /// If it did not.
    pub fn open(&self, envelope: &[u8]) -> Result<Envelope> {
        let envelope = Envelope::from_json(envelope)?;
        let signed = envelope.signatures.first().context("no signature")?;
        self.verify_detached(&envelope.pae(), &signed.sig)?;
        Ok(envelope)
    }

    /// Expects that it signed the envelope, and that this speaks of the run `name` of [`runs`](crate::runs).
    ///
    /// # Errors
    /// If it does not.
    pub fn verify(&self, envelope: &[u8], name: &str) -> Result<()> {
        let envelope = self.open(envelope).context(name.to_owned())?;
        let says =
            String::from_utf8_lossy(&envelope.payload).contains(&format!("somewhere/{name}\""));
        ensure!(says, "the envelope does not speak of {name}");
        Ok(())
    }

    /// Expects that it signed these bytes.
    ///
    /// # Errors
    /// If it did not.
    pub fn verify_detached(&self, payload: &[u8], signature: &[u8]) -> Result<()> {
        ensure!(self.0.verify(payload, signature).is_ok(), "the signature does not verify");
        Ok(())
    }
}
