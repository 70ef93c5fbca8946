//! Writing: a dict of values to bytes, or None when anything is odd.

use super::ffi::{ascii_of, Items, Lent, SmallNumbers};
use super::out::Out;
use super::packed;
use super::read_simple::{all_digits, in_charset, is_track2};
use super::table::{Counts, Element, Encoding, Kind, Prefix, Table};
use super::write_parts::{write_bitmapped, write_groups, write_packed_group, write_tagged};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

pub type Value<'py> = Bound<'py, PyAny>;

/// Room on the stack: nearly every message fits. A longer one is written again in a room of the
/// longest message.
const USUAL_BYTES: usize = 768;

/// Makes the MAC over the bytes before it.
pub type Sign<'a> = &'a dyn Fn(&[u8]) -> Option<[u8; MAC_BYTES]>;

/// The elements that may hold a MAC, and its bytes.
const MAC_PRIMARY: usize = 64;
const MAC_SECONDARY: usize = 128;
const MAC_BYTES: usize = 8;

/// Give the bytes of a message; with `sign`, its MAC as the last element in place of any it holds.
pub fn message<'py>(
    table: &Table,
    numbers: &SmallNumbers,
    mti: &Bound<'py, PyString>,
    elements: &Bound<'py, PyDict>,
    sign: Option<Sign<'_>>,
) -> Option<Bound<'py, PyBytes>> {
    let mut items = Items::of(elements, numbers)?;
    items_message(mti.py(), table, ascii_of(mti)?, &mut items, sign)
}

/// Give the bytes of an answer: the echoed elements of a request, then the changes.
///
/// `echoed` has bit n for element n. A change of None takes an echoed element away.
pub fn answer<'py>(
    table: &Table,
    numbers: &SmallNumbers,
    mti: &[u8],
    echo: (&Bound<'py, PyDict>, u128),
    changes: &Bound<'py, PyDict>,
    sign: Option<Sign<'_>>,
) -> Option<Bound<'py, PyBytes>> {
    let (request, echoed) = echo;
    let over = Items::of(changes, numbers)?;
    let found = Items::of(request, numbers)?;
    let mut items = Items::none();
    for (number, value) in over.as_slice() {
        if !value.is_none() {
            items.push(*number, *value)?;
        }
    }
    for (number, value) in found.as_slice() {
        let is_echoed = *number < 128 && echoed >> *number & 1 == 1;
        if is_echoed && !over.has(*number) {
            items.push(*number, *value)?;
        }
    }
    items_message(request.py(), table, mti, &mut items, sign)
}

fn items_message<'py>(
    py: Python<'py>,
    table: &Table,
    mti: &[u8],
    items: &mut Items<'_, '_>,
    sign: Option<Sign<'_>>,
) -> Option<Bound<'py, PyBytes>> {
    items.sort();
    let mut room = [0; USUAL_BYTES];
    let mut out = Out::new(&mut room);
    if write_items(table, mti, items, sign, &mut out).is_some() {
        return (out.len() <= table.bytes_max).then(|| PyBytes::new(py, out.written()));
    }
    if !out.is_full() || USUAL_BYTES >= table.bytes_max {
        return None;
    }
    let mut room = vec![0; table.bytes_max];
    let mut out = Out::new(&mut room);
    write_items(table, mti, items, sign, &mut out)?;
    Some(PyBytes::new(py, out.written()))
}

/// Write MTI, bitmaps and elements, which stand in order, and the MAC that `sign` gives.
fn write_items(
    table: &Table,
    mti: &[u8],
    items: &Items<'_, '_>,
    sign: Option<Sign<'_>>,
    out: &mut Out<'_>,
) -> Option<()> {
    let mut words = items.words();
    let signature = match sign {
        Some(sign) => {
            for number in [MAC_PRIMARY, MAC_SECONDARY] {
                words[number / 64 - 1] &= !1;
            }
            let (number, element) = mac_element(table, &words)?;
            words[number / 64 - 1] |= 1;
            Some((element, sign))
        }
        None => None,
    };
    if table.tertiary && words[1] >> 63 == 1 {
        return None;
    }
    write_mti(table, mti, out)?;
    write_bitmap(table, &mut words, out)?;
    for (number, value) in items.as_slice() {
        if signature.is_some() && matches!(*number, MAC_PRIMARY | MAC_SECONDARY) {
            continue;
        }
        let element = table.elements[*number].as_ref()?;
        write_element(element, *value, table, out)?;
    }
    if let Some((element, sign)) = signature {
        let mac = sign(out.written())?;
        write_simple(element, &mac, out)?;
    }
    Some(())
}

/// Give the element that holds the MAC behind these elements; None when it would not be the last.
fn mac_element<'t>(table: &'t Table, words: &[u64; 3]) -> Option<(usize, &'t Element)> {
    if words[2] != 0 {
        return None;
    }
    let number = if table.always_128 || words[1] != 0 {
        MAC_SECONDARY
    } else {
        MAC_PRIMARY
    };
    let element = table.elements[number].as_ref()?;
    element.is_mac().then_some((number, element))
}

fn write_mti(table: &Table, digits: &[u8], out: &mut Out<'_>) -> Option<()> {
    if digits.len() != 4 || !all_digits(digits) {
        return None;
    }
    if matches!(table.mti, Encoding::Bcd) {
        return packed::pack(digits, out.space(2)?).then_some(());
    }
    for (slot, digit) in out.space(4)?.iter_mut().zip(digits) {
        *slot = from_ascii(&table.mti, *digit);
    }
    Some(())
}

fn write_bitmap(table: &Table, words: &mut [u64; 3], out: &mut Out<'_>) -> Option<()> {
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
            out.put(&word.to_be_bytes())?;
        } else {
            write_hex(&table.bitmap, &word.to_be_bytes(), out)?;
        }
    }
    Some(())
}

pub fn from_ascii(encoding: &Encoding, character: u8) -> u8 {
    match encoding {
        Encoding::Page(page) | Encoding::Hex(Some(page)) => {
            page.from_ascii[usize::from(character & 0x7F)]
        }
        _ => character,
    }
}

pub fn write_hex(encoding: &Encoding, bytes: &[u8], out: &mut Out<'_>) -> Option<()> {
    let pairs = out.space(bytes.len() * 2)?.as_chunks_mut::<2>().0;
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = hex_pair(encoding, *byte);
    }
    Some(())
}

/// The two hex digits of a byte.
pub fn hex_pair(encoding: &Encoding, byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [byte >> 4, byte & 0x0F].map(|half| from_ascii(encoding, DIGITS[usize::from(half)]))
}

/// Pack digits; None when a character is none.
#[inline]
fn pack_digits(element: &Element, digits: &[u8], out: &mut Out<'_>) -> Option<()> {
    let field = out.space(digits.len().div_ceil(2))?;
    if digits.len().is_multiple_of(2) {
        return packed::pack(digits, field).then_some(());
    }
    let (digit, fits) = if element.odd.left {
        let (first, rest) = digits.split_first()?;
        let (slot, field) = field.split_first_mut()?;
        *slot = element.odd.nibble << 4 | first & 0x0F;
        (first, packed::pack(rest, field))
    } else {
        let (last, rest) = digits.split_last()?;
        let (slot, field) = field.split_last_mut()?;
        *slot = (last & 0x0F) << 4 | element.odd.nibble;
        (last, packed::pack(rest, field))
    };
    (fits && digit.is_ascii_digit()).then_some(())
}

/// Pack track 2; its separator becomes D.
fn pack_track2(element: &Element, text: &[u8], out: &mut Out<'_>) -> Option<()> {
    let nibble = |byte: u8| {
        if byte == b'=' {
            0x0D
        } else {
            byte & 0x0F
        }
    };
    let pad = element.odd.nibble;
    let field = out.space(text.len().div_ceil(2))?;
    let (whole, rest) = if text.len().is_multiple_of(2) {
        (text, field)
    } else if element.odd.left {
        let (first, whole) = text.split_first()?;
        let (slot, rest) = field.split_first_mut()?;
        *slot = pad << 4 | nibble(*first);
        (whole, rest)
    } else {
        let (last, whole) = text.split_last()?;
        let (slot, rest) = field.split_last_mut()?;
        *slot = nibble(*last) << 4 | pad;
        (whole, rest)
    };
    for (slot, [high, low]) in rest.iter_mut().zip(whole.as_chunks::<2>().0) {
        *slot = nibble(*high) << 4 | nibble(*low);
    }
    Some(())
}

/// Write the number of a length prefix.
pub fn write_count(prefix: &Prefix, count: usize, field: &mut [u8]) -> Option<()> {
    let number = if prefix.includes_self {
        count + prefix.size
    } else {
        count
    };
    if number >= prefix.limit {
        return None;
    }
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
    out: &mut Out<'_>,
) -> Option<()> {
    if element.is_composite() {
        let Some(prefix) = &element.prefix else {
            return write_composite(element, &value, table, out).map(|_| ());
        };
        let start = out.len();
        out.space(prefix.size)?;
        let units = write_composite(element, &value, table, out)?;
        let count = count_of_units(element, prefix.counts, units);
        return write_count(prefix, count, out.part(start, prefix.size)?);
    }
    with_simple(element, &value, |simple| {
        if let Some(prefix) = &element.prefix {
            let count = count_of_units(element, prefix.counts, simple.len());
            write_count(prefix, count, out.space(prefix.size)?)?;
        }
        write_simple(element, simple, out)
    })
}

/// Do something with the bytes or characters of a simple value of an allowed length.
#[inline]
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

#[inline]
pub fn write_simple(element: &Element, simple: &[u8], out: &mut Out<'_>) -> Option<()> {
    match (&element.kind, &element.encoding) {
        (Kind::Digits, Encoding::Bcd) => pack_digits(element, simple, out),
        (Kind::Bytes, Encoding::Hex(_)) => write_hex(&element.encoding, simple, out),
        (Kind::Bytes, _) => out.put(simple),
        _ => write_text(element, simple, out),
    }
}

/// Write a composite's content; give its units.
pub fn write_composite(
    element: &Element,
    value: &Value<'_>,
    table: &Table,
    out: &mut Out<'_>,
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
        write_hex(&element.encoding, &content, out)?;
    }
    (element.min..=element.max)
        .contains(&units)
        .then_some(units)
}

fn write_text(element: &Element, text: &[u8], out: &mut Out<'_>) -> Option<()> {
    let fits = match element.kind {
        Kind::Digits => all_digits(text),
        Kind::Track2 => is_track2(text),
        Kind::Text => in_charset(element, text),
        _ => false,
    };
    if !fits {
        return None;
    }
    match &element.encoding {
        Encoding::Bcd => pack_track2(element, text, out),
        Encoding::Page(page) => {
            for (slot, character) in out.space(text.len())?.iter_mut().zip(text) {
                *slot = page.from_ascii[usize::from(character & 0x7F)];
            }
            Some(())
        }
        _ => out.put(text),
    }
}
