//! The filter of a sealed segment's ids: "surely not here" at the cost of one cache line.
//!
//! Source: docs/reference/ledger-format.md, section 9.

use crate::wire::u64_at;

/// Bytes of one block of the filter.
pub const FILTER_BLOCK: usize = 64;
/// Bits of the filter for each id.
const BITS_EACH: u64 = 10;
const WORDS: usize = FILTER_BLOCK / 8;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
struct Block([u64; WORDS]);

/// A blocked Bloom filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    blocks: Vec<Block>,
}

/// How many blocks the filter of so many ids has.
pub fn filter_blocks(ids: u64) -> u64 {
    (BITS_EACH * ids).div_ceil(8 * FILTER_BLOCK as u64)
}

impl Filter {
    /// An empty filter for so many ids.
    pub fn new(ids: usize) -> Self {
        let blocks = usize::try_from(filter_blocks(ids as u64)).expect("bounded by a segment");
        Self {
            blocks: vec![Block::default(); blocks],
        }
    }

    /// Read a filter.
    pub fn unpack(bytes: &[u8]) -> Self {
        let block = |bytes: &[u8]| {
            let mut words = [0; WORDS];
            for (place, word) in words.iter_mut().enumerate() {
                *word = u64_at(bytes, 8 * place);
            }
            Block(words)
        };
        Self {
            blocks: bytes.chunks_exact(FILTER_BLOCK).map(block).collect(),
        }
    }

    /// Its bytes.
    pub fn pack(&self) -> Vec<u8> {
        let words = self.blocks.iter().flat_map(|block| block.0);
        words.flat_map(u64::to_le_bytes).collect()
    }

    /// Note a fingerprint.
    pub fn insert(&mut self, fingerprint: u64) {
        let place = self.place(fingerprint);
        for (word, bit) in self.blocks[place].0.iter_mut().zip(bits(fingerprint)) {
            *word |= bit;
        }
    }

    /// Whether the fingerprint may have been noted.
    #[inline]
    pub fn may_hold(&self, fingerprint: u64) -> bool {
        if self.blocks.is_empty() {
            return false;
        }
        let block = &self.blocks[self.place(fingerprint)].0;
        let mut held = true;
        for (word, bit) in block.iter().zip(bits(fingerprint)) {
            held &= word & bit != 0;
        }
        held
    }

    #[inline]
    fn place(&self, fingerprint: u64) -> usize {
        let product = u128::from(fingerprint) * self.blocks.len() as u128;
        usize::try_from(product >> 64).expect("below the number of blocks")
    }
}

#[inline]
fn bits(fingerprint: u64) -> impl Iterator<Item = u64> {
    (0..WORDS).map(move |word| 1 << (fingerprint >> (6 * word) & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::fingerprint;

    #[test]
    fn what_was_noted_is_held_and_little_else() {
        let mut filter = Filter::new(10_000);
        for id in 0..10_000 {
            filter.insert(fingerprint(id));
        }
        assert!((0..10_000).all(|id| filter.may_hold(fingerprint(id))));
        let false_hits = (10_000..110_000)
            .filter(|id| filter.may_hold(fingerprint(*id)))
            .count();
        assert!(false_hits < 100_000 / 50, "{false_hits}");
        assert_eq!(Filter::unpack(&filter.pack()), filter);
        assert!(!Filter::new(0).may_hold(7));
    }
}
