//! Writing: a dict of values to bytes, or None when anything is odd.

use super::ffi::numbered;
use super::read::{all_digits, in_charset, is_track2};
use super::table::{hex_value, Counts, Element, Encoding, Form, Kind, Prefix, Table, NUMBER_MAX};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

type Value<'py> = Bound<'py, PyAny>;

/// Room for a common message without growing.
const USUAL_BYTES: usize = 512;

/// Give the bytes of a message.
pub fn message(
    table: &Table,
    mti: &Bound<'_, PyString>,
    elements: &Bound<'_, PyDict>,
) -> Option<Vec<u8>> {
    let mut items = numbered(elements, NUMBER_MAX)?;
    if !items.is_sorted_by_key(|item| item.0) {
        items.sort_unstable_by_key(|item| item.0);
    }
    let mut words = [0_u64; 3];
    for (number, _) in &items {
        words[(number - 1) / 64] |= 1 << (63 - (number - 1) % 64);
    }
    if table.tertiary && words[1] >> 63 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(USUAL_BYTES);
    write_mti(table, mti.to_str().ok()?, &mut out)?;
    write_bitmap(table, &mut words, &mut out);
    for (number, value) in &items {
        let element = table.elements[*number].as_ref()?;
        write_element(element, value, table, &mut out)?;
    }
    (out.len() <= table.bytes_max).then_some(out)
}

fn write_mti(table: &Table, mti: &str, out: &mut Vec<u8>) -> Option<()> {
    let digits = mti.as_bytes();
    if digits.len() != 4 || !all_digits(digits) {
        return None;
    }
    if matches!(table.mti, Encoding::Bcd) {
        pack(digits, out);
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

fn from_ascii(encoding: &Encoding, character: u8) -> u8 {
    match encoding {
        Encoding::Page(page) | Encoding::Hex(Some(page)) => {
            page.from_ascii[usize::from(character & 0x7F)]
        }
        _ => character,
    }
}

fn write_hex(encoding: &Encoding, bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        out.push(from_ascii(encoding, DIGITS[usize::from(byte >> 4)]));
        out.push(from_ascii(encoding, DIGITS[usize::from(byte & 0x0F)]));
    }
}

/// Pack an even count of digits; `=` is D.
fn pack(digits: &[u8], out: &mut Vec<u8>) {
    out.extend(
        digits
            .chunks_exact(2)
            .map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])),
    );
}

fn nibble(digit: u8) -> u8 {
    if digit == b'=' {
        0x0D
    } else {
        digit & 0x0F
    }
}

fn pack_padded(element: &Element, digits: &[u8], out: &mut Vec<u8>) {
    if digits.len().is_multiple_of(2) {
        pack(digits, out);
    } else if element.odd.left {
        out.push(element.odd.nibble << 4 | nibble(digits[0]));
        pack(&digits[1..], out);
    } else {
        let (last, rest) = digits.split_last().unwrap_or((&0, &[]));
        pack(rest, out);
        out.push(nibble(*last) << 4 | element.odd.nibble);
    }
}

/// Write the number of a length prefix.
fn write_count(prefix: &Prefix, count: usize, out: &mut Vec<u8>) -> Option<()> {
    let number = if prefix.includes_self {
        count + prefix.size
    } else {
        count
    };
    if number >= prefix.limit {
        return None;
    }
    let mut left = number;
    let start = out.len();
    out.resize(start + prefix.size, 0);
    for slot in out[start..].iter_mut().rev() {
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

fn write_element(
    element: &Element,
    value: &Value<'_>,
    table: &Table,
    out: &mut Vec<u8>,
) -> Option<()> {
    if element.is_composite() {
        let Some(prefix) = &element.prefix else {
            return write_composite(element, value, table, out).map(|_| ());
        };
        let mut inner = Vec::with_capacity(USUAL_BYTES);
        let units = write_composite(element, value, table, &mut inner)?;
        write_count(prefix, count_of_units(element, prefix.counts, units), out)?;
        out.extend_from_slice(&inner);
        return Some(());
    }
    with_simple(element, value, |simple| {
        if let Some(prefix) = &element.prefix {
            let count = count_of_units(element, prefix.counts, simple.len());
            write_count(prefix, count, out)?;
        }
        write_simple(element, simple, out)
    })
}

/// Do something with the bytes or characters of a simple value of an allowed length.
fn with_simple<T>(
    element: &Element,
    value: &Value<'_>,
    then: impl FnOnce(&[u8]) -> Option<T>,
) -> Option<T> {
    let simple = if matches!(element.kind, Kind::Bytes) {
        value.cast::<PyBytes>().ok()?.as_bytes()
    } else {
        value.cast::<PyString>().ok()?.to_str().ok()?.as_bytes()
    };
    if simple.len() < element.min || simple.len() > element.max {
        return None;
    }
    then(simple)
}

fn write_simple(element: &Element, simple: &[u8], out: &mut Vec<u8>) -> Option<()> {
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
fn write_composite(
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
    (element.min..=element.max)
        .contains(&units)
        .then_some(units)
}

fn write_text(element: &Element, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let fits = match element.kind {
        Kind::Digits => all_digits(text),
        Kind::Track2 => is_track2(text),
        _ => in_charset(element, text),
    };
    if !fits {
        return None;
    }
    match &element.encoding {
        Encoding::Bcd => pack_padded(element, text, out),
        Encoding::Page(_) => {
            out.extend(text.iter().map(|c| from_ascii(&element.encoding, *c)));
        }
        _ => out.extend_from_slice(text),
    }
    Some(())
}

/// Give each sub-element with its value; None unless the dict has exactly these, in this order.
///
/// Looking a key up could run Python code (a stranger's `__eq__`); walking does not.
fn in_order<'e, 'py>(
    element: &'e Element,
    value: &Value<'py>,
) -> Option<Vec<(&'e Element, Value<'py>)>> {
    let dict = value.cast_exact::<PyDict>().ok()?;
    if dict.len() != element.subs.len() {
        return None;
    }
    let mut out = Vec::with_capacity(element.subs.len());
    for ((key, part), sub) in dict.iter().zip(&element.subs) {
        if key.cast_exact::<PyString>().ok()?.to_str().ok()? != sub.name {
            return None;
        }
        out.push((sub, part));
    }
    Some(out)
}

fn write_packed_group(element: &Element, value: &Value<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut digits = Vec::with_capacity(element.max);
    for (sub, part) in in_order(element, value)? {
        with_simple(sub, &part, |text| {
            digits.extend_from_slice(text);
            all_digits(text).then_some(())
        })?;
    }
    pack(&digits, out);
    digits.len().is_multiple_of(2).then_some(())
}

fn write_groups(
    element: &Element,
    value: &Value<'_>,
    repeats: usize,
    table: &Table,
    out: &mut Vec<u8>,
) -> Option<()> {
    if repeats == 1 {
        return write_group(element, value, table, out);
    }
    let list = value.cast_exact::<PyList>().ok()?;
    if list.is_empty() || list.len() > repeats {
        return None;
    }
    for group in list.iter() {
        write_group(element, &group, table, out)?;
    }
    Some(())
}

fn write_group(
    element: &Element,
    value: &Value<'_>,
    table: &Table,
    out: &mut Vec<u8>,
) -> Option<()> {
    for (sub, part) in in_order(element, value)? {
        write_element(sub, &part, table, out)?;
    }
    Some(())
}

fn write_tagged(
    element: &Element,
    form: &Form,
    value: &Value<'_>,
    table: &Table,
    out: &mut Vec<u8>,
) -> Option<()> {
    let dict = value.cast_exact::<PyDict>().ok()?;
    if dict.len() > table.tags_max {
        return None;
    }
    let mut inner = Vec::new();
    for (key, part) in dict.iter() {
        let key = key.cast_into::<PyString>().ok()?;
        let key = key.to_str().ok()?;
        if let Some(sub) = element.sub_by_key(key) {
            if sub.is_composite() {
                inner.clear();
                write_composite(sub, &part, table, &mut inner)?;
                write_header(form, &sub.tag, inner.len(), out)?;
                out.extend_from_slice(&inner);
            } else {
                with_simple(sub, &part, |simple| {
                    write_header(form, &sub.tag, sub.wire_size(simple.len()), out)?;
                    write_simple(sub, simple, out)
                })?;
            }
        } else {
            let tag = unknown_tag(table, form, key)?;
            if element.sub_by_tag(&tag).is_some() {
                return None;
            }
            let bytes = part.cast::<PyBytes>().ok()?.as_bytes();
            write_header(form, &tag, bytes.len(), out)?;
            out.extend_from_slice(bytes);
        }
    }
    Some(())
}

fn unknown_tag(table: &Table, form: &Form, key: &str) -> Option<Vec<u8>> {
    let text = key.as_bytes();
    if let Form::Private {
        tag_bytes,
        ascii: true,
        ..
    } = form
    {
        let fits = text.len() == *tag_bytes && text.iter().all(u8::is_ascii_alphanumeric);
        return fits.then(|| text.to_vec());
    }
    if text.is_empty() || !text.len().is_multiple_of(2) {
        return None;
    }
    let mut tag = Vec::with_capacity(text.len() / 2);
    for pair in text.chunks_exact(2) {
        tag.push(hex_value(pair[0])? << 4 | hex_value(pair[1])?);
    }
    let fits = match form {
        Form::Ber => is_ber_tag(table, &tag),
        Form::Dataset => tag.len() == 1,
        Form::Private { tag_bytes, .. } => tag.len() == *tag_bytes,
    };
    fits.then_some(tag)
}

fn is_ber_tag(table: &Table, tag: &[u8]) -> bool {
    let Some((first, rest)) = tag.split_first() else {
        return false;
    };
    if tag.len() > table.tag_bytes_max || *first == 0 {
        return false;
    }
    if first & 0x1F != 0x1F {
        return rest.is_empty();
    }
    rest.split_last()
        .is_some_and(|(last, middle)| *last < 0x80 && middle.iter().all(|b| *b >= 0x80))
}

fn write_header(form: &Form, tag: &[u8], size: usize, out: &mut Vec<u8>) -> Option<()> {
    match form {
        Form::Ber => {
            out.extend_from_slice(tag);
            write_ber_length(size, out)
        }
        Form::Dataset => {
            out.extend_from_slice(tag);
            out.extend_from_slice(&u16::try_from(size).ok()?.to_be_bytes());
            Some(())
        }
        Form::Private {
            length,
            counts_tag,
            length_first,
            ..
        } => {
            if *length_first {
                let count = if *counts_tag { size + tag.len() } else { size };
                write_count(length, count, out)?;
                out.extend_from_slice(tag);
                return Some(());
            }
            out.extend_from_slice(tag);
            write_count(length, size, out)
        }
    }
}

fn write_ber_length(size: usize, out: &mut Vec<u8>) -> Option<()> {
    if let Ok(byte) = u8::try_from(size) {
        if byte >= 0x80 {
            out.push(0x81);
        }
        out.push(byte);
        return Some(());
    }
    out.push(0x82);
    out.extend_from_slice(&u16::try_from(size).ok()?.to_be_bytes());
    Some(())
}

fn write_bitmapped(
    element: &Element,
    size: usize,
    value: &Value<'_>,
    table: &Table,
    out: &mut Vec<u8>,
) -> Option<()> {
    let dict = value.cast_exact::<PyDict>().ok()?;
    let start = out.len();
    out.resize(start + size, 0);
    let mut last = 0;
    for (key, part) in dict.iter() {
        let key = key.cast_into::<PyString>().ok()?;
        let number: usize = key.to_str().ok()?.parse().ok()?;
        let sub = &element.subs[(*element.by_bit.get(number)?)?];
        if number <= last || sub.name != key.to_str().ok()? {
            return None;
        }
        last = number;
        out[start + (number - 1) / 8] |= 0x80 >> ((number - 1) % 8);
        write_element(sub, &part, table, out)?;
    }
    Some(())
}
