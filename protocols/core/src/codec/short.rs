//! Strings of one to four digits, made once: message types, codes, dates and months come again.
//!
//! Like the interpreter's own small numbers. The table is bounded by what four digits can say: 11,110
//! strings, under a megabyte when all have been seen; it holds no card data, for that is longer.

use super::ffi::ascii_string;
use pyo3::prelude::*;
use std::sync::OnceLock;

/// Longest shared string.
pub const SHORT_MAX: usize = 4;

/// Where the strings of each length begin.
const STARTS: [usize; SHORT_MAX + 1] = [0, 0, 10, 110, 1_110];

static KNOWN: [OnceLock<Py<PyAny>>; 11_110] = [const { OnceLock::new() }; 11_110];

/// Give the str of one to four ASCII digits that the caller has checked.
#[inline]
pub fn shared<'py>(py: Python<'py>, digits: &[u8]) -> Option<Bound<'py, PyAny>> {
    let number = digits
        .iter()
        .fold(0, |number, digit| number * 10 + usize::from(digit & 0x0F));
    shared_number(py, number, digits.len())
}

/// Give the str of a number with `units` digits, one to four, zeros in front.
#[inline]
pub fn shared_number(py: Python<'_>, number: usize, units: usize) -> Option<Bound<'_, PyAny>> {
    let slot = KNOWN.get(*STARTS.get(units)? + number)?;
    if let Some(known) = slot.get() {
        return Some(known.bind(py).clone());
    }
    let made = ascii_string(py, format!("{number:0units$}").as_bytes())?;
    Some(slot.get_or_init(|| made.unbind()).bind(py).clone())
}
