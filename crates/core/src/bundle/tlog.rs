//! Entries of transparency logs, as bundles hold them.
//!
//! After [`sigstore_rekor.proto`](https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_rekor.proto).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Version, invalid};
use crate::Entry;

/// An entry of a transparency log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransparencyLogEntry {
    /// Index over all shards of the log.
    #[serde(default, with = "int64")]
    pub log_index: i64,
    /// Which log.
    pub log_id: LogId,
    /// What kind of entry.
    pub kind_version: KindVersion,
    /// Seconds since 1970; 0 where the log does not tell.
    #[serde(default, with = "int64", skip_serializing_if = "is_zero")]
    pub integrated_time: i64,
    /// The log's promise of inclusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inclusion_promise: Option<InclusionPromise>,
    /// Proof of inclusion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inclusion_proof: Option<InclusionProof>,
    /// The body that the log keeps.
    #[serde(default, with = "crate::base64_bytes", skip_serializing_if = "Bytes::is_empty")]
    pub canonicalized_body: Bytes,
}

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogId {
    /// SHA-256 of the log's public key, or what its checkpoints name it by.
    #[serde(default, with = "crate::base64_bytes")]
    pub key_id: Bytes,
}

/// What kind of entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindVersion {
    /// E.g. `dsse`.
    pub kind: String,
    /// E.g. `0.0.1`.
    pub version: String,
}

/// The log's promise of inclusion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionPromise {
    /// The log's signature over the canonical entry.
    #[serde(with = "crate::base64_bytes")]
    pub signed_entry_timestamp: Bytes,
}

/// Proof of inclusion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProof {
    /// Index within the tree of the proof.
    #[serde(default, with = "int64")]
    pub log_index: i64,
    /// Root hash of that tree.
    #[serde(with = "crate::base64_bytes")]
    pub root_hash: Bytes,
    /// Number of leaves of that tree.
    #[serde(with = "int64")]
    pub tree_size: i64,
    /// Sibling hashes from leaf to root.
    #[serde(default, with = "base64_list", skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<Bytes>,
    /// What commits the log to the root. Bundles of version 0.1 may have none.
    #[serde(default)]
    pub checkpoint: Checkpoint,
}

/// A signed note about a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The note with its signatures.
    pub envelope: String,
}

impl TransparencyLogEntry {
    /// What a version demands of its entries. Version 0.1 takes the promise for enough, and its proofs may come
    /// without what commits the log to them: such a proof proves nothing and is dropped.
    ///
    /// # Errors
    /// Says what is missing.
    pub(super) fn check(&mut self, version: Version) -> Result<(), &'static str> {
        let commits = |proof: &InclusionProof| !proof.checkpoint.envelope.is_empty();
        if version > Version::V0_1 {
            return match &self.inclusion_proof {
                Some(proof) if !commits(proof) => Err("an inclusion proof has no checkpoint"),
                _ => Ok(()),
            };
        }
        self.inclusion_proof = self.inclusion_proof.take().filter(commits);
        match self.inclusion_promise {
            Some(_) => Ok(()),
            None => Err("an entry of a bundle of version 0.1 has no inclusion promise"),
        }
    }
}

/// The entry of a record with those in further logs.
pub(super) fn entries(entry: &Entry) -> crate::Result<Vec<TransparencyLogEntry>> {
    std::iter::once(entry).chain(&entry.others).map(one).collect()
}

fn one(entry: &Entry) -> crate::Result<TransparencyLogEntry> {
    Ok(TransparencyLogEntry {
        log_index: number(entry.log_index)?,
        log_id: LogId { key_id: entry.log_id.clone() },
        kind_version: KindVersion { kind: entry.kind.clone(), version: entry.version.clone() },
        integrated_time: entry.integrated_time.unwrap_or_default(),
        inclusion_promise: entry
            .inclusion_promise
            .clone()
            .map(|signed_entry_timestamp| InclusionPromise { signed_entry_timestamp }),
        inclusion_proof: entry.inclusion_proof.as_ref().map(proof).transpose()?,
        canonicalized_body: entry.body.clone(),
    })
}

fn proof(proof: &crate::InclusionProof) -> crate::Result<InclusionProof> {
    Ok(InclusionProof {
        log_index: number(proof.log_index)?,
        root_hash: proof.root_hash.clone(),
        tree_size: number(proof.tree_size)?,
        hashes: proof.hashes.clone(),
        checkpoint: Checkpoint { envelope: proof.checkpoint.clone() },
    })
}

fn number(number: u64) -> crate::Result<i64> {
    i64::try_from(number)
        .map_err(|e| invalid(format!("the log index or tree size {number}")).with_source(e))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// 64-bit numbers, written as strings; plain numbers are read too, as the JSON form demands.
mod int64 {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub(super) fn serialize<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = i64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit number, plain or in a string")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
                Ok(number)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
                i64::try_from(number).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<i64, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Number)
    }
}

/// A list of byte strings, each as base64.
mod base64_list {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Item(#[serde(with = "crate::base64_bytes")] Bytes);

    pub(super) fn serialize<S: Serializer>(
        list: &[Bytes],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().cloned().map(Item))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Bytes>, D::Error> {
        let items = Vec::<Item>::deserialize(deserializer)?;
        Ok(items.into_iter().map(|item| item.0).collect())
    }
}
