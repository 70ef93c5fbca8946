//! The retail MAC: ISO/IEC 9797-1 algorithm 3 under a double-length key.

use super::des::{block, permuted, unpermute, Tdes, BLOCK};

/// Give the 8-byte MAC with padding method 1, 2 or 3; `None` for another method.
///
/// The chain stays behind the initial permutation: it is linear, and the final one of a block
/// undoes the initial one of the next.
pub fn mac(key: &Tdes, data: &[u8], padding: u8) -> Option<[u8; BLOCK]> {
    if !(1..=3).contains(&padding) {
        return None;
    }
    let mut state = 0_u64;
    let mut pending: Option<u64> = None;
    // The last block is enciphered by all three keys, so each block waits for the next one.
    let mut take = |input: [u8; BLOCK]| {
        if let Some(waiting) = pending.replace(permuted(input)) {
            state = key.chain().encipher(state ^ waiting);
        }
    };
    if padding == 3 {
        take((8 * data.len() as u64).to_be_bytes());
    }
    let (whole, rest) = data.split_at(data.len() - data.len() % BLOCK);
    for part in whole.chunks_exact(BLOCK) {
        take(block(part));
    }
    // Methods 1 and 3 make one block of zeros of nothing: the padded length is a positive multiple.
    if padding == 2 || !rest.is_empty() || data.is_empty() {
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        if padding == 2 {
            last[rest.len()] = 0x80;
        }
        take(last);
    }
    let last = pending?;
    Some(unpermute(key.encipher(state ^ last)))
}
