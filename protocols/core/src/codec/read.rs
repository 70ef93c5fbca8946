//! Reading: bytes to a dict of values, or None when anything is odd.

use super::packed;
use super::read_parts::{bitmapped, groups, packed_group, tagged};
use super::read_simple::{all_digits, bytes, digits, text, track2};
use super::short::{shared, shared_number};
use super::table::{Counts, Element, Encoding, Kind, Prefix, Table, NUMBER_MAX};
use super::templates::Templates;
use pyo3::prelude::*;
use pyo3::types::PyDict;

pub type Value<'py> = Bound<'py, PyAny>;

/// One bitmap of 64 bits at a time.
struct Bits {
    words: [u64; 3],
}

/// Give MTI and elements of a message.
pub fn message<'py>(
    py: Python<'py>,
    table: &Table,
    templates: &Templates,
    raw: &[u8],
) -> Option<(Value<'py>, Bound<'py, PyDict>)> {
    if raw.len() > table.bytes_max {
        return None;
    }
    let mut at = 0;
    let mti = mti(py, table, raw, &mut at)?;
    let bits = bitmap(table, raw, &mut at)?;
    let (out, is_new) = templates.dict(py, bits.words)?;
    for (word, start) in bits.words.iter().zip([0, 64, 128]) {
        let mut left = *word;
        while left != 0 {
            let lead = left.leading_zeros();
            left &= !(1 << (63 - lead));
            let number = start + lead as usize + 1;
            if number == 1 || (number == 65 && table.tertiary) {
                continue;
            }
            debug_assert!(number <= NUMBER_MAX);
            let element = table.elements[number].as_ref()?;
            let value = element_at(py, table, element, raw, &mut at, raw.len())?;
            out.set_item(element.key.bind(py), value).ok()?;
        }
    }
    if at != raw.len() {
        return None;
    }
    if is_new {
        templates.learn(py, bits.words, &out);
    }
    Some((mti, out))
}

fn mti<'py>(py: Python<'py>, table: &Table, raw: &[u8], at: &mut usize) -> Option<Value<'py>> {
    if matches!(table.mti, Encoding::Bcd) {
        let field = take(raw, at, 2, raw.len())?;
        return shared_number(py, packed::short_number(field, 4, true, 0)?, 4);
    }
    let mut digits = [0_u8; 4];
    for (digit, byte) in digits.iter_mut().zip(take(raw, at, 4, raw.len())?) {
        *digit = to_ascii(&table.mti, *byte);
    }
    all_digits(&digits).then(|| shared(py, &digits))?
}

fn bitmap(table: &Table, raw: &[u8], at: &mut usize) -> Option<Bits> {
    let mut words = [word(table, raw, at)?, 0, 0];
    if words[0] >> 63 == 1 {
        words[1] = word(table, raw, at)?;
        if words[1] == 0 && !table.always_128 {
            return None;
        }
        if table.tertiary && words[1] >> 63 == 1 {
            words[2] = word(table, raw, at)?;
            if words[2] == 0 {
                return None;
            }
        }
    } else if table.always_128 {
        return None;
    }
    Some(Bits { words })
}

fn word(table: &Table, raw: &[u8], at: &mut usize) -> Option<u64> {
    if matches!(table.bitmap, Encoding::Binary) {
        let field = take(raw, at, 8, raw.len())?;
        return Some(u64::from_be_bytes(field.try_into().ok()?));
    }
    let mut number = 0;
    for byte in take(raw, at, 16, raw.len())? {
        number = number << 4 | u64::from(hex_digit(&table.bitmap, *byte)?);
    }
    Some(number)
}

pub fn take<'a>(raw: &'a [u8], at: &mut usize, size: usize, end: usize) -> Option<&'a [u8]> {
    let stop = at.checked_add(size)?;
    if stop > end {
        return None;
    }
    let field = raw.get(*at..stop)?;
    *at = stop;
    Some(field)
}

pub fn to_ascii(encoding: &Encoding, byte: u8) -> u8 {
    match encoding {
        Encoding::Page(page) | Encoding::Hex(Some(page)) => page.to_ascii[usize::from(byte)],
        _ => byte,
    }
}

pub fn hex_digit(encoding: &Encoding, byte: u8) -> Option<u8> {
    super::table::hex_value(to_ascii(encoding, byte))
}

/// The number that a prefix states.
pub fn count(prefix: &Prefix, raw: &[u8], at: &mut usize, end: usize) -> Option<usize> {
    let mut number = 0_usize;
    for byte in take(raw, at, prefix.size, end)? {
        number = match prefix.encoding {
            Encoding::Binary => number << 8 | usize::from(*byte),
            Encoding::Bcd => {
                let (high, low) = (byte >> 4, byte & 0x0F);
                if high > 9 || low > 9 {
                    return None;
                }
                number * 100 + usize::from(high) * 10 + usize::from(low)
            }
            _ => {
                let digit = to_ascii(&prefix.encoding, *byte).wrapping_sub(b'0');
                if digit > 9 {
                    return None;
                }
                number * 10 + usize::from(digit)
            }
        };
    }
    if number >= prefix.limit {
        return None;
    }
    if prefix.includes_self {
        number = number.checked_sub(prefix.size)?;
    }
    Some(number)
}

/// The value's units for the number in its prefix.
fn units_of_count(element: &Element, counts: Counts, count: usize) -> Option<usize> {
    let divisor = match (counts, &element.encoding) {
        (Counts::Digits, _) if matches!(element.kind, Kind::Bytes) => 2,
        (Counts::Digits, _) | (Counts::Nibbles, Encoding::Bcd) => 1,
        (Counts::Nibbles, Encoding::Hex(_)) => 4,
        (Counts::Bytes, Encoding::Bcd) => return Some(count * 2),
        (Counts::Nibbles, _) | (Counts::Bytes, Encoding::Hex(_)) => 2,
        (Counts::Bytes, _) => 1,
    };
    count.is_multiple_of(divisor).then_some(count / divisor)
}

/// The value's units where only its bytes are known.
fn units_of_size(element: &Element, field: &[u8]) -> Option<usize> {
    match element.encoding {
        Encoding::Bcd => {
            let exact = element.min == element.max && element.max.div_ceil(2) == field.len();
            if exact {
                return Some(element.max);
            }
            let ends_in_f = field.last().is_some_and(|byte| byte & 0x0F == 0x0F);
            let padded = !element.odd.left && element.odd.nibble == 0x0F && ends_in_f;
            Some(field.len() * 2 - usize::from(padded))
        }
        Encoding::Hex(_) => field.len().is_multiple_of(2).then_some(field.len() / 2),
        _ => Some(field.len()),
    }
}

pub fn element_at<'py>(
    py: Python<'py>,
    table: &Table,
    element: &Element,
    raw: &[u8],
    at: &mut usize,
    end: usize,
) -> Option<Value<'py>> {
    let units = if let Some(prefix) = &element.prefix {
        let number = count(prefix, raw, at, end)?;
        units_of_count(element, prefix.counts, number)?
    } else if element.min < element.max {
        units_of_size(element, raw.get(*at..end)?)?
    } else {
        element.max
    };
    if units < element.min || units > element.max {
        return None;
    }
    let field = take(raw, at, element.wire_size(units), end)?;
    content(py, table, element, field, units)
}

pub fn sized<'py>(
    py: Python<'py>,
    table: &Table,
    element: &Element,
    field: &[u8],
) -> Option<Value<'py>> {
    let units = units_of_size(element, field)?;
    let fits = units >= element.min && units <= element.max;
    if !fits || element.wire_size(units) != field.len() {
        return None;
    }
    content(py, table, element, field, units)
}

fn content<'py>(
    py: Python<'py>,
    table: &Table,
    element: &Element,
    field: &[u8],
    units: usize,
) -> Option<Value<'py>> {
    match &element.kind {
        Kind::Text => text(py, element, field),
        Kind::Digits => digits(py, element, field, units),
        Kind::Track2 => track2(py, element, field, units),
        Kind::Bytes => bytes(py, element, field),
        Kind::Group { packed: true, .. } => packed_group(py, element, field),
        Kind::Group { repeats, .. } => groups(py, table, element, field, *repeats),
        Kind::Tagged(form) => tagged(py, table, element, form, field),
        Kind::Bitmapped(size) => bitmapped(py, table, element, field, *size),
    }
}
