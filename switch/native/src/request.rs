//! What a request says: the facts tuple of `switch.request.Request`, read by place.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFrozenSet, PyInt, PyString, PyTuple, PyType};

/// The fields in their order, as far as they are read here; `Places::check` holds the class to it.
const FIELDS: [(&str, usize); 20] = [
    ("message", MESSAGE),
    ("mti", MTI),
    ("processing_code", PROCESSING_CODE),
    ("amount_sen", AMOUNT),
    ("transmission_time", TRANSMISSION_TIME),
    ("stan", STAN),
    ("entry_mode", ENTRY_MODE),
    ("terminal_id", TERMINAL_ID),
    ("merchant_id", MERCHANT_ID),
    ("currency", CURRENCY),
    ("pan", PAN),
    ("pan_sequence", PAN_SEQUENCE),
    ("pin_block", PIN_BLOCK),
    ("chip", CHIP),
    ("additional_amount_types", ADDITIONAL_AMOUNT_TYPES),
    ("key_set", KEY_SET),
    ("batch", BATCH),
    ("atc", ATC),
    ("transfer_id", TRANSFER_ID),
    ("fingerprint", FINGERPRINT),
];
pub const MESSAGE: usize = 0;
pub const MTI: usize = 2;
pub const PROCESSING_CODE: usize = 3;
pub const AMOUNT: usize = 4;
pub const TRANSMISSION_TIME: usize = 5;
pub const STAN: usize = 6;
pub const ENTRY_MODE: usize = 7;
pub const TERMINAL_ID: usize = 9;
pub const MERCHANT_ID: usize = 10;
pub const CURRENCY: usize = 11;
pub const PAN: usize = 13;
pub const PAN_SEQUENCE: usize = 14;
pub const PIN_BLOCK: usize = 15;
pub const CHIP: usize = 16;
const ADDITIONAL_AMOUNT_TYPES: usize = 17;
pub const KEY_SET: usize = 19;
pub const BATCH: usize = 23;
pub const ATC: usize = 24;
pub const TRANSFER_ID: usize = 25;
pub const FINGERPRINT: usize = 26;

/// A request.
pub struct Request<'py> {
    fields: Bound<'py, PyTuple>,
}

impl<'py> Request<'py> {
    /// Hold the class of requests to the places that are read here.
    pub fn check(class: &Bound<'_, PyType>) -> PyResult<()> {
        let names: Vec<String> = class.getattr("_fields")?.extract()?;
        for (name, place) in FIELDS {
            if names.get(place).map(String::as_str) != Some(name) {
                return Err(PyTypeError::new_err("a request has other fields"));
            }
        }
        Ok(())
    }

    /// Take a request.
    pub fn of(request: &Bound<'py, PyAny>) -> Option<Self> {
        let fields = request.cast::<PyTuple>().ok()?.clone();
        Some(Self { fields })
    }

    /// Give the interpreter's token.
    pub fn py(&self) -> Python<'py> {
        self.fields.py()
    }

    /// Give a field as it is.
    pub fn at(&self, place: usize) -> Option<Bound<'py, PyAny>> {
        self.fields.get_item(place).ok()
    }

    /// Give a text field.
    pub fn text(&self, place: usize) -> Option<Bound<'py, PyString>> {
        self.at(place)?.cast_into_exact().ok()
    }

    /// Give a whole number.
    pub fn number(&self, place: usize) -> Option<u64> {
        self.at(place)?.extract().ok()
    }

    /// Give a whole number of 128 bits.
    pub fn wide(&self, place: usize) -> Option<u128> {
        wide(&self.at(place)?)
    }

    /// Give the chip's tags.
    pub fn chip(&self) -> Option<Chip<'py>> {
        let tags = self.at(CHIP)?.cast_into_exact().ok()?;
        Some(Chip { tags })
    }

    /// Tell whether element 54 names no amount.
    pub fn has_no_additional_amount(&self) -> Option<bool> {
        let types = self.at(ADDITIONAL_AMOUNT_TYPES)?;
        Some(types.cast::<PyFrozenSet>().ok()?.is_empty())
    }
}

/// The tags of element 55 by their hex text.
pub struct Chip<'py> {
    /// The dict as the codec made it.
    pub tags: Bound<'py, PyDict>,
}

impl<'py> Chip<'py> {
    /// Give a tag's bytes; None without it.
    pub fn tag(&self, name: &Bound<'py, PyString>) -> Option<Bound<'py, PyBytes>> {
        self.tags.get_item(name).ok()??.cast_into_exact().ok()
    }
}

/// Give a whole number of 128 bits.
pub fn wide(value: &Bound<'_, PyAny>) -> Option<u128> {
    value.cast_exact::<PyInt>().ok()?.extract().ok()
}
