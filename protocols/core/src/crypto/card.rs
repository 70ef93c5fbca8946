//! Card keys, cryptograms and PIN blocks over checked input.

use super::des::{block, permuted, unpermute, Tdes, BLOCK};

/// Encipher whole blocks one by one.
pub fn encipher_ecb(key: &Tdes, data: &[u8]) -> Vec<u8> {
    data.chunks_exact(BLOCK)
        .flat_map(|part| key.encipher_block(block(part)))
        .collect()
}

/// Decipher whole blocks one by one.
pub fn decipher_ecb(key: &Tdes, data: &[u8]) -> Vec<u8> {
    data.chunks_exact(BLOCK)
        .flat_map(|part| key.decipher_block(block(part)))
        .collect()
}

/// Encipher whole blocks, each added to the one before.
pub fn encipher_cbc(key: &Tdes, data: &[u8], iv: [u8; BLOCK]) -> Vec<u8> {
    let mut state = permuted(iv);
    data.chunks_exact(BLOCK)
        .flat_map(|part| {
            state = key.encipher(state ^ permuted(block(part)));
            unpermute(state)
        })
        .collect()
}

/// Decipher whole blocks, each added to the enciphered one before.
pub fn decipher_cbc(key: &Tdes, data: &[u8], iv: [u8; BLOCK]) -> Vec<u8> {
    let mut before = permuted(iv);
    data.chunks_exact(BLOCK)
        .flat_map(|part| {
            let state = permuted(block(part));
            let clear = unpermute(key.decipher(state) ^ before);
            before = state;
            clear
        })
        .collect()
}

/// Give a card's master key from its diversification block. EMV 4.4 Book 2, Annex A1.4.
pub fn icc_master_key(imk: &Tdes, diversifier: [u8; BLOCK]) -> [u8; 16] {
    let inverted = diversifier.map(|byte| !byte);
    pair(imk, diversifier, inverted)
}

/// Give the EMV common session key. EMV 4.4 Book 2, Annex A1.3.1.
pub fn common_session_key(master: &Tdes, diversifier: [u8; BLOCK]) -> [u8; 16] {
    let (mut left, mut right) = (diversifier, diversifier);
    left[2] = 0xF0;
    right[2] = 0x0F;
    pair(master, left, right)
}

/// Give the ARPC of method 1. EMV 4.4 Book 2, 8.2.1.
pub fn arpc_method1(session: &Tdes, arqc: [u8; BLOCK], response_code: [u8; 2]) -> [u8; BLOCK] {
    let mut input = arqc;
    input[0] ^= response_code[0];
    input[1] ^= response_code[1];
    session.encipher_block(input)
}

/// Give the clear format 0 block of a PIN; `None` unless 4 to 12 and 12 ASCII digits come in.
pub fn pin_block_0(pin: &[u8], pan_part: &[u8]) -> Option<[u8; BLOCK]> {
    if !(4..=12).contains(&pin.len()) || !pin.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut field = [0xFF; BLOCK];
    field[0] = u8::try_from(pin.len()).ok()?;
    for (index, digit) in pin.iter().enumerate() {
        let byte = &mut field[1 + index / 2];
        let value = digit - b'0';
        *byte = if index % 2 == 0 {
            value << 4 | 0x0F
        } else {
            *byte & 0xF0 | value
        };
    }
    add(field, pan_field(pan_part)?)
}

/// Tell whether a clear block, bound to this card number, holds a PIN of format 0.
pub fn holds_pin_0(clear: [u8; BLOCK], pan_part: &[u8]) -> Option<bool> {
    clear_pin_0(clear, pan_part).map(|found| found.is_some())
}

/// Give the digits (as numbers) and the length of the PIN in a clear block of format 0.
///
/// The inner None: the block holds no PIN. The outer one: the card number is none.
#[allow(clippy::option_option)] // The two are told apart by the caller, as said above.
pub fn clear_pin_0(clear: [u8; BLOCK], pan_part: &[u8]) -> Option<Option<([u8; 12], usize)>> {
    let field = add(clear, pan_field(pan_part)?)?;
    let length = usize::from(field[0]);
    if !(4..=12).contains(&length) {
        return Some(None);
    }
    let mut pin = [0; 12];
    for index in 0..14 {
        let nibble = field[1 + index / 2] >> (4 - 4 * (index % 2)) & 0x0F;
        let fits = if index < length {
            pin[index] = nibble;
            nibble <= 9
        } else {
            nibble == 0xF
        };
        if !fits {
            return Some(None);
        }
    }
    Some(Some((pin, length)))
}

/// Give the validation data of IBM 3624: the digits that enter a PIN block, filled with F.
pub fn validation_block(pan_part: &[u8]) -> Option<[u8; BLOCK]> {
    let field = pan_field(pan_part)?;
    let mut block = [0xFF; BLOCK];
    block[..6].copy_from_slice(&field[2..]);
    Some(block)
}

fn pan_field(pan_part: &[u8]) -> Option<[u8; BLOCK]> {
    if pan_part.len() != 12 || !pan_part.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut field = [0; BLOCK];
    for (byte, digits) in field[2..].iter_mut().zip(pan_part.chunks_exact(2)) {
        *byte = (digits[0] - b'0') << 4 | (digits[1] - b'0');
    }
    Some(field)
}

#[allow(clippy::unnecessary_wraps)] // The callers' last step; `?` stays readable there.
fn add(left: [u8; BLOCK], right: [u8; BLOCK]) -> Option<[u8; BLOCK]> {
    Some((u64::from_be_bytes(left) ^ u64::from_be_bytes(right)).to_be_bytes())
}

fn pair(key: &Tdes, left: [u8; BLOCK], right: [u8; BLOCK]) -> [u8; 16] {
    let mut out = [0; 16];
    out[..BLOCK].copy_from_slice(&key.encipher_block(left));
    out[BLOCK..].copy_from_slice(&key.encipher_block(right));
    out
}
