//! Entries of logs, verified without a network: what signing believes, and what verifying offline does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::bundle::TransparencyLogEntry;
use chains_core::{Entry, Error, ErrorKind, InclusionProof, PublicKey, Result};

use crate::body;
use crate::fault::{failed, untrusted};
use crate::logged::Logged;
use crate::merkle::{self, Hash};
use crate::note::{self, Checkpoint};
use crate::time::{Validity, show};

/// A log whose word counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedLog {
    /// Its public key.
    pub key: PublicKey,
    /// The ids it is known by; empty where they follow from the key.
    pub ids: Vec<Bytes>,
    /// Its address, where that is known: a log of version 2 signs in the name of its host.
    pub url: Option<String>,
    /// When the key was in use.
    pub valid: Validity,
}

impl TrustedLog {
    /// A log of which the key is known and nothing else.
    #[must_use]
    pub const fn from_key(key: PublicKey) -> Self {
        Self { key, ids: Vec::new(), url: None, valid: Validity { start: None, end: None } }
    }

    /// Whether an entry says, by its id, that it is of this log.
    pub(crate) fn is_named_by(&self, entry: &Entry) -> bool {
        if self.ids.is_empty() {
            let proof = entry.inclusion_proof.as_ref();
            let origin = proof.map_or("", |proof| note::origin(&proof.checkpoint));
            return note::log_ids(origin, &self.key).contains(&entry.log_id);
        }
        self.ids.contains(&entry.log_id)
    }

    /// Checks that a checkpoint of version 2 is in the name of this log.
    fn check_origin(&self, origin: &str) -> Result<()> {
        let Some(url) = &self.url else {
            return Ok(());
        };
        let bare = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let bare = bare.trim_end_matches('/');
        let authority = bare.split('/').next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        if [bare, authority, host].contains(&origin) {
            return Ok(());
        }
        let origin = crate::fault::quoted(origin);
        Err(failed(format!("checkpoint: it is by the log {origin}, expected is {bare:?}")))
    }
}

/// What must be there for an entry to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evidence {
    /// A proof of inclusion with a signed checkpoint; where there is a promise, it must hold too.
    #[default]
    Proof,
    /// A promise of inclusion or a proof: cosign keeps nothing but the promise in its annotations.
    PromiseOrProof,
}

/// An entry that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEntry {
    /// Which of the trusted logs it is in, counted from 0.
    pub log: usize,
    /// When the log took it in, in seconds since 1970, where the log signed that.
    pub integrated_time: Option<i64>,
}

/// Checks that an entry is about this signature, and in one of these logs.
///
/// The time of integration is checked against the validity of the signer's certificate and of the log's key;
/// an entry that tells no time needs a timestamp besides where there is a certificate.
///
/// # Errors
/// [`ErrorKind::Verification`], beginning with the check that does not hold: `log id`, `entry body`,
/// `signed entry timestamp`, `inclusion proof`, `checkpoint` or `integrated time`. It is retryable where no log is known
/// by the id or the key: what is trusted may be older than the log's key.
pub fn verify_entry(
    entry: &Entry,
    logged: &Logged<'_>,
    logs: &[TrustedLog],
    evidence: Evidence,
) -> Result<VerifiedEntry> {
    body::check(&entry.body, &entry.kind, &entry.version, logged)?;
    if entry.inclusion_proof.is_none() && (evidence == Evidence::Proof || entry.is_rekor_v2()) {
        return Err(failed("inclusion proof: the entry has none"));
    }
    let mut why = None;
    for (log, trusted) in logs.iter().enumerate() {
        if !trusted.is_named_by(entry) {
            continue;
        }
        // A log may be listed twice, with one key after the other.
        match verify_in(entry, logged, trusted) {
            Ok(integrated_time) => return Ok(VerifiedEntry { log, integrated_time }),
            Err(error) => why = Some(error),
        }
    }
    Err(why.unwrap_or_else(|| {
        let id = hex::encode(&entry.log_id);
        untrusted(format!("log id: {id} is none of the {} logs that are trusted", logs.len()))
    }))
}

fn verify_in(entry: &Entry, logged: &Logged<'_>, log: &TrustedLog) -> Result<Option<i64>> {
    let promised = match &entry.inclusion_promise {
        // Version 2 gives no promise, so what stands here is nothing that it said.
        Some(promise) if !entry.is_rekor_v2() => Some(verify_promise(entry, promise, log)?),
        _ => None,
    };
    match &entry.inclusion_proof {
        Some(proof) => verify_proof(entry, proof, log)?,
        None if promised.is_some() => {}
        None => return Err(failed("inclusion promise: the entry has none, and no proof either")),
    }
    if let Some(time) = promised {
        if !log.valid.contains(time) {
            return Err(failed(format!(
                "integrated time: {} is outside the time of the log's key, {}",
                show(time),
                log.valid
            )));
        }
        logged.verifier.check_valid_at(time, "integrated time")?;
    }
    Ok(promised)
}

/// The signed entry timestamp: over the canonical JSON of body, time, log and index.
fn verify_promise(entry: &Entry, promise: &[u8], log: &TrustedLog) -> Result<i64> {
    let Some(time) = entry.integrated_time else {
        return Err(failed("signed entry timestamp: the entry tells no time"));
    };
    let signed = format!(
        "{{\"body\":\"{}\",\"integratedTime\":{time},\"logID\":\"{}\",\"logIndex\":{}}}",
        STANDARD.encode(&entry.body),
        hex::encode(&entry.log_id),
        entry.log_index
    );
    chains_verify::verify_any(&log.key, signed.as_bytes(), promise).map_err(|_| {
        failed("signed entry timestamp: it is not the log's signature over this entry")
    })?;
    Ok(time)
}

fn verify_proof(entry: &Entry, proof: &InclusionProof, log: &TrustedLog) -> Result<()> {
    let checkpoint = note::verify_checkpoint(&proof.checkpoint, &log.key)?;
    // In version 2 a log is one tree: what the proof repeats of the entry and the checkpoint is ignored.
    if entry.is_rekor_v2() {
        log.check_origin(&checkpoint.origin)?;
        return check_inclusion(entry, entry.log_index, &proof.hashes, &checkpoint);
    }
    if proof.tree_size != checkpoint.size || proof.root_hash != checkpoint.root.as_slice() {
        return Err(failed("checkpoint: it is about another tree than the inclusion proof"));
    }
    check_inclusion(entry, proof.log_index, &proof.hashes, &checkpoint)
}

fn check_inclusion(
    entry: &Entry,
    index: u64,
    hashes: &[Bytes],
    checkpoint: &Checkpoint,
) -> Result<()> {
    let hashes =
        hashes.iter().map(|hash| Hash::try_from(hash.as_ref())).collect::<Result<Vec<_>, _>>();
    let hashes = hashes.map_err(|_| failed("inclusion proof: it has a hash of another length"))?;
    let leaf = merkle::leaf_hash(&entry.body);
    match merkle::root_of(leaf, index, checkpoint.size, &hashes) {
        Some(root) if root == checkpoint.root => Ok(()),
        Some(_) => Err(failed("inclusion proof: it leads to another tree than the checkpoint's")),
        None => Err(failed(format!(
            "inclusion proof: {} hashes prove no entry {index} in a tree of {}",
            hashes.len(),
            checkpoint.size
        ))),
    }
}

/// The entry of a bundle, in the form that [`verify_entry`] takes.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where a number is negative.
pub fn entry_of_bundle(entry: &TransparencyLogEntry) -> Result<Entry> {
    let proof = entry.inclusion_proof.as_ref().map(|proof| {
        Ok::<_, Error>(InclusionProof {
            log_index: number(proof.log_index, "log index")?,
            root_hash: proof.root_hash.clone(),
            tree_size: number(proof.tree_size, "tree size")?,
            hashes: proof.hashes.clone(),
            checkpoint: proof.checkpoint.envelope.clone(),
        })
    });
    let promise = entry.inclusion_promise.as_ref();
    Ok(Entry {
        log_url: String::new(),
        log_id: entry.log_id.key_id.clone(),
        log_index: number(entry.log_index, "log index")?,
        kind: entry.kind_version.kind.clone(),
        version: entry.kind_version.version.clone(),
        integrated_time: (entry.integrated_time != 0).then_some(entry.integrated_time),
        body: entry.canonicalized_body.clone(),
        inclusion_promise: promise.map(|promise| promise.signed_entry_timestamp.clone()),
        inclusion_proof: proof.transpose()?,
        timestamps: Vec::new(),
        others: Vec::new(),
    })
}

fn number(number: i64, what: &str) -> Result<u64> {
    u64::try_from(number).map_err(|_| {
        let why = format!("reading a log entry: the {what} {number} is negative");
        Error::new(ErrorKind::InvalidInput, why)
    })
}
