//! Reading values that have no parts: text, digits, track 2, bytes.

use super::ffi::ascii_string;
use super::read::{hex_digit, Value};
use super::table::{Charset, Element, Encoding};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Longest digits or track 2 value that is unpacked on the stack; longer ones are rare.
pub const UNPACKED_MAX: usize = 128;

/// Both half-bytes of every byte as ASCII: digits, `=` for D, `?` for what no value may hold.
static UNPACKED: [[u8; 2]; 256] = unpacked();

const fn unpacked() -> [[u8; 2]; 256] {
    const DIGITS: &[u8; 16] = b"0123456789???=??";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0x0F]];
        byte += 1;
    }
    table
}

pub fn string<'py>(py: Python<'py>, ascii: &[u8]) -> Option<Value<'py>> {
    ascii_string(py, ascii)
}

pub fn in_charset(element: &Element, ascii: &[u8]) -> bool {
    match &element.charset {
        Charset::Printable => ascii.iter().all(|byte| (0x20..0x7F).contains(byte)),
        Charset::Signed => ascii
            .split_first()
            .is_some_and(|(sign, rest)| b"CD".contains(sign) && all_digits(rest)),
        Charset::Listed(listed) => ascii.iter().all(|byte| listed[usize::from(*byte)]),
    }
}

/// Whether all bytes are ASCII digits, without stopping early: short fields are quicker so.
pub fn all_digits(ascii: &[u8]) -> bool {
    ascii
        .iter()
        .fold(true, |so_far, byte| so_far & byte.is_ascii_digit())
}

pub fn text<'py>(py: Python<'py>, element: &Element, field: &[u8]) -> Option<Value<'py>> {
    if let Encoding::Page(page) = &element.encoding {
        let ascii: Vec<u8> = field
            .iter()
            .map(|b| page.to_ascii[usize::from(*b)])
            .collect();
        return in_charset(element, &ascii).then(|| string(py, &ascii))?;
    }
    in_charset(element, field).then(|| string(py, field))?
}

/// Unpack half-bytes into `out` as ASCII digits and `=` for D, without the padding.
pub fn unpack<'a>(
    element: &Element,
    field: &[u8],
    units: usize,
    out: &'a mut [u8; UNPACKED_MAX],
) -> Option<&'a [u8]> {
    let nibbles = field.len() * 2;
    if nibbles > UNPACKED_MAX {
        return None;
    }
    for (pair, byte) in out.chunks_exact_mut(2).zip(field) {
        pair.copy_from_slice(&UNPACKED[usize::from(*byte)]);
    }
    if nibbles == units {
        return out.get(..units);
    }
    let (pad, range) = if element.odd.left {
        (field.first()? >> 4, 1..nibbles)
    } else {
        (field.last()? & 0x0F, 0..nibbles - 1)
    };
    (pad == element.odd.nibble).then(|| out.get(range))?
}

pub fn digits<'py>(
    py: Python<'py>,
    element: &Element,
    field: &[u8],
    units: usize,
) -> Option<Value<'py>> {
    let mut space = [0; UNPACKED_MAX];
    let ascii = match &element.encoding {
        Encoding::Bcd => unpack(element, field, units, &mut space)?,
        Encoding::Page(page) => translated(page.to_ascii.as_ref(), field, &mut space)?,
        _ => field,
    };
    all_digits(ascii).then(|| string(py, ascii))?
}

fn translated<'a>(
    table: &[u8; 256],
    field: &[u8],
    out: &'a mut [u8; UNPACKED_MAX],
) -> Option<&'a [u8]> {
    let space = out.get_mut(..field.len())?;
    for (target, byte) in space.iter_mut().zip(field) {
        *target = table[usize::from(*byte)];
    }
    Some(space)
}

pub fn track2<'py>(
    py: Python<'py>,
    element: &Element,
    field: &[u8],
    units: usize,
) -> Option<Value<'py>> {
    let mut space = [0; UNPACKED_MAX];
    let ascii = match &element.encoding {
        Encoding::Bcd => unpack(element, field, units, &mut space)?,
        Encoding::Page(page) => translated(page.to_ascii.as_ref(), field, &mut space)?,
        _ => field,
    };
    is_track2(ascii).then(|| string(py, ascii))?
}

/// One to nineteen digits, one separator, digits.
pub fn is_track2(ascii: &[u8]) -> bool {
    let Some(split) = ascii.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let (number, rest) = (&ascii[..split], &ascii[split + 1..]);
    (1..=19).contains(&split) && all_digits(number) && all_digits(rest)
}

pub fn bytes<'py>(py: Python<'py>, element: &Element, field: &[u8]) -> Option<Value<'py>> {
    if !matches!(element.encoding, Encoding::Hex(_)) {
        return Some(PyBytes::new(py, field).into_any());
    }
    let mut out = Vec::with_capacity(field.len() / 2);
    for pair in field.chunks_exact(2) {
        let high = hex_digit(&element.encoding, pair[0])?;
        out.push(high << 4 | hex_digit(&element.encoding, pair[1])?);
    }
    Some(PyBytes::new(py, &out).into_any())
}
