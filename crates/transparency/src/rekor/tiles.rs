//! Reading a log of tiles: an entry that was there before, with a proof made from the tree's own hashes.
//!
//! After [tlog-tiles](https://github.com/C2SP/C2SP/blob/main/tlog-tiles.md). Nothing that is read here is believed:
//! the proof is verified like one that the log gave.

use std::collections::HashMap;

use bytes::Bytes;
use chains_core::{Entry, Error, InclusionProof, Result};
use reqwest::StatusCode;

use crate::entry::TrustedLog;
use crate::fault::protocol;
use crate::http::{self, Http, Service};
use crate::merkle::{self, Hash, Range};
use crate::{body, note};

/// How many hashes or entries are in a whole tile.
const WIDTH: u64 = 256;
/// How many levels of the tree one level of tiles has.
const HEIGHT: u32 = 8;
/// No file is larger: 256 entries of 64 KiB.
const MAX_FILE: usize = 256 * (64 * 1024 + 2);

/// The entry with this index of the log that is read at this address, and the proof that it is in the log's present tree.
pub(super) async fn read_entry(
    http: &Http,
    service: &Service,
    index: u64,
    logs: &[TrustedLog],
) -> Result<Entry> {
    let what = format!("reading entry {index} of {}", service.shown());
    let mut reader = Reader { http, service, what, tiles: HashMap::new() };
    let envelope = reader.file("/checkpoint").await?;
    let envelope = String::from_utf8(envelope)
        .map_err(|_| protocol(&reader.what, "the checkpoint is no text"))?;
    let (checkpoint, log_id) = verified(&envelope, logs).map_err(|e| reader.context(e))?;
    if index >= checkpoint.size {
        let why = format!("the checkpoint has {} entries only", checkpoint.size);
        return Err(protocol(&reader.what, why).with_retryable(true));
    }
    let bytes = reader.entry(index, checkpoint.size).await?;
    let mut hashes = Vec::new();
    for range in merkle::proof_ranges(index, checkpoint.size) {
        let hash = reader.hash(range, checkpoint.size).await?;
        hashes.push(Bytes::copy_from_slice(&hash));
    }
    let (kind, version) =
        body::kind_of(&bytes).ok_or_else(|| protocol(&reader.what, "the body cannot be read"))?;
    Ok(Entry {
        log_url: service.shown().to_owned(),
        log_id,
        log_index: index,
        kind,
        version,
        integrated_time: None,
        body: bytes.into(),
        inclusion_promise: None,
        inclusion_proof: Some(InclusionProof {
            log_index: index,
            root_hash: Bytes::copy_from_slice(&checkpoint.root),
            tree_size: checkpoint.size,
            hashes,
            checkpoint: envelope,
        }),
        timestamps: Vec::new(),
        others: Vec::new(),
    })
}

/// The checkpoint, and the id of the log whose key verifies it.
fn verified(envelope: &str, logs: &[TrustedLog]) -> Result<(note::Checkpoint, Bytes)> {
    let mut why = crate::fault::untrusted("checkpoint: no log is trusted");
    for log in logs {
        match note::verify_checkpoint(envelope, &log.key) {
            Ok(checkpoint) => {
                let id = note::key_id(&checkpoint.origin, &log.key);
                return Ok((checkpoint, Bytes::copy_from_slice(&id)));
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

struct Reader<'a> {
    http: &'a Http,
    service: &'a Service,
    what: String,
    tiles: HashMap<String, Vec<Hash>>,
}

impl Reader<'_> {
    fn context(&self, error: Error) -> Error {
        error.context(self.what.clone())
    }

    async fn file(&self, path: &str) -> Result<Vec<u8>> {
        let request = self.http.get(self.service.at(path));
        let answer = http::send(&self.what, request, MAX_FILE).await?;
        if answer.status == StatusCode::OK {
            Ok(answer.body.into())
        } else {
            Err(http::refused(&self.what, &answer))
        }
    }

    /// A file of the tile with this index, whole or as wide as a tree of so many has it.
    async fn tile(&self, level: &str, index: u64, total: u64) -> Result<Vec<u8>> {
        let path = format!("/tile/{level}/{}", path_of(index));
        if index < total / WIDTH {
            return self.file(&path).await;
        }
        match self.file(&format!("{path}.p/{}", total % WIDTH)).await {
            // Partial tiles go away when the whole one is there.
            Err(error) if error.kind() == chains_core::ErrorKind::NotFound => {
                self.file(&path).await
            }
            read => read,
        }
    }

    async fn entry(&self, index: u64, size: u64) -> Result<Vec<u8>> {
        let bundle = self.tile("entries", index / WIDTH, size).await?;
        let odd = || protocol(&self.what, "a bundle of entries is too short");
        let mut rest = bundle.as_slice();
        for _ in 0..index % WIDTH {
            rest = split_entry(rest).ok_or_else(odd)?.1;
        }
        Ok(split_entry(rest).ok_or_else(odd)?.0.to_vec())
    }

    /// The hash of a range of leaves, which is made of whole subtrees.
    async fn hash(&mut self, range: Range, size: u64) -> Result<Hash> {
        let mut parts = Vec::new();
        let Range { mut start, mut len } = range;
        while len > 0 {
            let part = if len.is_power_of_two() { len } else { merkle::split(len) };
            parts.push(self.subtree(start, part, size).await?);
            (start, len) = (start + part, len - part);
        }
        let last = parts.pop().ok_or_else(|| protocol(&self.what, "an empty tree"))?;
        Ok(parts.iter().rev().fold(last, |right, left| merkle::node_hash(left, &right)))
    }

    /// The hash of a whole subtree: `len` is a power of two and `start` a multiple of it.
    async fn subtree(&mut self, start: u64, len: u64, size: u64) -> Result<Hash> {
        let height = len.trailing_zeros();
        let level = height / HEIGHT;
        // So many hashes of that level of tiles are below it.
        let count = 1_u64 << (height % HEIGHT);
        let first = start >> (level * HEIGHT);
        let hashes = self.hashes(level, first / WIDTH, size >> (level * HEIGHT)).await?;
        let from = usize::try_from(first % WIDTH).unwrap_or(usize::MAX);
        let until = from.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        let Some(mut row) = hashes.get(from..until).map(<[Hash]>::to_vec) else {
            return Err(protocol(&self.what, "a tile is too short"));
        };
        while row.len() > 1 {
            row = row.chunks_exact(2).map(|pair| merkle::node_hash(&pair[0], &pair[1])).collect();
        }
        row.first().copied().ok_or_else(|| protocol(&self.what, "a tile is too short"))
    }

    async fn hashes(&mut self, level: u32, index: u64, total: u64) -> Result<Vec<Hash>> {
        let name = format!("{level}/{index}");
        if let Some(hashes) = self.tiles.get(&name) {
            return Ok(hashes.clone());
        }
        let file = self.tile(&level.to_string(), index, total).await?;
        let (hashes, rest) = file.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(protocol(&self.what, "a tile is not made of hashes"));
        }
        self.tiles.insert(name, hashes.to_vec());
        Ok(hashes.to_vec())
    }
}

/// The first entry of a bundle and what follows it: two bytes tell how long each is.
fn split_entry(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bundle.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// The index as a path: three digits each, all but the last with an `x` in front.
fn path_of(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_tiles() {
        let check = |index, path: &str| assert_eq!(path_of(index), path);
        check(0, "000");
        check(7, "007");
        check(999, "999");
        check(1000, "x001/000");
        check(1_234_067, "x001/x234/067");
        check(u64::MAX, "x018/x446/x744/x073/x709/x551/615");
    }

    #[test]
    fn bundles_of_entries() {
        let bundle = b"\0\x02ab\0\0\0\x01c";
        let (first, rest) = split_entry(bundle).unwrap();
        let (second, rest) = split_entry(rest).unwrap();
        let (third, rest) = split_entry(rest).unwrap();
        assert_eq!((first, second, third, rest), (&b"ab"[..], &b""[..], &b"c"[..], &b""[..]));
        assert_eq!(split_entry(b""), None);
        assert_eq!(split_entry(b"\0"), None);
        assert_eq!(split_entry(b"\0\x02a"), None);
    }
}
