//! Masking on a copy of the message: sensitive content is overwritten, every length stays.
//!
//! For messages that are plainly right; `protocols.iso8583.mask` has the rules and does the rest.

use super::out::Out;
use super::read::{bitmap, skip_mti, span, take};
use super::read_parts::part;
use super::read_simple::unhexed;
use super::table::{Charset, Element, Encoding, Form, Kind, Shown, Table};
use super::write::{from_ascii, write_hex};

/// Overwrite what nobody may see; None when something is odd.
pub fn message(table: &Table, raw: &mut [u8]) -> Option<()> {
    let mut at = 0;
    skip_mti(table, raw, &mut at)?;
    let bits = bitmap(table, raw, &mut at)?;
    let end = raw.len();
    for number in bits.numbers(table) {
        let element = table.elements[number].as_ref()?;
        whole(table, element, raw, &mut at, end, false)?;
    }
    Some(())
}

/// Mask an element with its prefix; `at` moves behind it.
fn whole(
    table: &Table,
    element: &Element,
    raw: &mut [u8],
    at: &mut usize,
    end: usize,
    hidden: bool,
) -> Option<()> {
    let before = *at;
    let (_, units) = span(element, raw, at, end)?;
    let begin = *at - element.wire_size(units);
    debug_assert!(before <= begin);
    content(table, element, raw.get_mut(begin..*at)?, units, hidden)
}

fn content(
    table: &Table,
    element: &Element,
    field: &mut [u8],
    units: usize,
    hidden: bool,
) -> Option<()> {
    let hidden = hidden || (element.is_composite() && element.shown == Shown::Nothing);
    let hides_a_part = element.subs.iter().any(|sub| sub.shown != Shown::All);
    let mut at = 0;
    let end = field.len();
    match &element.kind {
        Kind::Group { packed: true, .. } if hidden || hides_a_part => field.fill(0),
        Kind::Group { packed: true, .. } => {}
        Kind::Group { .. } => {
            while at < end {
                for sub in &element.subs {
                    whole(table, sub, field, &mut at, end, hidden)?;
                }
            }
        }
        Kind::Tagged(form) => {
            if let Encoding::Hex(_) = element.encoding {
                let mut inner = unhexed(&element.encoding, field)?;
                tagged(table, element, form, &mut inner, hidden)?;
                write_hex(&element.encoding, &inner, &mut Out::new(field))?;
            } else {
                tagged(table, element, form, field, hidden)?;
            }
        }
        Kind::Bitmapped(size) => {
            let bits = take(field, &mut at, *size, end)?.to_vec();
            for number in 1..=size * 8 {
                if bits[(number - 1) / 8] >> (7 - (number - 1) % 8) & 1 == 1 {
                    let sub = &element.subs[(*element.by_bit.get(number)?)?];
                    whole(table, sub, field, &mut at, end, hidden)?;
                }
            }
        }
        _ if hidden || element.shown != Shown::All => simple(element, field, units, hidden),
        _ => {}
    }
    Some(())
}

fn tagged(
    table: &Table,
    element: &Element,
    form: &Form,
    field: &mut [u8],
    hidden: bool,
) -> Option<()> {
    let mut at = 0;
    while at < field.len() {
        let (tag, value) = part(table, form, field, &mut at)?;
        let begin = at - value.len();
        let Some(sub) = element.sub_by_tag(tag) else {
            field.get_mut(begin..at)?.fill(0);
            continue;
        };
        let units = super::read::units_of_size(sub, value)?;
        content(table, sub, field.get_mut(begin..at)?, units, hidden)?;
    }
    Some(())
}

/// Overwrite a value without parts.
fn simple(element: &Element, field: &mut [u8], units: usize, hidden: bool) {
    let is_binary = matches!(element.encoding, Encoding::Binary);
    if is_binary {
        field.fill(0);
        return;
    }
    let shows_four = !hidden && element.shown == Shown::LastFour;
    let kept = if shows_four && units >= 8 && !matches!(element.kind, Kind::Bytes) {
        4
    } else {
        0
    };
    if let Encoding::Bcd = element.encoding {
        packed(element, field, units, kept);
        return;
    }
    let letters = matches!(&element.charset, Charset::Listed(listed) if !listed[usize::from(b'0')]);
    let filler = from_ascii(&element.encoding, if letters { b'X' } else { b'0' });
    let separator = from_ascii(&element.encoding, b'=');
    let is_track = matches!(element.kind, Kind::Track2);
    let size = field.len() - kept;
    for byte in &mut field[..size] {
        if !(is_track && *byte == separator) {
            *byte = filler;
        }
    }
}

/// Overwrite half-bytes: padding, the separator of track 2 and the last `kept` digits stay.
fn packed(element: &Element, field: &mut [u8], units: usize, kept: usize) {
    let is_padded = field.len() * 2 != units;
    let first = usize::from(is_padded && element.odd.left);
    let is_track = matches!(element.kind, Kind::Track2);
    for index in first..first + units - kept {
        let byte = &mut field[index / 2];
        let shift = 4 - 4 * (index % 2);
        if !(is_track && *byte >> shift & 0x0F == 0x0D) {
            *byte &= !(0x0F << shift);
        }
    }
}
