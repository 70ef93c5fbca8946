//! Writing composites: groups, tagged elements, elements with a bitmap of their own.

use super::hex::hex_value;
use super::out::Out;
use super::packed;
use super::table::{Element, Form, Table};
use super::write::{with_simple, write_composite, write_count, write_element, write_simple, Value};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

/// Room for a tag of at most four bytes and a length of at most six.
const HEADER_BYTES_MAX: usize = 10;

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

pub fn write_packed_group(element: &Element, value: &Value<'_>, out: &mut Out<'_>) -> Option<()> {
    let mut digits = Vec::with_capacity(element.max);
    for (sub, part) in in_order(element, value)? {
        with_simple(sub, &part, |text| {
            digits.extend_from_slice(text);
            Some(())
        })?;
    }
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    packed::pack(&digits, out.space(digits.len() / 2)?).then_some(())
}

pub fn write_groups(
    element: &Element,
    value: &Value<'_>,
    repeats: usize,
    table: &Table,
    out: &mut Out<'_>,
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
    out: &mut Out<'_>,
) -> Option<()> {
    for (sub, part) in in_order(element, value)? {
        write_element(sub, part.as_borrowed(), table, out)?;
    }
    Some(())
}

pub fn write_tagged(
    element: &Element,
    form: &Form,
    value: &Value<'_>,
    table: &Table,
    out: &mut Out<'_>,
) -> Option<()> {
    let dict = value.cast_exact::<PyDict>().ok()?;
    if dict.len() > table.tags_max {
        return None;
    }
    for (key, part) in dict.iter() {
        let key = key.cast_into::<PyString>().ok()?;
        let key = key.to_str().ok()?;
        if let Some(sub) = element.sub_by_key(key) {
            if sub.is_composite() {
                let start = out.len();
                write_composite(sub, &part, table, out)?;
                let mut room = [0; HEADER_BYTES_MAX];
                let mut header = Out::new(&mut room);
                write_header(form, &sub.tag, out.len() - start, &mut header)?;
                out.insert(start, header.written())?;
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
            out.put(bytes)?;
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

fn write_header(form: &Form, tag: &[u8], size: usize, out: &mut Out<'_>) -> Option<()> {
    match form {
        Form::Ber => {
            out.put(tag)?;
            write_ber_length(size, out)
        }
        Form::Dataset => {
            out.put(tag)?;
            out.put(&u16::try_from(size).ok()?.to_be_bytes())
        }
        Form::Private {
            length,
            counts_tag,
            length_first,
            ..
        } => {
            if *length_first {
                let count = if *counts_tag { size + tag.len() } else { size };
                write_count(length, count, out.space(length.size)?)?;
                return out.put(tag);
            }
            out.put(tag)?;
            write_count(length, size, out.space(length.size)?)
        }
    }
}

fn write_ber_length(size: usize, out: &mut Out<'_>) -> Option<()> {
    if let Ok(byte) = u8::try_from(size) {
        if byte >= 0x80 {
            out.push(0x81)?;
        }
        return out.push(byte);
    }
    out.push(0x82)?;
    out.put(&u16::try_from(size).ok()?.to_be_bytes())
}

pub fn write_bitmapped(
    element: &Element,
    size: usize,
    value: &Value<'_>,
    table: &Table,
    out: &mut Out<'_>,
) -> Option<()> {
    let dict = value.cast_exact::<PyDict>().ok()?;
    let start = out.len();
    out.space(size)?.fill(0);
    let mut last = 0;
    for (key, part) in dict.iter() {
        let key = key.cast_into::<PyString>().ok()?;
        let number: usize = key.to_str().ok()?.parse().ok()?;
        let sub = &element.subs[(*element.by_bit.get(number)?)?];
        if number <= last || sub.name != key.to_str().ok()? {
            return None;
        }
        last = number;
        *out.part(start, size)?.get_mut((number - 1) / 8)? |= 0x80 >> ((number - 1) % 8);
        write_element(sub, part.as_borrowed(), table, out)?;
    }
    Some(())
}
