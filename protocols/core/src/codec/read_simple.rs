//! Reading values that have no parts: text, digits, track 2, bytes.

use super::ffi::{ascii_filled, ascii_string};
use super::packed;
use super::read::{hex_digit, Value};
use super::short::{shared, shared_number, SHORT_MAX};
use super::table::{Charset, Element, Encoding};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::mem::MaybeUninit;

/// Longest packed group that is unpacked on the stack; longer ones are rare.
pub const UNPACKED_MAX: usize = 128;

/// The half-bytes of track 2 as characters: digits, `=` for D, `?` for what it may not hold.
const TRACK_2: &[u8; 16] = b"0123456789???=??";

pub fn string<'py>(py: Python<'py>, ascii: &[u8]) -> Option<Value<'py>> {
    ascii_string(py, ascii)
}

pub fn in_charset(element: &Element, ascii: &[u8]) -> bool {
    match &element.charset {
        Charset::Printable => ascii
            .iter()
            .fold(true, |so_far, byte| so_far & (0x20..0x7F).contains(byte)),
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

/// Split a padding half-byte off: give what is left of it, and the whole bytes.
///
/// `first` and `last` are the value half-bytes beside the padding. None for another padding.
struct Unpadded<'a> {
    first: Option<u8>,
    whole: &'a [u8],
    last: Option<u8>,
}

impl<'a> Unpadded<'a> {
    #[inline]
    fn of(element: &Element, field: &'a [u8], units: usize) -> Option<Self> {
        if field.len() * 2 == units {
            return Some(Self {
                first: None,
                whole: field,
                last: None,
            });
        }
        let (pad, kept, whole) = if element.odd.left {
            let (byte, rest) = field.split_first()?;
            (byte >> 4, byte & 0x0F, rest)
        } else {
            let (byte, rest) = field.split_last()?;
            (byte & 0x0F, byte >> 4, rest)
        };
        (pad == element.odd.nibble).then_some(Self {
            first: element.odd.left.then_some(kept),
            whole,
            last: (!element.odd.left).then_some(kept),
        })
    }

    /// Write the digits; false when one is none.
    #[inline]
    fn write_digits(&self, out: &mut [MaybeUninit<u8>]) -> bool {
        let mut fits = true;
        let size = out.len();
        if let (Some(first), Some(slot)) = (self.first, out.first_mut()) {
            slot.write(first | b'0');
            fits &= first <= 9;
        }
        if let (Some(last), Some(slot)) = (self.last, out.last_mut()) {
            slot.write(last | b'0');
            fits &= last <= 9;
        }
        let from = usize::from(self.first.is_some());
        let Some(middle) = out.get_mut(from..size - usize::from(self.last.is_some())) else {
            return false;
        };
        packed::unpack(self.whole, middle) & fits
    }
}

/// Unpack a group's half-bytes into `out` as ASCII digits; None when one is no digit.
pub fn unpacked<'a>(field: &[u8], out: &'a mut [u8; UNPACKED_MAX]) -> Option<&'a [u8]> {
    let room = out.get_mut(..field.len() * 2)?;
    for (pair, byte) in room.chunks_exact_mut(2).zip(field) {
        pair.copy_from_slice(&[(byte >> 4) | b'0', (byte & 0x0F) | b'0']);
    }
    all_digits(room).then_some(&*room)
}

pub fn digits<'py>(
    py: Python<'py>,
    element: &Element,
    field: &[u8],
    units: usize,
) -> Option<Value<'py>> {
    match &element.encoding {
        Encoding::Bcd if (1..=SHORT_MAX).contains(&units) => {
            let odd = element.odd;
            let number = packed::short_number(field, units, odd.left, odd.nibble)?;
            shared_number(py, number, units)
        }
        Encoding::Bcd => {
            let value = Unpadded::of(element, field, units)?;
            ascii_filled(py, units, |room| value.write_digits(room))
        }
        Encoding::Page(page) => ascii_filled(py, field.len(), |room| {
            let mut fits = true;
            for (slot, byte) in room.iter_mut().zip(field) {
                let ascii = page.to_ascii[usize::from(*byte)];
                fits &= ascii.is_ascii_digit();
                slot.write(ascii);
            }
            fits
        }),
        _ if !all_digits(field) => None,
        _ if (1..=SHORT_MAX).contains(&units) => shared(py, field),
        _ => string(py, field),
    }
}

pub fn track2<'py>(
    py: Python<'py>,
    element: &Element,
    field: &[u8],
    units: usize,
) -> Option<Value<'py>> {
    let mut space = [0; UNPACKED_MAX];
    let ascii = match &element.encoding {
        Encoding::Bcd => packed_track2(element, field, units, &mut space)?,
        Encoding::Page(page) => translated(page.to_ascii.as_ref(), field, &mut space)?,
        _ => field,
    };
    is_track2(ascii).then(|| string(py, ascii))?
}

fn packed_track2<'a>(
    element: &Element,
    field: &[u8],
    units: usize,
    out: &'a mut [u8; UNPACKED_MAX],
) -> Option<&'a [u8]> {
    let nibbles = field.len() * 2;
    let room = out.get_mut(..nibbles)?;
    for (pair, byte) in room.chunks_exact_mut(2).zip(field) {
        pair[0] = TRACK_2[usize::from(byte >> 4)];
        pair[1] = TRACK_2[usize::from(byte & 0x0F)];
    }
    if nibbles == units {
        return Some(room);
    }
    let (pad, range) = if element.odd.left {
        (field.first()? >> 4, 1..nibbles)
    } else {
        (field.last()? & 0x0F, 0..nibbles - 1)
    };
    (pad == element.odd.nibble).then(|| room.get(range))?
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
    let out = unhexed(&element.encoding, field)?;
    Some(PyBytes::new(py, &out).into_any())
}

/// The bytes that hex digits of this encoding stand for.
pub fn unhexed(encoding: &Encoding, field: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(field.len() / 2);
    for pair in field.chunks_exact(2) {
        let high = hex_digit(encoding, pair[0])?;
        out.push(high << 4 | hex_digit(encoding, pair[1])?);
    }
    Some(out)
}
