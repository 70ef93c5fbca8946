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
///
/// Four bytes at a time in one word, the rest by the table.
#[inline]
pub fn unpack(packed: &[u8], out: &mut [MaybeUninit<u8>]) -> bool {
    let (fours, rest) = packed.as_chunks::<4>();
    let (eights, pairs) = out.split_at_mut((fours.len() * 8).min(out.len()));
    let mut odd = 0;
    for (eight, four) in eights.as_chunks_mut::<8>().0.iter_mut().zip(fours) {
        let halves = spread(u64::from(u32::from_le_bytes(*four)));
        // 6 more than a digit stays below 16.
        odd |= (halves + 0x0606_0606_0606_0606) & 0x1010_1010_1010_1010;
        *eight = (halves | 0x3030_3030_3030_3030)
            .to_le_bytes()
            .map(MaybeUninit::new);
    }
    let mut seen = 0;
    for (pair, byte) in pairs.as_chunks_mut::<2>().0.iter_mut().zip(rest) {
        let digits = PAIRS[usize::from(*byte)];
        *pair = digits.to_le_bytes().map(MaybeUninit::new);
        seen |= digits;
    }
    odd == 0 && seen & OUTSIDE == 0
}

/// Give the half-bytes of four bytes, each in a byte of its own, first one lowest.
#[inline]
fn spread(four: u64) -> u64 {
    let twos = (four | four << 16) & 0x0000_FFFF_0000_FFFF;
    let ones = (twos | twos << 8) & 0x00FF_00FF_00FF_00FF;
    (ones >> 4 | ones << 8) & 0x0F0F_0F0F_0F0F_0F0F
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

/// Write an even count of ASCII digits as packed bytes, half as many; false when one is no digit.
///
/// Eight digits at a time in one word, then four, then two.
#[inline]
pub fn pack(digits: &[u8], out: &mut [u8]) -> bool {
    let mut seen = 0;
    let (eights, rest) = digits.as_chunks::<8>();
    let (fours, tail) = out.split_at_mut(eights.len() * 4);
    for (four, eight) in fours.as_chunks_mut::<4>().0.iter_mut().zip(eights) {
        let (packed, odd) = pack_word(u64::from_le_bytes(*eight));
        *four = packed.to_le_bytes();
        seen |= odd;
    }
    let (fours, rest) = rest.as_chunks::<4>();
    let (twos, tail) = tail.split_at_mut(fours.len() * 2);
    for (two, [a, b, c, d]) in twos.as_chunks_mut::<2>().0.iter_mut().zip(fours) {
        let (packed, odd) = pack_word(u64::from_le_bytes([*a, *b, *c, *d, b'0', b'0', b'0', b'0']));
        *two = [packed.to_le_bytes()[0], packed.to_le_bytes()[1]];
        seen |= odd;
    }
    for (slot, [high, low]) in tail.iter_mut().zip(rest.as_chunks::<2>().0) {
        let (high, low) = (high.wrapping_sub(b'0'), low.wrapping_sub(b'0'));
        seen |= u64::from(high.max(low) > 9);
        *slot = high << 4 | low & 0x0F;
    }
    seen == 0
}

/// Give the four bytes of eight ASCII digits, first one lowest, and bits that are 0 for digits only.
#[inline]
fn pack_word(digits: u64) -> (u32, u64) {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGH: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    // A digit has the upper half-byte 3, and still has it when 6 is added. Bytes above 0xF9 would
    // carry into their neighbour; their own upper half-byte has shown them before.
    let odd = (digits & HIGH) ^ ZEROS | (digits.wrapping_add(0x0606_0606_0606_0606) & HIGH) ^ ZEROS;
    let halves = digits & !HIGH;
    let pairs = (halves << 4 | halves >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs | pairs >> 8) & 0x0000_FFFF_0000_FFFF;
    let [a, b, _, _, c, d, _, _] = fours.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), odd)
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
                        let mut back = vec![0; size];
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
            for place in 0..14 {
                let mut text = *b"12345678901234";
                text[place] = character;
                let fits = pack(&text, &mut [0; 7]);
                assert_eq!(fits, character.is_ascii_digit(), "{character} at {place}");
            }
        }
    }
}
