//! An online PIN checked in one step: deciphered, its form proved, held against the offset.

use super::card::{clear_pin_0, validation_block};
use super::same::same;
use super::{one_block, unchecked, TdesContext};
use pyo3::prelude::*;

/// What the check finds; `protocols.crypto.online_pin` gives the names.
const WRONG: u8 = 0;
const RIGHT: u8 = 1;
const MALFORMED: u8 = 2;

/// Tell whether a format 0 block holds the PIN that key, card number and IBM 3624 offset give.
#[pyfunction]
pub fn check_pin_0(
    cipher: &TdesContext,
    block: &[u8],
    pan_part: &str,
    pvk: &TdesContext,
    offset: &str,
    decimals: &str,
) -> PyResult<u8> {
    let clear = cipher.key.decipher_block(one_block(block)?);
    let Some((pin, length)) = clear_pin_0(clear, pan_part.as_bytes()).ok_or_else(unchecked)? else {
        return Ok(MALFORMED);
    };
    let natural = pvk
        .key
        .encipher_block(validation_block(pan_part.as_bytes()).ok_or_else(unchecked)?);
    let (offset, decimals) = (offset.as_bytes(), decimals.as_bytes());
    if decimals.len() != 16 || offset.len() > pin.len() {
        return Err(unchecked());
    }
    let mut expected = [0; 12];
    for (index, digit) in offset.iter().enumerate() {
        let nibble = natural[index / 2] >> (4 - 4 * (index % 2)) & 0x0F;
        let own = decimals[usize::from(nibble)];
        expected[index] = (own - b'0' + digit - b'0') % 10;
    }
    let right = length == offset.len() && same(&pin[..length], &expected[..length]);
    Ok(if right { RIGHT } else { WRONG })
}
