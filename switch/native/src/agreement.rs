//! DE55 against the message: the twin of `switch.pipeline.chip_agreement`.

use crate::request::{self, Chip, Request};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytesMethods, PyStringMethods};

/// Kinds of cryptogram in 9F27 and the bits that tell them. Source: EMV 4.4 Book 3, table 15.
const KIND: u8 = 0xC0;
const ARQC: u8 = 0x80;

/// Tell whether DE55 says the same as the rest of the message and the registry's card.
///
/// None for what is not plainly right, which is no agreement either.
pub fn agrees(
    py: Python<'_>,
    request: &Request<'_>,
    chip: &Chip<'_>,
    currency: &str,
    card_sequence: &str,
    pan: &[u8],
) -> Option<bool> {
    let amount = request.number(request::AMOUNT)?;
    let kind = request.text(request::PROCESSING_CODE)?;
    let is_same = is_hex_of(
        chip.tag(intern!(py, "9F02"))?.as_bytes(),
        format!("{amount:012}").as_bytes(),
    ) && chip
        .tag(intern!(py, "9F03"))?
        .as_bytes()
        .iter()
        .all(|byte| *byte == 0)
        && is_hex_of(
            chip.tag(intern!(py, "5F2A"))?.as_bytes(),
            format!("{currency:0>4}").as_bytes(),
        )
        && is_hex_of(
            chip.tag(intern!(py, "9C"))?.as_bytes(),
            kind.to_str().ok()?.as_bytes().get(..2)?,
        )
        && chip.tag(intern!(py, "9F36"))?.as_bytes().len() == 2
        && chip.tag(intern!(py, "9F26"))?.as_bytes().len() == 8
        && matches!(chip.tag(intern!(py, "9F27"))?.as_bytes(), [one] if one & KIND == ARQC);
    Some(is_same && same_sequence(py, request, chip, card_sequence)? && same_card(py, chip, pan)?)
}

fn same_sequence(
    py: Python<'_>,
    request: &Request<'_>,
    chip: &Chip<'_>,
    card_sequence: &str,
) -> Option<bool> {
    let sequence = digits(card_sequence)?;
    if digits(request.text(request::PAN_SEQUENCE)?.to_str().ok()?)? != sequence
        && !request
            .text(request::PAN_SEQUENCE)?
            .to_str()
            .ok()?
            .is_empty()
    {
        return Some(false);
    }
    Some(match chip.tag(intern!(py, "5F34")) {
        None => !chip.tags.contains(intern!(py, "5F34")).ok()?,
        Some(signed) => {
            digits(&hex_text(signed.as_bytes()))? == sequence && !signed.as_bytes().is_empty()
        }
    })
}

fn same_card(py: Python<'_>, chip: &Chip<'_>, pan: &[u8]) -> Option<bool> {
    if let Some(number) = chip.tag(intern!(py, "5A")) {
        if hex_text(number.as_bytes()).trim_end_matches('F').as_bytes() != pan {
            return Some(false);
        }
    }
    let Some(track) = chip.tag(intern!(py, "57")) else {
        return Some(true);
    };
    let text = hex_text(track.as_bytes());
    Some(text.split('D').next()?.as_bytes() == pan)
}

/// Give a short number of plain digits, 0 for no digits; None for anything else.
fn digits(text: &str) -> Option<u32> {
    if text.is_empty() {
        return Some(0);
    }
    let is_plain = text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

fn hex_text(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0F])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Tell whether the hex text of some bytes is this text of decimal digits.
fn is_hex_of(bytes: &[u8], digits: &[u8]) -> bool {
    bytes.len() * 2 == digits.len()
        && bytes
            .iter()
            .zip(digits.chunks_exact(2))
            .all(|(byte, pair)| {
                byte >> 4 == pair[0].wrapping_sub(b'0') && byte & 0x0F == pair[1].wrapping_sub(b'0')
            })
}
