//! Reading composites: groups, tagged elements, elements with a bitmap of their own.

use super::read::{count, element_at, sized, take, Value};
use super::read_simple::{string, unpacked, UNPACKED_MAX};
use super::table::{Element, Form, Table};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

pub fn packed_group<'py>(py: Python<'py>, element: &Element, field: &[u8]) -> Option<Value<'py>> {
    let mut space = [0; UNPACKED_MAX];
    let all = unpacked(field, &mut space)?;
    let out = PyDict::new(py);
    let mut at = 0;
    for sub in &element.subs {
        let part = take(all, &mut at, sub.max, all.len())?;
        out.set_item(sub.key.bind(py), string(py, part)?).ok()?;
    }
    Some(out.into_any())
}

pub fn groups<'py>(
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
    let out = PyList::empty(py);
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

pub fn tagged<'py>(
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
pub fn part<'a>(
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

pub fn bitmapped<'py>(
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
