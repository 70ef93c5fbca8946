//! The codec half of `protocols._core`: the native twin of the compiled plans in `iso8583`.
//!
//! It reads and writes messages that are plainly right, straight from a table made of the spec.
//! Anything odd (damage, a value that does not fit or wants padding) is handed to the Python walk or
//! packer, which decides and words the error; so both twins have one set of errors.

mod ffi;
mod packed;
mod read;
mod read_parts;
mod read_simple;
mod short;
mod table;
mod templates;
mod write;
mod write_parts;

use ffi::{MessageSlots, SmallNumbers};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};
use table::Table;
use templates::Templates;

/// Reads and writes the messages of one spec.
#[pyclass(name = "CodecCore", module = "protocols._core.codec", frozen)]
struct CodecCore {
    table: Table,
    templates: Templates,
    numbers: SmallNumbers,
    message: MessageSlots,
    spec: Py<PyAny>,
    read_slowly: Py<PyAny>,
    write_slowly: Py<PyAny>,
}

#[pymethods]
impl CodecCore {
    /// Take the spec, the class of messages, the encodings' tables and the two that word errors.
    #[new]
    fn new(
        spec: Bound<'_, PyAny>,
        message: &Bound<'_, PyType>,
        tables: &Bound<'_, PyDict>,
        read_slowly: Py<PyAny>,
        write_slowly: Py<PyAny>,
    ) -> PyResult<Self> {
        Ok(Self {
            table: Table::new(&spec, tables)?,
            templates: Templates::default(),
            numbers: SmallNumbers::new(spec.py())?,
            message: MessageSlots::new(message)?,
            spec: spec.unbind(),
            read_slowly,
            write_slowly,
        })
    }

    /// Give the message of these bytes.
    fn decode<'py>(&self, raw: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = raw.py();
        if let Ok(bytes) = raw.cast_exact::<PyBytes>() {
            if let Some((mti, elements)) =
                read::message(py, &self.table, &self.templates, bytes.as_bytes())
            {
                let spec = self.spec.bind(py).clone();
                return self.message.message(mti, elements, spec);
            }
        }
        self.read_slowly.bind(py).call1((raw,))
    }

    /// Give the bytes of a message.
    fn encode<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = message.py();
        if let Some((mti, elements)) = self.message.parts(message) {
            if let Some(out) = self.encode_plain(&mti, &elements) {
                return Ok(PyBytes::new(py, &out).into_any());
            }
        }
        let mti = message.getattr(intern!(py, "mti"))?;
        let elements = message.getattr(intern!(py, "elements"))?;
        if let Some(out) = self.encode_plain(&mti, &elements) {
            return Ok(PyBytes::new(py, &out).into_any());
        }
        self.write_slowly.bind(py).call1((mti, elements))
    }
}

impl CodecCore {
    /// Give the bytes of parts that are plainly right.
    #[inline]
    fn encode_plain(&self, mti: &Bound<'_, PyAny>, elements: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
        let text = mti.cast_exact::<PyString>().ok()?;
        let dict = elements.cast_exact::<PyDict>().ok()?;
        write::message(&self.table, &self.numbers, text, dict)
    }
}

/// Add the submodule `codec`.
pub fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "codec")?;
    module.add_class::<CodecCore>()?;
    parent.add_submodule(&module)
}
