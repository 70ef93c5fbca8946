//! Small functions of elements and card numbers.

use crate::request::{self, Request};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// Give a bit for each element of a message; None for a key that is no element number.
pub fn bits_of(elements: &Bound<'_, PyDict>) -> Option<[u64; 3]> {
    let mut bits = [0; 3];
    for (key, _) in elements.iter() {
        let number: usize = key.extract().ok()?;
        *bits.get_mut(number / 64)? |= 1 << (number % 64);
    }
    Some(bits)
}

pub fn pan_of<'py>(request: &Request<'py>) -> Option<Bound<'py, PyString>> {
    let pan = request.at(request::PAN)?;
    let content = pan.call_method0(intern!(pan.py(), "reveal")).ok()?;
    content.cast_into_exact().ok()
}

/// Give the 12 rightmost digits but the check digit: `protocols.crypto.pin.pan_digits`.
pub fn pan_part(pan: &str) -> Option<&str> {
    let end = pan.len().checked_sub(1)?;
    pan.get(end.checked_sub(12)?..end)
}

/// Give the diversification block of option A. EMV 4.4 Book 2, Annex A1.4.1.
pub fn card_block(pan: &str, sequence: &str) -> Option<[u8; 8]> {
    let two = match sequence.len() {
        0 => "00".to_owned(),
        1 => format!("0{sequence}"),
        _ => sequence.get(sequence.len() - 2..)?.to_owned(),
    };
    let digits = format!("{pan:0>14}{two}");
    let last = digits.as_bytes().get(digits.len() - 16..)?;
    if !last.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut block = [0; 8];
    for (byte, pair) in block.iter_mut().zip(last.chunks_exact(2)) {
        *byte = (pair[0] - b'0') << 4 | (pair[1] - b'0');
    }
    Some(block)
}
