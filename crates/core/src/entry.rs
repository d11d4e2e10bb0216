//! What a transparency log answered.

use bytes::Bytes;

/// An entry of a transparency log, verified by the client that fetched it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Address of the log.
    pub log_url: String,
    /// The log's id: SHA-256 of its public key.
    pub log_id: Bytes,
    /// Index over all shards of the log.
    pub log_index: u64,
    /// Kind of entry, e.g. `dsse`.
    pub kind: String,
    /// Version of the kind, e.g. `0.0.1`.
    pub version: String,
    /// Seconds since 1970 when the log took it in, where the log tells.
    pub integrated_time: Option<i64>,
    /// The body that the log keeps, canonicalised.
    pub body: Bytes,
    /// The log's promise of inclusion (signed entry timestamp), where it gives one.
    pub inclusion_promise: Option<Bytes>,
    /// Proof that the entry is in the log.
    pub inclusion_proof: Option<InclusionProof>,
    /// RFC 3161 timestamps over the signature, each a DER `TimeStampResp`.
    pub timestamps: Vec<Bytes>,
    /// Entries of the same signature in further logs, where it went into several; these have none themselves.
    pub others: Vec<Self>,
}

/// A Merkle inclusion proof with the checkpoint it leads to ([RFC 6962 §2.1.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1.1)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// Index within the tree of the proof.
    pub log_index: u64,
    /// Root hash of that tree.
    pub root_hash: Bytes,
    /// Number of leaves of that tree.
    pub tree_size: u64,
    /// Sibling hashes from leaf to root.
    pub hashes: Vec<Bytes>,
    /// The signed note that commits the log to the root.
    pub checkpoint: String,
}

impl Entry {
    /// The kind and version that a log of [Rekor v2] gives to its entries.
    ///
    /// [Rekor v2]: https://github.com/sigstore/rekor-tiles/blob/main/CLIENTS.md
    const REKOR_V2: (&'static str, &'static str) = ("hashedrekord", "0.0.2");

    /// Whether this is an entry of a tile-backed log: Rekor v2.
    #[must_use]
    pub fn is_rekor_v2(&self) -> bool {
        (self.kind.as_str(), self.version.as_str()) == Self::REKOR_V2
    }

    /// The address of the entry, as `chains.tekton.dev/transparency` has it.
    ///
    /// A log of version 1 shows the entry there. One of version 2 has no address for a single entry: what follows
    /// its own address then names the entry and nothing else.
    #[must_use]
    pub fn address(&self) -> String {
        let api = if self.is_rekor_v2() { "v2" } else { "v1" };
        format!("{}/api/{api}/log/entries?logIndex={}", self.log_url, self.log_index)
    }

    /// The addresses of this entry and of those in further logs.
    pub fn addresses(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(self).chain(&self.others).map(Self::address)
    }
}
