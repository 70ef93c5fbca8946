//! The three places where the codec speaks to Python below the binding's safe functions, which cost more.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use pyo3::Borrowed;

/// A value of a dict that is not counted: good while nobody changes the dict.
pub type Lent<'a, 'py> = Borrowed<'a, 'py, PyAny>;

/// Give the items of a dict whose keys are whole numbers of 1 to `limit`, in the dict's order.
///
/// None when a key is anything else. The caller must run no Python code while it holds the values:
/// the dict could change under them.
pub fn numbered<'a, 'py>(
    dict: &'a Bound<'py, PyDict>,
    limit: usize,
) -> Option<Vec<(usize, Lent<'a, 'py>)>> {
    let py = dict.py();
    let mut out = Vec::with_capacity(dict.len());
    let mut position: ffi::Py_ssize_t = 0;
    let mut key: *mut ffi::PyObject = std::ptr::null_mut();
    let mut value: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: `dict` is a dict and the interpreter is attached. PyDict_Next fills `key` and `value`
    // with pointers that the dict owns, before it gives 1. Nothing here runs Python code, so the
    // dict does not change in between; `'a` ties the values to the borrow of the dict, and the
    // caller promises the same for as long as it holds them.
    unsafe {
        while ffi::PyDict_Next(
            dict.as_ptr(),
            &raw mut position,
            &raw mut key,
            &raw mut value,
        ) != 0
        {
            if ffi::PyLong_CheckExact(key) == 0 {
                return None;
            }
            let mut overflow = 0;
            let number = ffi::PyLong_AsLongAndOverflow(key, &raw mut overflow);
            let number = usize::try_from(number)
                .ok()
                .filter(|n| (1..=limit).contains(n))?;
            out.push((number, Borrowed::from_ptr(py, value)));
        }
    }
    Some(out)
}

/// Give a str of ASCII bytes that the caller has checked; None when they are not even UTF-8.
pub fn ascii_string<'py>(py: Python<'py>, ascii: &[u8]) -> Option<Bound<'py, PyAny>> {
    let size = ffi::Py_ssize_t::try_from(ascii.len()).ok()?;
    // SAFETY: pointer and length are of one slice; Python copies and checks the bytes itself, and
    // gives a new reference, or null with an exception that is dropped here.
    unsafe {
        let made = ffi::PyUnicode_FromStringAndSize(ascii.as_ptr().cast(), size);
        Bound::from_owned_ptr_or_err(py, made).ok()
    }
}

/// Give a new instance of a class made in Python with `__slots__`, its slots still empty.
///
/// This is `object.__new__(cls)` without the call.
pub fn empty_instance<'py>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: `class` is a heap type made by a class statement over `object`, whose instances
    // PyType_GenericAlloc makes complete (zeroed slots are unset attributes); it gives a new
    // reference or null with an exception set.
    unsafe {
        let made = ffi::PyType_GenericAlloc(class.as_type_ptr(), 0);
        Bound::from_owned_ptr_or_err(class.py(), made)
    }
}
