//! What a host reads of a request, as one flat tuple: the native twin of `protocols.iso8583.facts`.
//!
//! Gives None for whatever is not plainly right or is seldom there (elements 2, 54, 90, 95): Python
//! reads that, and words the errors.

use super::ffi::{
    ascii_of, ascii_string, Items, Lent, MessageSlots, OneSlot, SmallNumbers, Tuples,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};
use sha2::{Digest, Sha256};

/// Elements that a plain request may have; the array is looked up by their numbers.
const ELEMENTS: usize = 129;

/// Elements that only some messages have, and that Python reads.
const SELDOM: [usize; 4] = [2, 54, 90, 95];

/// What stands for a processing code and a trace number that are not there.
const NO_CODE: &[u8] = b"000000";

/// Between the parts of a digest's input. `protocols.ids` has the constructions; they are frozen.
const SEPARATOR: u8 = 0x1F;

/// Message classes that are known again by their key.
const KEYED: [&[u8]; 4] = [b"01", b"02", b"03", b"05"];

/// Bounds of track 2: digits of the card number, digits behind the separator, characters.
const PAN_DIGITS: std::ops::RangeInclusive<usize> = 8..=19;
const REST_MIN: usize = 7;
const TRACK_MAX: usize = 37;

/// Digits that fit 64 bits whatever they are.
const DIGITS_MAX: usize = 18;

/// Reads facts into instances of one tuple class.
#[pyclass(module = "protocols._core.codec", frozen)]
pub struct FactsReader {
    numbers: SmallNumbers,
    message: MessageSlots,
    pan: OneSlot,
    pin_block: OneSlot,
    facts: Tuples,
    no_types: Py<PyAny>,
}

/// The elements of a message by number.
struct Elements<'a, 'py> {
    by_number: [Option<Lent<'a, 'py>>; ELEMENTS],
}

impl<'a, 'py> Elements<'a, 'py> {
    /// Give a text element, empty when it is not there; None when it is no ASCII text.
    fn text(&'a self, number: usize) -> Option<&'a [u8]> {
        match &self.by_number[number] {
            None => Some(b""),
            Some(value) => ascii_of((**value).cast_exact::<PyString>().ok()?),
        }
    }

    /// Give the same as the object that it is.
    fn object(&self, py: Python<'py>, number: usize) -> Bound<'py, PyAny> {
        match &self.by_number[number] {
            None => PyString::intern(py, "").into_any(),
            Some(value) => (**value).clone(),
        }
    }

    /// Give a composite; the inner None when it is not there.
    #[allow(clippy::option_option)] // The two are told apart, as said above.
    fn parts(&'a self, number: usize) -> Option<Option<&'a Bound<'py, PyDict>>> {
        match &self.by_number[number] {
            None => Some(None),
            Some(value) => Some(Some((**value).cast_exact::<PyDict>().ok()?)),
        }
    }
}

#[pymethods]
impl FactsReader {
    /// Take the classes of the message, the result and its masked values, and the empty set.
    #[new]
    fn new(
        message: &Bound<'_, PyType>,
        facts: &Bound<'_, PyType>,
        pan: &Bound<'_, PyType>,
        pin_block: &Bound<'_, PyType>,
        no_types: Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            numbers: SmallNumbers::new(message.py())?,
            message: MessageSlots::new(message)?,
            pan: OneSlot::new(pan, "_content")?,
            pin_block: OneSlot::new(pin_block, "_content")?,
            facts: Tuples::new(facts)?,
            no_types: no_types.unbind(),
        })
    }

    /// Give the facts of a decoded message on a link, None when Python must read them.
    fn read<'py>(
        &self,
        message: &Bound<'py, PyAny>,
        link: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some((mti, elements)) = self.message.parts(message) else {
            return Ok(None);
        };
        let (Ok(mti), Ok(elements)) = (
            mti.cast_exact::<PyString>(),
            elements.cast_exact::<PyDict>(),
        ) else {
            return Ok(None);
        };
        self.plain(message, &mti, &elements, link).transpose()
    }
}

impl FactsReader {
    fn plain<'py>(
        &self,
        message: &Bound<'py, PyAny>,
        mti: &Bound<'py, PyString>,
        elements: &Bound<'py, PyDict>,
        link: &Bound<'py, PyString>,
    ) -> Option<PyResult<Bound<'py, PyAny>>> {
        let py = message.py();
        let items = Items::of(elements, &self.numbers)?;
        let mut by_number = [None; ELEMENTS];
        for (number, value) in items.as_slice() {
            *by_number.get_mut(*number)? = Some(*value);
        }
        let found = Elements { by_number };
        if SELDOM.iter().any(|n| found.by_number[*n].is_some()) {
            return None;
        }
        let code = or_no_code(found.text(3)?);
        let stan = or_no_code(found.text(11)?);
        let amount = number_of(found.text(4)?)?;
        let track = found.text(35)?;
        let pan = if found.by_number[35].is_some() {
            Some(card_of(track)?)
        } else {
            None
        };
        let chip = self.chip(py, &found)?;
        let (operator, key_set) = sender(py, &found)?;
        let merchant = trimmed(found.text(42)?);
        let class = ascii_of(mti)?.get(..2)?;
        let transfer_id = if KEYED.contains(&class) {
            let name = ascii_of(link)?;
            let time = found.text(7)?;
            let (acquirer, terminal) = (found.text(32)?, trimmed(found.text(41)?));
            let rrn = trimmed(found.text(37)?);
            let acquirer = &acquirer[acquirer.iter().take_while(|b| **b == b'0').count()..];
            let key = [name, acquirer, terminal, time, stan, rrn, class];
            if !key
                .iter()
                .all(|part| part.iter().copied().all(is_printable))
            {
                return None;
            }
            digest(b"lumbung/transfer/1", &key)
        } else {
            0
        };
        let currency = found.text(49)?;
        let (sum, count) = (format!("{amount:012}"), chip.atc.to_string());
        let fingerprint = digest(
            b"lumbung/fingerprint/1",
            &[
                pan.unwrap_or(b""),
                code,
                sum.as_bytes(),
                currency,
                count.as_bytes(),
                chip.arqc_hex.as_bytes(),
            ],
        );
        let batch = batch(py, &found)?;
        let pan = match pan {
            Some(digits) => self.pan.make(ascii_string(py, digits)?).ok()?,
            None => py.None().into_bound(py),
        };
        // Every text that goes out as it stands is one.
        for number in [22, 23, 70] {
            found.text(number)?;
        }
        let whole = |number: u64| number.into_pyobject(py).map(Bound::into_any).ok();
        let wide = |number: u128| number.into_pyobject(py).map(Bound::into_any).ok();
        let values = [
            message.clone(),
            link.clone().into_any(),
            mti.clone().into_any(),
            self.code_object(py, &found, 3, code)?,
            whole(amount)?,
            found.object(py, 7),
            self.code_object(py, &found, 11, stan)?,
            found.object(py, 22),
            found.object(py, 37),
            found.object(py, 41),
            ascii_string(py, merchant)?,
            found.object(py, 49),
            found.object(py, 32),
            pan,
            found.object(py, 23),
            self.pin(py, &found)?,
            chip.tags,
            self.no_types.bind(py).clone(),
            operator,
            key_set,
            found.object(py, 70),
            py.None().into_bound(py),
            whole(0)?,
            whole(batch)?,
            whole(u64::from(chip.atc))?,
            wide(transfer_id)?,
            wide(fingerprint)?,
        ];
        Some(self.facts.make(py, values))
    }

    #[allow(clippy::unused_self)] // It stands beside the other makers of values.
    fn code_object<'py>(
        &self,
        py: Python<'py>,
        found: &Elements<'_, 'py>,
        number: usize,
        code: &[u8],
    ) -> Option<Bound<'py, PyAny>> {
        if found.by_number[number].is_some() && code != NO_CODE {
            return Some(found.object(py, number));
        }
        ascii_string(py, code)
    }

    fn pin<'py>(&self, py: Python<'py>, found: &Elements<'_, 'py>) -> Option<Bound<'py, PyAny>> {
        let Some(value) = &found.by_number[52] else {
            return Some(py.None().into_bound(py));
        };
        if value.cast_exact::<PyBytes>().ok()?.as_bytes().len() != 8 {
            return None;
        }
        self.pin_block.make((**value).clone()).ok()
    }

    /// Give the tags of element 55; all of them are bytes, so the dict itself can be handed on.
    #[allow(clippy::unused_self)] // It stands beside the other makers of values.
    fn chip<'py>(&self, py: Python<'py>, found: &Elements<'_, 'py>) -> Option<Chip<'py>> {
        let Some(tags) = found.parts(55)? else {
            return Some(Chip {
                tags: PyDict::new(py).into_any(),
                atc: 0,
                arqc_hex: String::new(),
            });
        };
        if !tags
            .values()
            .iter()
            .all(|value| value.is_exact_instance_of::<PyBytes>())
        {
            return None;
        }
        let value = |tag| tags.get_item(tag).ok();
        let atc = match value(intern!(py, "9F36"))? {
            None => 0,
            Some(counter) => counter
                .cast_exact::<PyBytes>()
                .ok()?
                .as_bytes()
                .iter()
                .take(2)
                .fold(0_u16, |n, byte| n << 8 | u16::from(*byte)),
        };
        let mut arqc_hex = String::with_capacity(16);
        if let Some(arqc) = value(intern!(py, "9F26"))? {
            for byte in arqc.cast_exact::<PyBytes>().ok()?.as_bytes() {
                for digit in [byte >> 4, byte & 0x0F] {
                    arqc_hex.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
                }
            }
        }
        Some(Chip {
            tags: tags.clone().into_any(),
            atc,
            arqc_hex,
        })
    }
}

/// What element 55 says.
struct Chip<'py> {
    tags: Bound<'py, PyAny>,
    atc: u16,
    arqc_hex: String,
}

/// Give operator and key-set number of element 61.
fn sender<'py>(
    py: Python<'py>,
    found: &Elements<'_, 'py>,
) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let nobody = || PyString::intern(py, "").into_any();
    let Some(parts) = found.parts(61)? else {
        return Some((nobody(), py.None().into_bound(py)));
    };
    let operator = match parts.get_item(intern!(py, "operator")).ok()? {
        None => nobody(),
        Some(name) => name.cast_into_exact::<PyString>().ok()?.into_any(),
    };
    let key_set = match parts.get_item(intern!(py, "key_set")).ok()? {
        None => py.None().into_bound(py),
        Some(text) => {
            let text = text.cast_exact::<PyString>().ok()?;
            let digits = ascii_of(text).filter(|digits| !digits.is_empty())?;
            number_of(digits)?.into_pyobject(py).ok()?.into_any()
        }
    };
    Some((operator, key_set))
}

/// Give the batch number of element 60, 0 without one.
fn batch(py: Python<'_>, found: &Elements<'_, '_>) -> Option<u64> {
    let Some(parts) = found.parts(60)? else {
        return Some(0);
    };
    match parts.get_item(intern!(py, "batch")).ok()? {
        None => Some(0),
        Some(text) => {
            let text = text.cast_exact::<PyString>().ok()?;
            number_of(ascii_of(text).filter(|digits| !digits.is_empty())?)
        }
    }
}

/// Give the card number of a track 2 that is plainly right.
fn card_of(track: &[u8]) -> Option<&[u8]> {
    let at = track.iter().position(|byte| *byte == b'=')?;
    let (pan, rest) = (&track[..at], &track[at + 1..]);
    let is_right = PAN_DIGITS.contains(&pan.len())
        && rest.len() >= REST_MIN
        && track.len() <= TRACK_MAX
        && pan.iter().chain(rest).all(u8::is_ascii_digit);
    is_right.then_some(pan)
}

/// Give a number of plain digits, 0 for none.
fn number_of(digits: &[u8]) -> Option<u64> {
    if digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |n, digit| n * 10 + u64::from(digit - b'0')),
    )
}

fn or_no_code(text: &[u8]) -> &[u8] {
    if text.is_empty() {
        NO_CODE
    } else {
        text
    }
}

/// Give a text without the spaces that fill it up.
fn trimmed(text: &[u8]) -> &[u8] {
    let kept = text
        .iter()
        .rposition(|byte| *byte != b' ')
        .map_or(0, |at| at + 1);
    &text[..kept]
}

fn is_printable(byte: u8) -> bool {
    (0x20..=0x7E).contains(&byte)
}

/// Give the first 128 bits of SHA-256 over the domain and the parts.
fn digest(domain: &[u8], parts: &[&[u8]]) -> u128 {
    let mut hash = Sha256::new();
    hash.update(domain);
    for part in parts {
        hash.update([SEPARATOR]);
        hash.update(part);
    }
    let mut first = [0; 16];
    first.copy_from_slice(&hash.finalize()[..16]);
    u128::from_be_bytes(first)
}
