//! Packed decimal: two digits a byte.

use std::mem::MaybeUninit;

/// What marks a byte of `PAIRS` that holds no two digits: no ASCII character has these bits.
const OUTSIDE: u16 = 0x8080;

/// Both half-bytes of every byte as ASCII digits, first one first; `OUTSIDE` where one is none.
static PAIRS: [u16; 256] = pairs();

const fn pairs() -> [u16; 256] {
    let mut table = [OUTSIDE; 256];
    let mut byte = 0_u8;
    while byte < 0x9A {
        if byte & 0x0F <= 9 {
            table[byte as usize] = u16::from_le_bytes([(byte >> 4) + b'0', (byte & 0x0F) + b'0']);
        }
        byte += 1;
    }
    table
}

/// Write the two half-bytes of every byte as ASCII digits; false when one is no digit.
#[inline]
pub fn unpack(packed: &[u8], out: &mut [MaybeUninit<u8>]) -> bool {
    let mut seen = 0;
    for (pair, byte) in out.chunks_exact_mut(2).zip(packed) {
        let digits = PAIRS[usize::from(*byte)];
        let [first, second] = digits.to_le_bytes();
        pair[0].write(first);
        pair[1].write(second);
        seen |= digits;
    }
    seen & OUTSIDE == 0
}

/// Give the number of the `units` half-bytes behind a padding half-byte or before one.
///
/// None when one is no digit, or the padding is another. For one or two bytes.
#[inline]
pub fn short_number(field: &[u8], units: usize, pad_left: bool, pad: u8) -> Option<usize> {
    let mut whole = 0_usize;
    for byte in field {
        whole = whole << 8 | usize::from(*byte);
    }
    if units < field.len() * 2 {
        let (found, kept) = if pad_left {
            (whole >> (4 * units), whole & ((1 << (4 * units)) - 1))
        } else {
            (whole & 0x0F, whole >> 4)
        };
        if found != usize::from(pad) {
            return None;
        }
        whole = kept;
    }
    let mut number = 0;
    for place in (0..units).rev() {
        let digit = whole >> (4 * place) & 0x0F;
        if digit > 9 {
            return None;
        }
        number = number * 10 + digit;
    }
    Some(number)
}

/// Append an even count of ASCII digits as packed bytes; false when one is no digit.
#[inline]
pub fn pack(digits: &[u8], out: &mut Vec<u8>) -> bool {
    let mut fits = true;
    out.extend(digits.chunks_exact(2).map(|pair| {
        let (high, low) = (pair[0].wrapping_sub(b'0'), pair[1].wrapping_sub(b'0'));
        fits &= high.max(low) <= 9;
        high << 4 | low & 0x0F
    }));
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_half_bytes_unpacks_or_is_refused() {
        for byte in 0..=255_u8 {
            for size in 1..=9 {
                for place in 0..size {
                    let mut packed = vec![0x12; size];
                    packed[place] = byte;
                    let mut room = vec![MaybeUninit::uninit(); size * 2];
                    let fits = unpack(&packed, &mut room);
                    assert_eq!(fits, byte >> 4 <= 9 && byte & 0x0F <= 9);
                    // SAFETY: all of it was written, whatever the outcome.
                    let text: Vec<u8> = room.iter().map(|b| unsafe { b.assume_init() }).collect();
                    if fits {
                        let mut back = Vec::new();
                        assert!(pack(&text, &mut back));
                        assert_eq!(back, packed);
                    }
                }
            }
        }
    }

    #[test]
    fn every_character_that_is_no_digit_is_refused() {
        for character in 0..=255_u8 {
            for place in 0..12 {
                let mut text = *b"123456789012";
                text[place] = character;
                let fits = pack(&text, &mut Vec::new());
                assert_eq!(fits, character.is_ascii_digit(), "{character} at {place}");
            }
        }
    }
}
