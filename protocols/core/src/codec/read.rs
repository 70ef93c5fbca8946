//! Reading: bytes to a dict of values, or None when anything is odd.

use super::packed;
use super::read_parts::{bitmapped, groups, packed_group, tagged};
use super::read_simple::{all_digits, bytes, digits, text, track2, unhexed};
use super::short::{shared, shared_number};
use super::table::{Counts, Element, Encoding, Kind, Prefix, Table};
use super::templates::Templates;
use pyo3::prelude::*;
use pyo3::types::PyDict;

pub type Value<'py> = Bound<'py, PyAny>;

/// One bitmap of 64 bits at a time.
pub struct Bits {
    pub words: [u64; 3],
}

impl Bits {
    /// The numbers of the elements that follow, without the bitmaps themselves.
    pub fn numbers(&self, table: &Table) -> impl Iterator<Item = usize> {
        let mut words = self.words;
        words[0] &= !(1 << 63);
        if table.tertiary {
            words[1] &= !(1 << 63);
        }
        let mut word = 0;
        std::iter::from_fn(move || {
            while words[word] == 0 {
                word += 1;
                if word == words.len() {
                    word -= 1;
                    return None;
                }
            }
            let lead = words[word].leading_zeros();
            words[word] &= !(1 << (63 - lead));
            Some(word * 64 + lead as usize + 1)
        })
    }
}

/// A message that was read.
pub struct Read<'py> {
    pub mti: Value<'py>,
    pub elements: Bound<'py, PyDict>,
    /// The last element: its number and where it begins.
    last: (usize, usize),
    /// Its last eight bytes or sixteen hex digits.
    tail: [u8; 16],
}

/// A MAC at the end of a message.
pub struct Mac {
    /// Where it begins: what stands before is covered.
    pub at: usize,
    pub value: [u8; 8],
}

impl Read<'_> {
    /// Give the message's MAC, None when its last element is none.
    pub fn mac(&self, table: &Table) -> Option<Mac> {
        let (number, at) = self.last;
        let element = table.elements.get(number)?.as_ref()?;
        if !matches!(number, 64 | 128) || !element.is_mac() {
            return None;
        }
        let mut value = [0; 8];
        if let Encoding::Hex(_) = element.encoding {
            for (byte, pair) in value.iter_mut().zip(self.tail.chunks_exact(2)) {
                let high = hex_digit(&element.encoding, pair[0])?;
                *byte = high << 4 | hex_digit(&element.encoding, pair[1])?;
            }
        } else {
            value.copy_from_slice(&self.tail[8..]);
        }
        Some(Mac { at, value })
    }
}

/// Give MTI and elements of a message.
pub fn message<'py>(
    py: Python<'py>,
    table: &Table,
    templates: &Templates,
    raw: &[u8],
) -> Option<Read<'py>> {
    if raw.len() > table.bytes_max {
        return None;
    }
    let mut at = 0;
    let mti = mti(py, table, raw, &mut at)?;
    let bits = bitmap(table, raw, &mut at)?;
    let (elements, is_new) = templates.dict(py, bits.words)?;
    let mut last = (0, at);
    for number in bits.numbers(table) {
        let element = table.elements[number].as_ref()?;
        last = (number, at);
        let value = element_at(py, table, element, raw, &mut at, raw.len())?;
        elements.set_item(element.key.bind(py), value).ok()?;
    }
    if at != raw.len() {
        return None;
    }
    if is_new {
        templates.learn(py, bits.words, &elements);
    }
    let mut tail = [0; 16];
    if let Some(end) = raw.last_chunk::<16>() {
        tail = *end;
    } else if let Some(end) = raw.last_chunk::<8>() {
        tail[8..].copy_from_slice(end);
    }
    Some(Read {
        mti,
        elements,
        last,
        tail,
    })
}

/// Step over the MTI, which a reading has proved.
pub fn skip_mti(table: &Table, raw: &[u8], at: &mut usize) -> Option<()> {
    let size = if matches!(table.mti, Encoding::Bcd) {
        2
    } else {
        4
    };
    take(raw, at, size, raw.len()).map(|_| ())
}

pub fn mti<'py>(py: Python<'py>, table: &Table, raw: &[u8], at: &mut usize) -> Option<Value<'py>> {
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

pub fn bitmap(table: &Table, raw: &[u8], at: &mut usize) -> Option<Bits> {
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
    super::hex::hex_value(to_ascii(encoding, byte))
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
pub fn units_of_size(element: &Element, field: &[u8]) -> Option<usize> {
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

/// Where an element's content stands and how many units it has; `at` moves behind it.
#[inline]
pub fn span(element: &Element, raw: &[u8], at: &mut usize, end: usize) -> Option<(usize, usize)> {
    if let Some(size) = element.fixed {
        let begin = *at;
        take(raw, at, size, end)?;
        return Some((begin, element.max));
    }
    let units = if let Some(prefix) = &element.prefix {
        let number = count(prefix, raw, at, end)?;
        units_of_count(element, prefix.counts, number)?
    } else {
        units_of_size(element, raw.get(*at..end)?)?
    };
    if units < element.min || units > element.max {
        return None;
    }
    let begin = *at;
    take(raw, at, element.wire_size(units), end)?;
    Some((begin, units))
}

pub fn element_at<'py>(
    py: Python<'py>,
    table: &Table,
    element: &Element,
    raw: &[u8],
    at: &mut usize,
    end: usize,
) -> Option<Value<'py>> {
    let (begin, units) = span(element, raw, at, end)?;
    content(py, table, element, raw.get(begin..*at)?, units)
}

/// Give MTI and those elements up to the last wanted one that are wanted.
pub fn peek<'py>(
    py: Python<'py>,
    table: &Table,
    raw: &[u8],
    wanted: &[usize],
) -> Option<(Value<'py>, Bound<'py, PyDict>)> {
    if raw.len() > table.bytes_max {
        return None;
    }
    let last = wanted.iter().copied().max().unwrap_or(0);
    let mut at = 0;
    let mti = mti(py, table, raw, &mut at)?;
    let bits = bitmap(table, raw, &mut at)?;
    let out = PyDict::new(py);
    for number in bits.numbers(table).take_while(|number| *number <= last) {
        let element = table.elements[number].as_ref()?;
        let value = element_at(py, table, element, raw, &mut at, raw.len())?;
        if wanted.contains(&number) {
            out.set_item(element.key.bind(py), value).ok()?;
        }
    }
    Some((mti, out))
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

pub fn content<'py>(
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
        Kind::Tagged(form) if matches!(element.encoding, Encoding::Hex(_)) => tagged(
            py,
            table,
            element,
            form,
            &unhexed(&element.encoding, field)?,
        ),
        Kind::Tagged(form) => tagged(py, table, element, form, field),
        Kind::Bitmapped(size) => bitmapped(py, table, element, field, *size),
    }
}
