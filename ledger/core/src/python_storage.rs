//! A storage written in Python, for simulated disks: an object like `ledger.storage.Storage`.
//!
//! Its methods take names, not open files, which is the same to the engine. An `OSError` keeps its
//! errno; any other exception (a simulated power cut) is a failed operation like any other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::storage::{Access, Shared, Storage, StoredFile};

struct PythonStorage {
    object: Arc<Py<PyAny>>,
    location: PathBuf,
}

struct PythonFile {
    object: Arc<Py<PyAny>>,
    name: String,
}

/// Use a Python object as the disk.
pub fn storage_of(object: &Bound<'_, PyAny>) -> PyResult<Shared> {
    let location: String = object.getattr("location")?.extract()?;
    Ok(Arc::new(PythonStorage {
        object: Arc::new(object.clone().unbind()),
        location: location.into(),
    }))
}

fn io_error(py: Python<'_>, error: &PyErr) -> io::Error {
    let errno = error.value(py).getattr("errno");
    match errno.and_then(|errno| errno.extract::<i32>()) {
        Ok(errno) => io::Error::from_raw_os_error(errno),
        Err(_) => io::Error::other(error.to_string()),
    }
}

fn ask<T>(
    object: &Py<PyAny>,
    question: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
) -> io::Result<T> {
    Python::attach(|py| question(object.bind(py)).map_err(|error| io_error(py, &error)))
}

impl Storage for PythonStorage {
    fn location(&self) -> &Path {
        &self.location
    }

    fn names(&self) -> io::Result<Vec<String>> {
        ask(&self.object, |disk| disk.call_method0("names")?.extract())
    }

    fn open(&self, name: &str, _access: Access) -> io::Result<Box<dyn StoredFile>> {
        let file = PythonFile {
            object: Arc::clone(&self.object),
            name: name.to_owned(),
        };
        // A file that is not there is noticed here, as on the real disk.
        file.length()?;
        Ok(Box::new(file))
    }

    fn create(&self, name: &str) -> io::Result<()> {
        ask(&self.object, |disk| {
            disk.call_method1("create_zeroed", (name, 0)).map(drop)
        })
    }

    fn rename(&self, old: &str, new: &str) -> io::Result<()> {
        ask(&self.object, |disk| {
            disk.call_method1("rename", (old, new)).map(drop)
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        ask(&self.object, |disk| {
            disk.call_method1("remove", (name,)).map(drop)
        })
    }

    fn sync_directory(&self) -> io::Result<()> {
        ask(&self.object, |disk| {
            disk.call_method0("sync_directory").map(drop)
        })
    }

    fn lock(&self) -> io::Result<()> {
        Python::attach(|py| {
            let locked = self.object.bind(py).call_method0("lock");
            locked.map(drop).map_err(|error| {
                let errors = py.import("ledger.errors");
                let held = errors.and_then(|errors| errors.getattr("LedgerLockedError"));
                match held {
                    Ok(held) if error.matches(py, &held).unwrap_or(false) => {
                        io::ErrorKind::WouldBlock.into()
                    }
                    _ => io_error(py, &error),
                }
            })
        })
    }

    fn unlock(&self) {
        // Closing releases the lock; a simulated disk that cannot is its author's to mend.
        drop(ask(&self.object, |disk| {
            disk.call_method0("close").map(drop)
        }));
    }
}

impl StoredFile for PythonFile {
    fn length(&self) -> io::Result<u64> {
        ask(&self.object, |disk| {
            disk.call_method1("size", (&self.name,))?.extract()
        })
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        ask(&self.object, |disk| {
            let wanted = (&self.name, offset, bytes.len());
            let read = disk.call_method1("read", wanted)?;
            let read: &[u8] = read.extract()?;
            let length = read.len().min(bytes.len());
            bytes[..length].copy_from_slice(&read[..length]);
            Ok(length)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        ask(&self.object, |disk| {
            let data = PyBytes::new(disk.py(), bytes);
            disk.call_method1("write", (&self.name, offset, data))
                .map(drop)
        })
    }

    fn sync(&self) -> io::Result<()> {
        ask(&self.object, |disk| {
            disk.call_method1("sync", (&self.name,)).map(drop)
        })
    }
}
