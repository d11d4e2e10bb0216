//! A transparency log in memory.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chains_core::{
    Digest, Entry, InclusionProof, Payload, Result, Signed, TransparencyLog, VerificationMaterial,
};

/// Logs in memory, with true proofs for the tree of one leaf that each entry is alone in.
#[derive(Debug)]
pub struct FakeLog {
    url: String,
    entries: Mutex<Vec<Entry>>,
}

impl FakeLog {
    /// A log that says it is at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), entries: Mutex::default() }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing was logged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[async_trait]
impl TransparencyLog for FakeLog {
    fn url(&self) -> &str {
        &self.url
    }

    async fn append(
        &self,
        payload: &Payload,
        signed: &Signed,
        material: &VerificationMaterial,
    ) -> Result<Entry> {
        let body = format!(
            "{{\"payload\":\"{}\",\"signature\":\"{}\",\"key\":\"{}\"}}",
            Digest::sha256_of(&payload.bytes).hex(),
            Digest::sha256_of(signed.signature()).hex(),
            material.key_id()
        );
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.iter().find(|entry| entry.body == body) {
            return Ok(entry.clone());
        }
        let entry = entry(&self.url, entries.len() as u64, Bytes::from(body));
        entries.push(entry.clone());
        Ok(entry)
    }
}

/// The hash of a leaf is over a zero byte and the body (RFC 6962 §2.1); the tree of one leaf has it as root.
fn entry(url: &str, log_index: u64, body: Bytes) -> Entry {
    let raw = |digest: &Digest| -> Bytes {
        let nibble = |c: u8| char::from(c).to_digit(16).unwrap_or_default();
        let byte = |pair: &[u8]| pair.iter().fold(0, |sum, c| sum * 16 + nibble(*c));
        let bytes = digest.hex().as_bytes().chunks(2).map(byte);
        bytes.map(|byte| u8::try_from(byte).unwrap_or_default()).collect()
    };
    let root_hash = raw(&Digest::sha256_of(&[b"\0", body.as_ref()].concat()));
    Entry {
        log_url: url.to_owned(),
        log_id: raw(&Digest::sha256_of(url.as_bytes())),
        log_index,
        kind: "fake".to_owned(),
        version: "0.0.1".to_owned(),
        integrated_time: Some(1_700_000_000),
        body,
        inclusion_promise: None,
        inclusion_proof: Some(InclusionProof {
            log_index: 0,
            root_hash,
            tree_size: 1,
            hashes: Vec::new(),
            checkpoint: format!("{url}\n1\n"),
        }),
        timestamps: Vec::new(),
        others: Vec::new(),
    }
}
