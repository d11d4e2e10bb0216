//! Signed notes and the checkpoints in them.
//!
//! After [signed-note](https://github.com/C2SP/C2SP/blob/main/signed-note.md) and
//! [tlog-checkpoint](https://github.com/C2SP/C2SP/blob/main/tlog-checkpoint.md). Logs of version 1 name themselves
//! `HOST - TREE` in the first line and `HOST` in the signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chains_core::{Error, KeyAlgorithm, PublicKey, Result};

use crate::fault::{failed, quoted, untrusted};
use crate::merkle::{Hash, hash};

/// No checkpoint is larger: three lines and some signatures.
const MAX_NOTE: usize = 64 * 1024;
/// Nobody cosigns so often; each signature costs time.
const MAX_SIGNATURES: usize = 64;
/// What identifies a key of RSA, which the specification leaves to its user.
const RSA: &[u8] = b"\xffPKIX-RSA-PKCS#1v1.5";

/// What a log says of itself: of its tree at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// The first line: which log.
    pub(crate) origin: String,
    /// How many entries.
    pub(crate) size: u64,
    /// The hash of the tree.
    pub(crate) root: Hash,
}

/// A note with its signatures, not yet verified.
#[derive(Debug)]
struct Note<'a> {
    /// What is signed, with its last newline.
    text: &'a str,
    signatures: Vec<NoteSignature<'a>>,
}

#[derive(Debug)]
struct NoteSignature<'a> {
    name: &'a str,
    hint: [u8; 4],
    bytes: Vec<u8>,
}

/// Reads a checkpoint and checks that the log with this key signed it.
///
/// # Errors
/// [`ErrorKind::Verification`](chains_core::ErrorKind::Verification), beginning with `checkpoint:`.
pub(crate) fn verify_checkpoint(envelope: &str, key: &PublicKey) -> Result<Checkpoint> {
    let note = Note::read(envelope)?;
    let checkpoint = Checkpoint::read(note.text)?;
    let name = name_of(&checkpoint.origin);
    let mut signatures: Vec<_> = note.signatures.iter().filter(|one| one.name == name).collect();
    if signatures.is_empty() {
        return Err(failed("checkpoint: it is not signed by the log that it names"));
    }
    let hints = hints(name, key);
    signatures.retain(|signature| hints.contains(&signature.hint));
    if signatures.is_empty() {
        return Err(untrusted("checkpoint: it is signed with another key than the log's"));
    }
    let text = note.text.as_bytes();
    let holds = |one: &&NoteSignature<'_>| chains_verify::verify_any(key, text, &one.bytes).is_ok();
    if !signatures.iter().any(holds) {
        return Err(failed("checkpoint: the log's signature does not match its text"));
    }
    Ok(checkpoint)
}

/// The origin that an envelope names, unverified: the first line.
pub(crate) fn origin(envelope: &str) -> &str {
    envelope.split('\n').next().unwrap_or_default()
}

/// The id by which a log of this name is known: SHA-256 of what names the key, of which signatures have four bytes.
pub(crate) fn key_id(origin: &str, key: &PublicKey) -> Hash {
    let name = origin.as_bytes();
    match key.algorithm() {
        KeyAlgorithm::Ed25519 => hash(&[name, b"\n", &[1], key.raw()]),
        KeyAlgorithm::Rsa => hash(&[name, b"\n", RSA, key.spki_der()]),
        _ => hash(&[key.spki_der()]),
    }
}

/// The ids that a log with this key may have: by its key alone, as in version 1, and by its name.
pub(crate) fn log_ids(origin: &str, key: &PublicKey) -> [Bytes; 2] {
    let plain = hash(&[key.spki_der()]);
    [Bytes::copy_from_slice(&plain), Bytes::copy_from_slice(&key_id(origin, key))]
}

/// What signatures with this key may begin with. Logs of version 1 name each kind of key by its hash alone.
fn hints(name: &str, key: &PublicKey) -> [[u8; 4]; 2] {
    let first = |id: Hash| [id[0], id[1], id[2], id[3]];
    [first(hash(&[key.spki_der()])), first(key_id(name, key))]
}

/// The name that a log signs with: its origin without ` - TREE`.
pub(crate) fn name_of(origin: &str) -> &str {
    match origin.rsplit_once(" - ") {
        Some((name, tree)) if !tree.is_empty() && tree.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => origin,
    }
}

impl<'a> Note<'a> {
    fn read(envelope: &'a str) -> Result<Self> {
        if envelope.len() > MAX_NOTE {
            return Err(unreadable(format!("it has more than {MAX_NOTE} bytes")));
        }
        let Some(end) = envelope.rfind("\n\n") else {
            return Err(unreadable("no empty line parts text and signatures"));
        };
        let (text, signatures) = (&envelope[..=end], &envelope[end + 2..]);
        let Some(signatures) = signatures.strip_suffix('\n') else {
            return Err(unreadable("its last line does not end"));
        };
        let lines: Vec<_> = signatures.split('\n').collect();
        if lines.len() > MAX_SIGNATURES {
            return Err(unreadable(format!("it has more than {MAX_SIGNATURES} signatures")));
        }
        let signatures = lines.into_iter().map(NoteSignature::read).collect::<Result<_>>()?;
        Ok(Self { text, signatures })
    }
}

impl<'a> NoteSignature<'a> {
    fn read(line: &'a str) -> Result<Self> {
        let odd = || unreadable(format!("{} is no signature", quoted(line)));
        let (name, base64) =
            line.strip_prefix("— ").and_then(|rest| rest.rsplit_once(' ')).ok_or_else(odd)?;
        let bytes = STANDARD.decode(base64).map_err(|_| odd())?;
        let (hint, bytes) = bytes.split_first_chunk::<4>().ok_or_else(odd)?;
        if name.is_empty() || bytes.is_empty() {
            return Err(odd());
        }
        Ok(Self { name, hint: *hint, bytes: bytes.to_vec() })
    }
}

impl Checkpoint {
    fn read(text: &str) -> Result<Self> {
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty());
        let origin = origin.ok_or_else(|| unreadable("its first line names no log"))?;
        let size = lines.next().and_then(number);
        let size = size.ok_or_else(|| unreadable("its second line is no number of entries"))?;
        let root = lines.next().and_then(|line| STANDARD.decode(line).ok());
        let root = root.and_then(|root| Hash::try_from(root).ok());
        let root = root.ok_or_else(|| unreadable("its third line is no hash"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

/// A decimal number as it must be written: digits, no zero in front.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn unreadable(why: impl std::fmt::Display) -> Error {
    failed(format!("checkpoint: it cannot be read: {why}"))
}
