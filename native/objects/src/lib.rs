//! Python objects made without their constructors: frozen values of slots, tuples with names.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};
use pyo3::Borrowed;

/// The fields of `ledger.structures.Transfer`, in its order.
pub const TRANSFER_FIELDS: [&str; 13] = [
    "id",
    "debit_account_id",
    "credit_account_id",
    "amount",
    "ledger",
    "code",
    "flags",
    "pending_id",
    "user_data_128",
    "user_data_64",
    "user_data_32",
    "timeout",
    "timestamp",
];

/// Makes values of one frozen dataclass with slots.
pub struct Slotted {
    class: Py<PyType>,
    names: Vec<Py<PyString>>,
}

static OBJECT_NEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

impl Slotted {
    /// Take a dataclass whose fields are these, in this order.
    pub fn new(class: &Bound<'_, PyType>, fields: &[&str]) -> PyResult<Self> {
        let names: Vec<String> = class.getattr("__match_args__")?.extract()?;
        let names = if names.is_empty() {
            class.getattr("__slots__")?.extract()?
        } else {
            names
        };
        if names != fields {
            return Err(PyTypeError::new_err("a class has other fields"));
        }
        let names = fields
            .iter()
            .map(|name| PyString::intern(class.py(), name).unbind());
        Ok(Self {
            class: class.clone().unbind(),
            names: names.collect(),
        })
    }

    /// Give the value with these fields, all of them.
    pub fn make<'py, const N: usize>(
        &self,
        py: Python<'py>,
        fields: [Bound<'py, PyAny>; N],
    ) -> PyResult<Bound<'py, PyAny>> {
        debug_assert_eq!(N, self.names.len());
        let new = OBJECT_NEW.get_or_try_init(py, || {
            py.get_type::<PyAny>().getattr("__new__").map(Bound::unbind)
        })?;
        let made = new.bind(py).call1((&self.class,))?;
        for (name, field) in self.names.iter().zip(fields) {
            // SAFETY: three live objects; the generic function writes the slot as the class's own
            // constructor does through `object.__setattr__`, which a frozen class leaves open.
            let failed = unsafe {
                ffi::PyObject_GenericSetAttr(made.as_ptr(), name.as_ptr(), field.as_ptr())
            };
            if failed != 0 {
                return Err(PyErr::fetch(py));
            }
        }
        Ok(made)
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Named {
    type Error = PyErr;

    fn extract(class: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Self::new(class.cast::<PyType>()?.as_any().cast::<PyType>()?)
    }
}

/// Makes values of one class of named tuples.
pub struct Named {
    make: Py<PyAny>,
    class: Py<PyType>,
}

impl Named {
    /// Take the class.
    pub fn new(class: &Bound<'_, PyType>) -> PyResult<Self> {
        let make = class.py().get_type::<PyTuple>().getattr("__new__")?;
        Ok(Self {
            make: make.unbind(),
            class: class.clone().unbind(),
        })
    }

    /// Give the tuple with these fields.
    pub fn make<'py>(
        &self,
        py: Python<'py>,
        fields: Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.make.bind(py).call1((&self.class, fields))
    }
}
