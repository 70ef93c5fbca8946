//! Reading: bytes to a dict of values, or None when anything is odd.

use super::ffi::ascii_string;
use super::table::{
    Charset, Counts, Element, Encoding, Form, Groups, Kind, Prefix, Table, NUMBER_MAX,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Mutex;

type Value<'py> = Bound<'py, PyAny>;

/// Longest digits or track 2 value that is unpacked on the stack; longer ones are rare.
const UNPACKED_MAX: usize = 128;

/// Bitmaps whose dicts are remembered; a peer may send any bitmap, so the number is bounded.
const TEMPLATES_MAX: usize = 512;

const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

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
) -> Option<(Bound<'py, PyString>, Bound<'py, PyDict>)> {
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

/// For each bitmap a dict with its keys: a copy of it never grows while values are put in.
#[derive(Default)]
pub struct Templates {
    known: Mutex<Known>,
}

type Known = HashMap<(u64, u64, u64), Py<PyDict>, BuildHasherDefault<Mix>>;

/// A hash of three numbers, cheap beside what it saves. Whoever makes bitmaps collide gains a few
/// comparisons among `TEMPLATES_MAX` at most.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Templates {
    /// Give a dict to fill, and whether its bitmap is new.
    fn dict<'py>(&self, py: Python<'py>, words: [u64; 3]) -> Option<(Bound<'py, PyDict>, bool)> {
        let known = self.known.lock().ok()?;
        match known.get(&words.into()) {
            Some(template) => Some((template.bind(py).copy().ok()?, false)),
            None => Some((PyDict::new(py), true)),
        }
    }

    fn learn(&self, py: Python<'_>, words: [u64; 3], elements: &Bound<'_, PyDict>) {
        let Ok(mut known) = self.known.lock() else {
            return;
        };
        if known.len() >= TEMPLATES_MAX {
            return;
        }
        let template = PyDict::new(py);
        for key in elements.keys() {
            if template.set_item(key, py.None()).is_err() {
                return;
            }
        }
        known.insert(words.into(), template.unbind());
    }
}

fn mti<'py>(
    py: Python<'py>,
    table: &Table,
    raw: &[u8],
    at: &mut usize,
) -> Option<Bound<'py, PyString>> {
    let mut digits = [0_u8; 4];
    if matches!(table.mti, Encoding::Bcd) {
        for (pair, byte) in digits.chunks_exact_mut(2).zip(take(raw, at, 2, raw.len())?) {
            pair.copy_from_slice(&[(byte >> 4) + b'0', (byte & 0x0F) + b'0']);
        }
    } else {
        for (digit, byte) in digits.iter_mut().zip(take(raw, at, 4, raw.len())?) {
            *digit = to_ascii(&table.mti, *byte);
        }
    }
    if !all_digits(&digits) {
        return None;
    }
    Some(PyString::new(py, std::str::from_utf8(&digits).ok()?))
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

fn take<'a>(raw: &'a [u8], at: &mut usize, size: usize, end: usize) -> Option<&'a [u8]> {
    let stop = at.checked_add(size)?;
    if stop > end {
        return None;
    }
    let field = raw.get(*at..stop)?;
    *at = stop;
    Some(field)
}

fn to_ascii(encoding: &Encoding, byte: u8) -> u8 {
    match encoding {
        Encoding::Page(page) | Encoding::Hex(Some(page)) => page.to_ascii[usize::from(byte)],
        _ => byte,
    }
}

fn hex_digit(encoding: &Encoding, byte: u8) -> Option<u8> {
    super::table::hex_value(to_ascii(encoding, byte))
}

/// The number that a prefix states.
fn count(prefix: &Prefix, raw: &[u8], at: &mut usize, end: usize) -> Option<usize> {
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

fn element_at<'py>(
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

fn sized<'py>(
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

fn string<'py>(py: Python<'py>, ascii: &[u8]) -> Option<Value<'py>> {
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

fn text<'py>(py: Python<'py>, element: &Element, field: &[u8]) -> Option<Value<'py>> {
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
fn unpack<'a>(
    element: &Element,
    field: &[u8],
    units: usize,
    out: &'a mut [u8; UNPACKED_MAX],
) -> Option<&'a [u8]> {
    const DIGITS: &[u8; 16] = b"0123456789???=??";
    let nibbles = field.len() * 2;
    if nibbles > UNPACKED_MAX {
        return None;
    }
    for (pair, byte) in out.chunks_exact_mut(2).zip(field) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0x0F)];
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

fn digits<'py>(
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

fn track2<'py>(
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

fn bytes<'py>(py: Python<'py>, element: &Element, field: &[u8]) -> Option<Value<'py>> {
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

fn packed_group<'py>(py: Python<'py>, element: &Element, field: &[u8]) -> Option<Value<'py>> {
    let mut space = [0; UNPACKED_MAX];
    let all = unpack(element, field, field.len() * 2, &mut space)?;
    if !all_digits(all) {
        return None;
    }
    let out = PyDict::new(py);
    let mut at = 0;
    for sub in &element.subs {
        let part = take(all, &mut at, sub.max, all.len())?;
        out.set_item(sub.key.bind(py), string(py, part)?).ok()?;
    }
    Some(out.into_any())
}

fn groups<'py>(
    py: Python<'py>,
    table: &Table,
    element: &Element,
    field: &[u8],
    repeats: usize,
) -> Option<Value<'py>> {
    let mut at = 0;
    if repeats == 1 {
        let group = group(py, table, element, field, &mut at)?;
        return (at == field.len()).then(|| group.into_any());
    }
    let out: Groups<'py> = PyList::empty(py);
    while at < field.len() || out.is_empty() {
        if out.len() == repeats {
            return None;
        }
        out.append(group(py, table, element, field, &mut at)?)
            .ok()?;
    }
    Some(out.into_any())
}

fn group<'py>(
    py: Python<'py>,
    table: &Table,
    element: &Element,
    field: &[u8],
    at: &mut usize,
) -> Option<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for sub in &element.subs {
        let value = element_at(py, table, sub, field, at, field.len())?;
        out.set_item(sub.key.bind(py), value).ok()?;
    }
    Some(out)
}

fn tagged<'py>(
    py: Python<'py>,
    table: &Table,
    element: &Element,
    form: &Form,
    field: &[u8],
) -> Option<Value<'py>> {
    let out = PyDict::new(py);
    let mut at = 0;
    let mut parts = 0;
    while at < field.len() {
        let (tag, value) = part(table, form, field, &mut at)?;
        if let Some(sub) = element.sub_by_tag(tag) {
            let value = sized(py, table, sub, value)?;
            out.set_item(sub.key.bind(py), value).ok()?;
        } else {
            let key = unknown_key(py, form, tag)?;
            out.set_item(key, PyBytes::new(py, value)).ok()?;
        }
        parts += 1;
        // A tag that stands twice leaves the dict as it was.
        if out.len() != parts || parts > table.tags_max {
            return None;
        }
    }
    Some(out.into_any())
}

fn unknown_key<'py>(py: Python<'py>, form: &Form, tag: &[u8]) -> Option<Value<'py>> {
    if matches!(form, Form::Private { ascii: true, .. }) {
        return tag
            .iter()
            .all(u8::is_ascii_alphanumeric)
            .then(|| string(py, tag))?;
    }
    let mut out = Vec::with_capacity(tag.len() * 2);
    for byte in tag {
        out.push(HEX_DIGITS[usize::from(byte >> 4)]);
        out.push(HEX_DIGITS[usize::from(byte & 0x0F)]);
    }
    string(py, &out)
}

/// One tag and its value.
fn part<'a>(
    table: &Table,
    form: &Form,
    field: &'a [u8],
    at: &mut usize,
) -> Option<(&'a [u8], &'a [u8])> {
    let end = field.len();
    match form {
        Form::Ber => {
            let tag = ber_tag(table, field, at)?;
            let size = ber_length(field, at)?;
            Some((tag, take(field, at, size, end)?))
        }
        Form::Dataset => {
            let tag = take(field, at, 1, end)?;
            let size = take(field, at, 2, end)?;
            let size = usize::from(size[0]) << 8 | usize::from(size[1]);
            Some((tag, take(field, at, size, end)?))
        }
        Form::Private {
            tag_bytes,
            length,
            counts_tag,
            length_first,
            ..
        } => {
            if *length_first {
                let size = count(length, field, at, end)?;
                let tag = take(field, at, *tag_bytes, end)?;
                let size = if *counts_tag {
                    size.checked_sub(*tag_bytes)?
                } else {
                    size
                };
                return Some((tag, take(field, at, size, end)?));
            }
            let tag = take(field, at, *tag_bytes, end)?;
            let size = count(length, field, at, end)?;
            Some((tag, take(field, at, size, end)?))
        }
    }
}

fn ber_tag<'a>(table: &Table, field: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let start = *at;
    let first = *field.get(start)?;
    let mut stop = start + 1;
    if first == 0 {
        return None;
    }
    if first & 0x1F == 0x1F {
        while *field.get(stop)? & 0x80 != 0 {
            stop += 1;
            if stop - start >= table.tag_bytes_max {
                return None;
            }
        }
        stop += 1;
    }
    *at = stop;
    field.get(start..stop)
}

fn ber_length(field: &[u8], at: &mut usize) -> Option<usize> {
    let first = usize::from(*field.get(*at)?);
    *at += 1;
    if first < 0x80 {
        return Some(first);
    }
    let size = first & 0x7F;
    if size == 0 || size > 2 {
        return None;
    }
    let number = take(field, at, size, field.len())?
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte));
    (number >= if size == 1 { 0x80 } else { 0x100 }).then_some(number)
}

fn bitmapped<'py>(
    py: Python<'py>,
    table: &Table,
    element: &Element,
    field: &[u8],
    size: usize,
) -> Option<Value<'py>> {
    let mut at = 0;
    let bits = take(field, &mut at, size, field.len())?;
    let out = PyDict::new(py);
    for number in 1..=size * 8 {
        if bits[(number - 1) / 8] >> (7 - (number - 1) % 8) & 1 == 0 {
            continue;
        }
        let sub = &element.subs[(*element.by_bit.get(number)?)?];
        let value = element_at(py, table, sub, field, &mut at, field.len())?;
        out.set_item(sub.key.bind(py), value).ok()?;
    }
    (at == field.len()).then(|| out.into_any())
}
