//! SHA-256 in the three shapes that the log needs, straight on the compression function.
//!
//! A leaf is 119 bytes and an interior node 65, so both take exactly two blocks; laying the padding
//! out by hand saves the general hasher's buffering, which would cost as much as a block.
//! Source: FIPS 180-4; RFC 6962, section 2.1 (domain bytes 0 and 1).

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// The initial state of SHA-256 (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The most bytes that two blocks hold beside the 0x80 mark and the 64-bit length.
const TWO_BLOCKS_MAX: usize = 119;

/// Hash any message.
pub fn sha256(data: &[u8]) -> Hash {
    Sha256::digest(data).into()
}

/// Hash the RFC 6962 leaf of `data` (at most 118 bytes): SHA-256(0x00 || data).
#[inline]
pub fn leaf_hash(data: &[u8]) -> Hash {
    assert!(data.len() < TWO_BLOCKS_MAX, "a leaf fits two blocks");
    let mut blocks = [[0u8; 64]; 2];
    blocks.as_flattened_mut()[1..=data.len()].copy_from_slice(data);
    finish_two_blocks(&mut blocks, 1 + data.len())
}

/// Hash the RFC 6962 interior node: SHA-256(0x01 || left || right).
#[inline]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut blocks = [[0u8; 64]; 2];
    let flat = blocks.as_flattened_mut();
    flat[0] = 1;
    flat[1..33].copy_from_slice(left);
    flat[33..65].copy_from_slice(right);
    finish_two_blocks(&mut blocks, 65)
}

#[inline]
fn finish_two_blocks(blocks: &mut [[u8; 64]; 2], length: usize) -> Hash {
    let flat = blocks.as_flattened_mut();
    flat[length] = 0x80;
    flat[120..128].copy_from_slice(&(8 * length as u64).to_be_bytes());
    let mut state = INITIAL;
    compress256(&mut state, blocks);
    let mut hash = [0u8; 32];
    for (chunk, word) in hash.chunks_exact_mut(4).zip(state) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_and_node_agree_with_the_general_hasher() {
        let data: Vec<u8> = (0u8..118).collect();
        for length in 56..=118 {
            let mut message = vec![0u8];
            message.extend_from_slice(&data[..length]);
            assert_eq!(leaf_hash(&data[..length]), sha256(&message));
        }
        let (left, right) = (sha256(b"left"), sha256(b"right"));
        let mut message = vec![1u8];
        message.extend_from_slice(&left);
        message.extend_from_slice(&right);
        assert_eq!(node_hash(&left, &right), sha256(&message));
    }
}
