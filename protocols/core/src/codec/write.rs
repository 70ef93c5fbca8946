//! Writing: a dict of values to bytes, or None when anything is odd.

use super::ffi::{ascii_of, Items, Lent, SmallNumbers, ITEMS_MAX};
use super::packed;
use super::read_simple::{all_digits, in_charset, is_track2};
use super::table::{Counts, Element, Encoding, Kind, Prefix, Table};
use super::write_parts::{write_bitmapped, write_groups, write_packed_group, write_tagged};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

pub type Value<'py> = Bound<'py, PyAny>;

/// Longest length prefix. The linter of specs allows no longer one.
const PREFIX_BYTES_MAX: usize = 4;

/// Room for a common message without growing.
const USUAL_BYTES: usize = 512;

/// Makes the MAC over the bytes before it.
pub type Sign<'a> = &'a dyn Fn(&[u8]) -> Option<[u8; MAC_BYTES]>;

/// The elements that may hold a MAC, and its bytes.
const MAC_PRIMARY: usize = 64;
const MAC_SECONDARY: usize = 128;
const MAC_BYTES: usize = 8;

/// Give the bytes of a message; with `sign`, its MAC as the last element in place of any it holds.
pub fn message(
    table: &Table,
    numbers: &SmallNumbers,
    mti: &Bound<'_, PyString>,
    elements: &Bound<'_, PyDict>,
    sign: Option<Sign<'_>>,
) -> Option<Vec<u8>> {
    let mut found = Items::of(elements, numbers)?;
    items_message(table, ascii_of(mti)?, found.as_mut_slice(), sign)
}

/// Give the bytes of an answer: the echoed elements of a request, then the changes.
///
/// `echoed` has bit n for element n. A change of None takes an echoed element away.
pub fn answer(
    table: &Table,
    numbers: &SmallNumbers,
    mti: &[u8],
    echo: (&Bound<'_, PyDict>, u128),
    changes: &Bound<'_, PyDict>,
    sign: Option<Sign<'_>>,
) -> Option<Vec<u8>> {
    let (request, echoed) = echo;
    let mut over = Items::of(changes, numbers)?;
    let mut found = Items::of(request, numbers)?;
    let mut taken = [0_u64; 4];
    let mut items = Vec::with_capacity(ITEMS_MAX);
    for (number, value) in over.as_mut_slice() {
        *taken.get_mut(*number / 64)? |= 1 << (*number % 64);
        if !value.is_none() {
            items.push((*number, *value));
        }
    }
    for (number, value) in found.as_mut_slice() {
        let is_echoed = *number < 128 && echoed >> *number & 1 == 1;
        if is_echoed && taken[*number / 64] >> (*number % 64) & 1 == 0 {
            items.push((*number, *value));
        }
    }
    items_message(table, mti, &mut items, sign)
}

fn items_message(
    table: &Table,
    mti: &[u8],
    items: &mut [(usize, Lent<'_, '_>)],
    sign: Option<Sign<'_>>,
) -> Option<Vec<u8>> {
    if !items.is_sorted_by_key(|item| item.0) {
        items.sort_unstable_by_key(|item| item.0);
    }
    let is_kept =
        |number: usize| sign.is_none() || (number != MAC_PRIMARY && number != MAC_SECONDARY);
    let mut words = [0_u64; 3];
    let mut set = |number: usize| words[(number - 1) / 64] |= 1 << (63 - (number - 1) % 64);
    let mut highest = 0;
    for (number, _) in items.iter().filter(|item| is_kept(item.0)) {
        set(*number);
        highest = *number;
    }
    let signature = match sign {
        Some(sign) => {
            let number = if table.always_128 || highest > MAC_PRIMARY {
                MAC_SECONDARY
            } else {
                MAC_PRIMARY
            };
            let element = table.elements[number].as_ref()?;
            if highest > number || !element.is_mac() {
                return None;
            }
            set(number);
            Some((element, sign))
        }
        None => None,
    };
    if table.tertiary && words[1] >> 63 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(USUAL_BYTES);
    write_mti(table, mti, &mut out)?;
    write_bitmap(table, &mut words, &mut out);
    for (number, value) in items.iter().filter(|item| is_kept(item.0)) {
        let element = table.elements[*number].as_ref()?;
        write_element(element, *value, table, &mut out)?;
    }
    if let Some((element, sign)) = signature {
        let mac = sign(&out)?;
        write_simple(element, &mac, &mut out)?;
    }
    (out.len() <= table.bytes_max).then_some(out)
}

fn write_mti(table: &Table, digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if digits.len() != 4 || !all_digits(digits) {
        return None;
    }
    if matches!(table.mti, Encoding::Bcd) {
        packed::pack(digits, out);
    } else {
        out.extend(digits.iter().map(|digit| from_ascii(&table.mti, *digit)));
    }
    Some(())
}

fn write_bitmap(table: &Table, words: &mut [u64; 3], out: &mut Vec<u8>) {
    let used = if words[2] != 0 {
        3
    } else if words[1] != 0 || table.always_128 {
        2
    } else {
        1
    };
    if used > 1 {
        words[0] |= 1 << 63;
    }
    if used > 2 {
        words[1] |= 1 << 63;
    }
    for word in words.iter().take(used) {
        if matches!(table.bitmap, Encoding::Binary) {
            out.extend_from_slice(&word.to_be_bytes());
        } else {
            write_hex(&table.bitmap, &word.to_be_bytes(), out);
        }
    }
}

pub fn from_ascii(encoding: &Encoding, character: u8) -> u8 {
    match encoding {
        Encoding::Page(page) | Encoding::Hex(Some(page)) => {
            page.from_ascii[usize::from(character & 0x7F)]
        }
        _ => character,
    }
}

pub fn write_hex(encoding: &Encoding, bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        out.push(from_ascii(encoding, DIGITS[usize::from(byte >> 4)]));
        out.push(from_ascii(encoding, DIGITS[usize::from(byte & 0x0F)]));
    }
}

/// Pack digits; None when a character is none.
#[inline]
fn pack_digits(element: &Element, digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (first, last) = if digits.len().is_multiple_of(2) {
        (None, None)
    } else if element.odd.left {
        (digits.first().copied(), None)
    } else {
        (None, digits.last().copied())
    };
    let from = usize::from(first.is_some());
    let whole = digits.get(from..digits.len() - usize::from(last.is_some()))?;
    let mut fits = true;
    if let Some(digit) = first {
        fits = digit.is_ascii_digit();
        out.push(element.odd.nibble << 4 | digit & 0x0F);
    }
    fits &= packed::pack(whole, out);
    if let Some(digit) = last {
        fits &= digit.is_ascii_digit();
        out.push((digit & 0x0F) << 4 | element.odd.nibble);
    }
    fits.then_some(())
}

/// Pack track 2; its separator becomes D.
fn pack_track2(element: &Element, text: &[u8], out: &mut Vec<u8>) {
    let nibble = |byte: &u8| {
        if *byte == b'=' {
            0x0D
        } else {
            byte & 0x0F
        }
    };
    let is_odd = !text.len().is_multiple_of(2);
    let before = (is_odd && element.odd.left).then_some(element.odd.nibble);
    let after = (is_odd && !element.odd.left).then_some(element.odd.nibble);
    let mut nibbles = before
        .into_iter()
        .chain(text.iter().map(nibble))
        .chain(after);
    while let (Some(high), Some(low)) = (nibbles.next(), nibbles.next()) {
        out.push(high << 4 | low);
    }
}

/// Write the number of a length prefix.
pub fn write_count(prefix: &Prefix, count: usize, out: &mut Vec<u8>) -> Option<()> {
    let number = if prefix.includes_self {
        count + prefix.size
    } else {
        count
    };
    if number >= prefix.limit {
        return None;
    }
    let mut field = [0_u8; PREFIX_BYTES_MAX];
    let field = field.get_mut(..prefix.size)?;
    let mut left = number;
    for slot in field.iter_mut().rev() {
        match prefix.encoding {
            Encoding::Binary => {
                *slot = u8::try_from(left & 0xFF).ok()?;
                left >>= 8;
            }
            Encoding::Bcd => {
                *slot = u8::try_from(((left / 10 % 10) << 4) | (left % 10)).ok()?;
                left /= 100;
            }
            _ => {
                let digit = b'0' + u8::try_from(left % 10).ok()?;
                *slot = from_ascii(&prefix.encoding, digit);
                left /= 10;
            }
        }
    }
    out.extend_from_slice(field);
    Some(())
}

fn count_of_units(element: &Element, counts: Counts, units: usize) -> usize {
    match counts {
        Counts::Digits if matches!(element.kind, Kind::Bytes) => units * 2,
        Counts::Digits => units,
        Counts::Nibbles if matches!(element.encoding, Encoding::Bcd) => units,
        Counts::Nibbles => element.wire_size(units) * 2,
        Counts::Bytes => element.wire_size(units),
    }
}

pub fn write_element(
    element: &Element,
    value: Lent<'_, '_>,
    table: &Table,
    out: &mut Vec<u8>,
) -> Option<()> {
    if element.is_composite() {
        let Some(prefix) = &element.prefix else {
            return write_composite(element, &value, table, out).map(|_| ());
        };
        let mut inner = Vec::with_capacity(USUAL_BYTES);
        let units = write_composite(element, &value, table, &mut inner)?;
        write_count(prefix, count_of_units(element, prefix.counts, units), out)?;
        out.extend_from_slice(&inner);
        return Some(());
    }
    with_simple(element, &value, |simple| {
        if let Some(prefix) = &element.prefix {
            let count = count_of_units(element, prefix.counts, simple.len());
            write_count(prefix, count, out)?;
        }
        write_simple(element, simple, out)
    })
}

/// Do something with the bytes or characters of a simple value of an allowed length.
pub fn with_simple<T>(
    element: &Element,
    value: &Value<'_>,
    then: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<T> {
    let simple = if matches!(element.kind, Kind::Bytes) {
        value.cast::<PyBytes>().ok()?.as_bytes()
    } else {
        ascii_of(value.cast::<PyString>().ok()?)?
    };
    if simple.len() < element.min || simple.len() > element.max {
        return None;
    }
    then(simple)
}

pub fn write_simple(element: &Element, simple: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if !matches!(element.kind, Kind::Bytes) {
        return write_text(element, simple, out);
    }
    match element.encoding {
        Encoding::Hex(_) => write_hex(&element.encoding, simple, out),
        _ => out.extend_from_slice(simple),
    }
    Some(())
}

/// Write a composite's content; give its units.
pub fn write_composite(
    element: &Element,
    value: &Value<'_>,
    table: &Table,
    out: &mut Vec<u8>,
) -> Option<usize> {
    let start = out.len();
    match &element.kind {
        Kind::Group { packed: true, .. } => write_packed_group(element, value, out)?,
        Kind::Group { repeats, .. } => write_groups(element, value, *repeats, table, out)?,
        Kind::Tagged(form) => write_tagged(element, form, value, table, out)?,
        Kind::Bitmapped(size) => write_bitmapped(element, *size, value, table, out)?,
        _ => return None,
    }
    let size = out.len() - start;
    let units = if matches!(element.encoding, Encoding::Bcd) {
        size * 2
    } else {
        size
    };
    if let Encoding::Hex(_) = element.encoding {
        let content = out.split_off(start);
        write_hex(&element.encoding, &content, out);
    }
    (element.min..=element.max)
        .contains(&units)
        .then_some(units)
}

fn write_text(element: &Element, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let is_packed = matches!(element.encoding, Encoding::Bcd);
    match element.kind {
        Kind::Digits if is_packed => return pack_digits(element, text, out),
        Kind::Track2 if is_packed => {
            is_track2(text).then(|| pack_track2(element, text, out))?;
            return Some(());
        }
        Kind::Digits if all_digits(text) => {}
        Kind::Track2 if is_track2(text) => {}
        Kind::Text if in_charset(element, text) => {}
        _ => return None,
    }
    match &element.encoding {
        Encoding::Page(_) => {
            out.extend(text.iter().map(|c| from_ascii(&element.encoding, *c)));
        }
        _ => out.extend_from_slice(text),
    }
    Some(())
}
