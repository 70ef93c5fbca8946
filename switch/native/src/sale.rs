//! A plain sale under way.

use pyo3::prelude::*;

/// A purchase that every stage has let pass; the ledger has the next word.
#[pyclass(module = "switch._core", frozen, get_all)]
pub struct PlainSale {
    /// The message as it came.
    pub arrival: Py<PyAny>,
    /// What the door gave: request, terminal, session keys.
    pub accepted: Py<PyAny>,
    /// The spec's use of the message.
    pub usage: Py<PyAny>,
    /// Bit n for each element n that the answer copies.
    pub echoed: u128,
    pub merchant: Py<PyAny>,
    pub card: Py<PyAny>,
    /// What is posted, and the step that asks for it.
    pub transfer: Py<PyAny>,
    pub step: Py<PyAny>,
    pub transfer_id: Py<PyAny>,
    /// The business date in its record.
    pub day: Py<PyAny>,
    /// The account type that balances of the answer name.
    pub account_type: Py<PyAny>,
    /// The card's session key, as a type that hides itself.
    pub cryptogram_key: Py<PyAny>,
}

#[pymethods]
impl PlainSale {
    /// Name its kind: nothing of it may be printed.
    #[allow(clippy::unused_self)] // Python calls it so.
    fn __repr__(&self) -> &'static str {
        "<PlainSale>"
    }
}
