//! The RFC 6962 Merkle tree over all records, kept as its frontier only.
//!
//! The frontier holds the root of each perfect subtree of the binary representation of the size,
//! largest first: at most 64 hashes, so memory does not grow with the log.

use crate::sha::{node_hash, sha256, Hash};

/// The right edge of a growing Merkle tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Rebuild a frontier from its size and subtree roots; `None` when they do not fit together.
    pub fn from_parts(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The subtree roots, largest subtree first.
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Append one leaf hash.
    #[inline]
    pub fn push(&mut self, leaf: Hash) {
        self.push_noting(leaf, |_, _| {});
    }

    /// Append one leaf hash; `note` is given the level and root of each subtree that it completes.
    #[inline]
    pub fn push_noting(&mut self, leaf: Hash, mut note: impl FnMut(u32, Hash)) {
        let mut hash = leaf;
        for level in 1..=self.size.trailing_ones() {
            let left = self.roots.pop().expect("one root per set bit of the size");
            hash = node_hash(&left, &hash);
            note(level, hash);
        }
        self.roots.push(hash);
        self.size += 1;
        debug_assert_eq!(self.roots.len(), self.size.count_ones() as usize);
    }

    /// The root hash over all leaves; SHA-256 of nothing for the empty tree.
    pub fn root(&self) -> Hash {
        let mut from_right = self.roots.iter().rev();
        let Some(last) = from_right.next() else {
            return sha256(b"");
        };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha::leaf_hash;

    /// RFC 6962, 2.1, written as the definition: split at the largest power of two below n.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => sha256(b""),
            1 => leaves[0],
            n => {
                let split = n.next_power_of_two() / 2;
                node_hash(
                    &root_by_definition(&leaves[..split]),
                    &root_by_definition(&leaves[split..]),
                )
            }
        }
    }

    #[test]
    fn frontier_root_agrees_with_the_definition_at_every_size() {
        let mut frontier = Frontier::default();
        let mut leaves = Vec::new();
        for number in 0u32..130 {
            assert_eq!(frontier.root(), root_by_definition(&leaves));
            let leaf = leaf_hash(&number.to_le_bytes().repeat(15));
            leaves.push(leaf);
            frontier.push(leaf);
        }
        let again = Frontier::from_parts(frontier.size(), frontier.roots().to_vec());
        assert_eq!(again, Some(frontier));
        assert_eq!(Frontier::from_parts(3, vec![]), None);
    }
}
