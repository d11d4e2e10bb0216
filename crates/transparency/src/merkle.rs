//! Hashes of a Merkle tree and proofs that a leaf is in it ([RFC 9162 §2.1](https://www.rfc-editor.org/rfc/rfc9162#section-2.1)).

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// No tree has more levels: its size is a 64-bit number.
const MAX_PROOF: usize = 64;

/// The hash of an entry.
pub(crate) fn leaf_hash(entry: &[u8]) -> Hash {
    hash(&[&[0], entry])
}

/// The hash of a node above two others.
pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], left, right])
}

/// SHA-256 of the parts, one after the other.
pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The root that the proof leads to, starting at the leaf with this index in a tree of this size;
/// `None` where no proof of this shape is one for such a leaf.
///
/// After [RFC 9162 §2.1.3.2](https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2).
pub(crate) fn root_of(leaf: Hash, index: u64, size: u64, proof: &[Hash]) -> Option<Hash> {
    if index >= size || proof.len() > MAX_PROOF {
        return None;
    }
    let (mut node, mut last, mut root) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            root = node_hash(sibling, &root);
            // The node has no sibling to its right on these levels: it is its own parent.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// A range of leaves whose hash stands in a proof: from `start`, `len` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// Whose hashes the proof for a leaf is made of, from the leaf up
/// ([RFC 9162 §2.1.3.1](https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.1)).
pub(crate) fn proof_ranges(index: u64, size: u64) -> Vec<Range> {
    let mut ranges = Vec::new();
    let (mut start, mut len) = (0, size);
    while len > 1 {
        let left = split(len);
        if index - start < left {
            ranges.push(Range { start: start + left, len: len - left });
            len = left;
        } else {
            ranges.push(Range { start, len: left });
            (start, len) = (start + left, len - left);
        }
    }
    ranges.reverse();
    ranges
}

/// The largest power of two that is smaller than `len`, which is at least 2.
pub(crate) const fn split(len: u64) -> u64 {
    1 << (u64::BITS - 1 - (len - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect()
    }

    /// The hash of a tree by its definition.
    fn tree(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => hash(&[]),
            [one] => *one,
            more => {
                let (left, right) = more.split_at(split(more.len() as u64) as usize);
                node_hash(&tree(left), &tree(right))
            }
        }
    }

    fn proof(leaves: &[Hash], index: u64) -> Vec<Hash> {
        let of = |range: Range| tree(&leaves[range.start as usize..][..range.len as usize]);
        proof_ranges(index, leaves.len() as u64).into_iter().map(of).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven() {
        for size in 1..70 {
            let leaves = leaves(size);
            let root = tree(&leaves);
            for index in 0..size {
                let proof = proof(&leaves, index);
                let leaf = leaves[index as usize];
                assert_eq!(root_of(leaf, index, size, &proof), Some(root), "{index} of {size}");
                let mut longer = proof.clone();
                longer.push(root);
                assert_ne!(root_of(leaf, index, size, &longer), Some(root), "too long a proof");
                if let Some((_, shorter)) = proof.split_last() {
                    assert_ne!(root_of(leaf, index, size, shorter), Some(root), "too short");
                }
                let elsewhere = (index + 1) % size;
                if elsewhere != index {
                    assert_ne!(root_of(leaf, elsewhere, size, &proof), Some(root), "elsewhere");
                }
            }
        }
    }

    /// The empty tree and the tree of one empty leaf, as RFC 6962 §2.1 has them hashed.
    #[test]
    fn known_hashes() {
        let hex = |hash: Hash| hex::encode(hash);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hex(tree(&[])), empty);
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(hex(leaf_hash(b"")), leaf);
    }

    #[test]
    fn an_index_outside_the_tree_is_refused() {
        assert_eq!(root_of([0; 32], 0, 0, &[]), None);
        assert_eq!(root_of([0; 32], 5, 5, &[[0; 32]; 3]), None);
        assert_eq!(root_of([0; 32], u64::MAX, u64::MAX, &[[0; 32]; 3]), None);
        assert_eq!(root_of([0; 32], 0, u64::MAX, &[[0; 32]; 65]), None);
    }

    proptest! {
        #[test]
        fn any_proof_ends(leaf: [u8; 32], index: u64, size: u64, proof: Vec<[u8; 32]>) {
            let _ = root_of(leaf, index, size, &proof);
        }

        #[test]
        fn a_changed_proof_leads_elsewhere(
            size in 2_u64..200, at: prop::sample::Index, which: prop::sample::Index,
            byte in 0_usize..32, bit in 0..8_u8
        ) {
            let leaves = leaves(size);
            let index = at.index(size as usize) as u64;
            let mut proof = proof(&leaves, index);
            let changed = which.index(proof.len());
            proof[changed][byte] ^= 1 << bit;
            let root = root_of(leaves[index as usize], index, size, &proof);
            prop_assert_ne!(root, Some(tree(&leaves)));
        }
    }
}
