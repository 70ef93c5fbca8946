//! Code pages other than ASCII.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Byte to ASCII, 0xFF where the encoding has none; and back.
pub struct Page {
    pub to_ascii: Box<[u8; 256]>,
    pub from_ascii: Box<[u8; 128]>,
}

impl Page {
    /// Give a code page of the encodings' tables by its name.
    pub fn of(name: &str, tables: &Bound<'_, PyDict>) -> PyResult<Self> {
        let known = tables
            .get_item("pages")?
            .and_then(|pages| pages.get_item(name).ok())
            .ok_or_else(|| PyValueError::new_err("unknown encoding"))?;
        let to_ascii: [u8; 256] = known
            .extract::<Vec<u8>>()?
            .try_into()
            .map_err(|_| PyValueError::new_err("an encoding's table has 256 bytes"))?;
        let mut from_ascii = [0_u8; 128];
        for (byte, ascii) in (0_u8..=255).zip(to_ascii) {
            if let Some(slot) = from_ascii.get_mut(usize::from(ascii)) {
                *slot = byte;
            }
        }
        Ok(Self {
            to_ascii: Box::new(to_ascii),
            from_ascii: Box::new(from_ascii),
        })
    }
}
