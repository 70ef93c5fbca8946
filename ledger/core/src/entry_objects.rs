//! Entries as Python has them: packed ones become `ledger.port.Entry` in one step.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyType};
use python_objects::{Slotted, TRANSFER_FIELDS};

use crate::reads::ENTRY_SIZE;
use crate::wire::RECORD_SIZE;

/// The fields of `ledger.port.Entry`, in its order.
const ENTRY: [&str; 5] = [
    "sequence",
    "transfer",
    "status",
    "debit_balance_after",
    "credit_balance_after",
];

/// Makes entries of the classes that Python has for them.
#[pyclass(frozen, module = "ledger._core")]
pub struct EntryMaker {
    transfer: Slotted,
    entry: Slotted,
    statuses: Py<PyDict>,
}

#[pymethods]
impl EntryMaker {
    /// Take both classes, and the statuses by number.
    #[new]
    fn new(
        transfer: &Bound<'_, PyType>,
        entry: &Bound<'_, PyType>,
        statuses: Py<PyDict>,
    ) -> PyResult<Self> {
        Ok(Self {
            transfer: Slotted::new(transfer, &TRANSFER_FIELDS)?,
            entry: Slotted::new(entry, &ENTRY)?,
            statuses,
        })
    }

    /// Give the entries of packed ones, None where there is none.
    fn each<'py>(
        &self,
        py: Python<'py>,
        packed: Vec<Option<Bound<'py, PyBytes>>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let out = PyList::empty(py);
        for one in packed {
            match one {
                Some(bytes) => out.append(self.made(py, bytes.as_bytes())?)?,
                None => out.append(py.None())?,
            }
        }
        Ok(out)
    }

    /// Give the entries that stand one behind the other.
    fn page<'py>(&self, py: Python<'py>, packed: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let out = PyList::empty(py);
        for one in packed.chunks(ENTRY_SIZE) {
            out.append(self.made(py, one)?)?;
        }
        Ok(out)
    }
}

impl EntryMaker {
    fn made<'py>(&self, py: Python<'py>, packed: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let Some(packed) = packed.first_chunk::<ENTRY_SIZE>() else {
            return Err(PyValueError::new_err("an entry is cut off"));
        };
        let wide = |at| u128::from_le_bytes(part(packed, at)).into_pyobject(py);
        let whole = |at| u64::from_le_bytes(part(packed, at)).into_pyobject(py);
        let short = |at| u32::from_le_bytes(part(packed, at)).into_pyobject(py);
        let small = |at| u16::from_le_bytes(part(packed, at)).into_pyobject(py);
        let signed = |at| i64::from_le_bytes(part(packed, at)).into_pyobject(py);
        let transfer = self.transfer.make(
            py,
            [
                wide(0)?.into_any(),
                wide(16)?.into_any(),
                wide(32)?.into_any(),
                wide(48)?.into_any(),
                short(112)?.into_any(),
                small(116)?.into_any(),
                small(118)?.into_any(),
                wide(64)?.into_any(),
                wide(80)?.into_any(),
                whole(96)?.into_any(),
                short(104)?.into_any(),
                short(108)?.into_any(),
                whole(120)?.into_any(),
            ],
        )?;
        let status = short(RECORD_SIZE + 8)?;
        let status = self.statuses.bind(py).as_any().get_item(status)?;
        self.entry.make(
            py,
            [
                whole(RECORD_SIZE)?.into_any(),
                transfer,
                status,
                signed(RECORD_SIZE + 16)?.into_any(),
                signed(RECORD_SIZE + 24)?.into_any(),
            ],
        )
    }
}

fn part<const N: usize>(packed: &[u8; ENTRY_SIZE], at: usize) -> [u8; N] {
    packed[at..at + N]
        .try_into()
        .expect("it lies within an entry")
}
