//! The codec half of `protocols._core`: the native twin of the compiled plans in `iso8583`.
//!
//! It reads and writes messages that are plainly right, straight from a table made of the spec.
//! Anything odd (damage, a value that does not fit or wants padding) is handed to the Python walk or
//! packer, which decides and words the error; so both twins have one set of errors.

mod facts;
mod ffi;
mod hex;
mod lazy;
mod mask;
mod out;
mod packed;
mod page;
mod read;
mod read_parts;
mod read_simple;
mod short;
mod table;
mod templates;
mod write;
mod write_parts;

use crate::crypto::{holds, RetailMacContext};
use ffi::{MessageSlots, SmallNumbers};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict, PyString, PyType};
use read::{Mac, Read};
use table::Table;
use templates::Templates;
use write::Sign;

/// Reads and writes the messages of one spec.
#[pyclass(name = "CodecCore", module = "protocols._core.codec", frozen)]
struct CodecCore {
    table: Table,
    templates: Templates,
    numbers: SmallNumbers,
    message: MessageSlots,
    spec: Py<PyAny>,
    slow: Slow,
}

/// The Python functions that word every error.
#[derive(FromPyObject)]
struct Slow {
    #[pyo3(attribute)]
    read: Py<PyAny>,
    #[pyo3(attribute)]
    write: Py<PyAny>,
    #[pyo3(attribute)]
    element: Py<PyAny>,
    #[pyo3(attribute)]
    lazy: Py<PyAny>,
}

#[pymethods]
impl CodecCore {
    /// Take the spec, the class of messages, the encodings' tables and the two that word errors.
    #[new]
    fn new(
        spec: Bound<'_, PyAny>,
        message: &Bound<'_, PyType>,
        tables: &Bound<'_, PyDict>,
        slow: Slow,
    ) -> PyResult<Self> {
        Ok(Self {
            table: Table::new(&spec, tables)?,
            templates: Templates::default(),
            numbers: SmallNumbers::new(spec.py())?,
            message: MessageSlots::new(message)?,
            spec: spec.unbind(),
            slow,
        })
    }

    /// Give the message of these bytes.
    fn decode<'py>(&self, raw: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = raw.py();
        if let Ok(bytes) = raw.cast_exact::<PyBytes>() {
            if let Some(Read { mti, elements, .. }) =
                read::message(py, &self.table, &self.templates, bytes.as_bytes())
            {
                let spec = self.spec.bind(py).clone();
                return self.message.message(mti, elements, spec);
            }
        }
        self.slow.read.bind(py).call1((raw,))
    }

    /// Give the message with its elements found and not yet read.
    fn decode_lazy<'py>(
        slf: &Bound<'py, Self>,
        raw: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(bytes) = raw.cast_exact::<PyBytes>() {
            if let Some(found) = lazy::found(slf, bytes) {
                return Ok(Bound::new(raw.py(), found)?.into_any());
            }
        }
        slf.get().slow.lazy.bind(raw.py()).call1((raw,))
    }

    /// Give MTI and the wanted elements as a message; None when it is not plainly right.
    #[allow(clippy::needless_pass_by_value)] // PyO3 hands it over so.
    fn peek<'py>(
        &self,
        raw: &Bound<'py, PyBytes>,
        wanted: Vec<usize>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = raw.py();
        let Some((mti, elements)) = read::peek(py, &self.table, raw.as_bytes(), &wanted) else {
            return Ok(None);
        };
        let spec = self.spec.bind(py).clone();
        self.message.message(mti, elements, spec).map(Some)
    }

    /// Give the bytes with everything sensitive overwritten; None when it is not plainly right.
    fn mask<'py>(&self, raw: &Bound<'py, PyBytes>) -> Option<Bound<'py, PyBytes>> {
        let bytes = raw.as_bytes();
        read::message(raw.py(), &self.table, &self.templates, bytes)?;
        let mut copy = bytes.to_vec();
        mask::message(&self.table, &mut copy)?;
        Some(PyBytes::new(raw.py(), &copy))
    }

    /// Give the bytes of a message.
    fn encode<'py>(&self, message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = message.py();
        if let Some((mti, elements)) = self.message.parts(message) {
            if let Some(out) = self.encode_plain(&mti, &elements, None) {
                return Ok(out.into_any());
            }
        }
        let mti = message.getattr(intern!(py, "mti"))?;
        let elements = message.getattr(intern!(py, "elements"))?;
        if let Some(out) = self.encode_plain(&mti, &elements, None) {
            return Ok(out.into_any());
        }
        self.slow.write.bind(py).call1((mti, elements))
    }

    /// Give the bytes of a message with its MAC in the end, None when the packer must do it.
    fn encode_signed<'py>(
        &self,
        message: &Bound<'py, PyAny>,
        key: &RetailMacContext,
        padding: u8,
    ) -> Option<Bound<'py, PyBytes>> {
        let (mti, elements) = self.message.parts(message)?;
        let sign = |covered: &[u8]| key.over(covered, padding);
        self.encode_plain(&mti, &elements, Some(&sign))
    }

    /// Give the bytes of the answer to a request, None when the packer must do it.
    ///
    /// `echoed` has bit n for element n; `changes` come on top, None taking an element away; `key`
    /// is the context of the MAC in the end with its padding.
    #[allow(clippy::needless_pass_by_value)] // PyO3 hands it over so.
    fn answer<'py>(
        &self,
        request: &Bound<'py, PyAny>,
        mti: &Bound<'py, PyString>,
        echoed: u128,
        changes: &Bound<'py, PyDict>,
        key: Option<(Py<RetailMacContext>, u8)>,
    ) -> Option<Bound<'py, PyBytes>> {
        let (_, elements) = self.message.parts(request)?;
        let elements = elements.cast_exact::<PyDict>().ok()?;
        let key = key.as_ref();
        let sign =
            |covered: &[u8]| key.and_then(|(mac, padding)| mac.get().over(covered, *padding));
        let sign: Option<Sign<'_>> = if key.is_some() { Some(&sign) } else { None };
        let mti = ffi::ascii_of(mti)?;
        write::answer(
            &self.table,
            &self.numbers,
            mti,
            (&elements, echoed),
            changes,
            sign,
        )
    }

    /// Give the message and which of its sender's keys proves its MAC.
    ///
    /// `keys` gives contexts with their padding by the text of element `sender`. Gives None for
    /// what is not plainly right; else the message and the index of the key, -1 when none proves
    /// it, -2 without MAC, -3 for an unknown sender.
    fn receive<'py>(
        &self,
        raw: &Bound<'py, PyBytes>,
        keys: &Bound<'py, PyDict>,
        sender: usize,
    ) -> PyResult<Verdict<'py>> {
        let Some(arrival) = self.arrival(raw, keys, sender)? else {
            return Ok(None);
        };
        let state = arrival.proof(raw.as_bytes());
        Ok(Some((arrival.message, state)))
    }

    /// The same for many; the MACs are checked while other Python threads run on.
    fn receive_batch<'py>(
        &self,
        py: Python<'py>,
        raws: Vec<Bound<'py, PyBytes>>,
        keys: &Bound<'py, PyDict>,
        sender: usize,
    ) -> PyResult<Vec<Verdict<'py>>> {
        let arrivals = raws
            .iter()
            .map(|raw| self.arrival(raw, keys, sender))
            .collect::<PyResult<Vec<_>>>()?;
        let (messages, claims): (Vec<_>, Vec<_>) = arrivals
            .into_iter()
            .zip(raws)
            .map(|(arrival, raw)| match arrival {
                Some(arrival) => {
                    let raw = PyBackedBytes::from(raw);
                    (Some(arrival.message), Some((arrival.claim, raw)))
                }
                None => (None, None),
            })
            .unzip();
        let proofs: Vec<isize> = py.detach(|| {
            claims
                .iter()
                .map(|claim| {
                    claim
                        .as_ref()
                        .map_or(NO_MAC, |(claim, raw)| claim.proof(raw))
                })
                .collect()
        });
        let pairs = messages.into_iter().zip(proofs);
        Ok(pairs
            .map(|(message, proof)| Some((message?, proof)))
            .collect())
    }
}

impl CodecCore {
    /// Read a message and find the keys of its sender; None when it is not plainly right.
    fn arrival<'py>(
        &self,
        raw: &Bound<'py, PyBytes>,
        keys: &Bound<'py, PyDict>,
        sender: usize,
    ) -> PyResult<Option<Arrival<'py>>> {
        let py = raw.py();
        let Some(read) = read::message(py, &self.table, &self.templates, raw.as_bytes()) else {
            return Ok(None);
        };
        let mac = read.mac(&self.table);
        let known = match read.elements.get_item(sender)? {
            Some(name) if name.cast_exact::<PyString>().is_ok() => keys.get_item(name)?,
            _ => None,
        };
        let contexts = match known {
            None => None,
            Some(known) => match contexts(&known)? {
                None => return Ok(None),
                found => found,
            },
        };
        let spec = self.spec.bind(py).clone();
        Ok(Some(Arrival {
            message: self.message.message(read.mti, read.elements, spec)?,
            claim: Claim { mac, contexts },
        }))
    }

    /// Give the bytes of parts that are plainly right.
    #[inline]
    fn encode_plain<'py>(
        &self,
        mti: &Bound<'py, PyAny>,
        elements: &Bound<'py, PyAny>,
        sign: Option<Sign<'_>>,
    ) -> Option<Bound<'py, PyBytes>> {
        let text = mti.cast_exact::<PyString>().ok()?;
        let dict = elements.cast_exact::<PyDict>().ok()?;
        write::message(&self.table, &self.numbers, text, dict, sign)
    }
}

/// What `receive` says instead of the index of a key.
const NOT_PROVED: isize = -1;
const NO_MAC: isize = -2;
const UNKNOWN_SENDER: isize = -3;

/// A message and the index of the key that proves it; None when it is not plainly right.
type Verdict<'py> = Option<(Bound<'py, PyAny>, isize)>;

/// A message with what is needed to prove it.
struct Arrival<'py> {
    message: Bound<'py, PyAny>,
    claim: Claim,
}

/// The MAC of a message and the keys that may have made it.
struct Claim {
    mac: Option<Mac>,
    contexts: Option<Vec<Context>>,
}

/// The context of a key, and its padding.
type Context = (Py<RetailMacContext>, u8);

/// Give the contexts of a sender's keys; None when one is not of this core.
fn contexts(known: &Bound<'_, PyAny>) -> PyResult<Option<Vec<Context>>> {
    let mut out = Vec::new();
    for key in known.try_iter()? {
        match key?.getattr(intern!(known.py(), "kept"))?.extract() {
            Ok(context) => out.push(context),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(out))
}

impl Arrival<'_> {
    fn proof(&self, raw: &[u8]) -> isize {
        self.claim.proof(raw)
    }
}

impl Claim {
    /// Give the index of the key that proves the bytes, or why there is none.
    fn proof(&self, raw: &[u8]) -> isize {
        let Some(mac) = &self.mac else { return NO_MAC };
        let Some(contexts) = &self.contexts else {
            return UNKNOWN_SENDER;
        };
        let Some(covered) = raw.get(..mac.at) else {
            return NOT_PROVED;
        };
        let found = contexts.iter().position(|(context, padding)| {
            holds(context.get(), *padding, covered, &mac.value) == Some(true)
        });
        found
            .and_then(|index| isize::try_from(index).ok())
            .unwrap_or(NOT_PROVED)
    }
}

/// Add the submodule `codec`.
pub fn register(parent: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(parent.py(), "codec")?;
    module.add_class::<CodecCore>()?;
    module.add_class::<lazy::LazyMessage>()?;
    module.add_class::<facts::FactsReader>()?;
    parent.add_submodule(&module)
}
