//! Native core of the `ledger` package.
//!
//! Plain Rust throughout; only `python` knows of Python.

mod accounts;
mod commit;
mod creation;
mod desk;
mod disk;
mod durable;
mod engine;
mod execute;
mod fault;
mod forms;
mod frames;
mod index;
mod limits;
mod merkle;
mod opening;
mod pages;
mod postings;
mod python;
mod python_storage;
mod queue;
mod reads;
mod record;
mod repeats;
mod replay;
mod scan;
mod segments;
mod sha;
mod source;
mod spare;
mod state;
mod status;
mod storage;
mod transfers;
mod verify;
mod wire;
mod writer;

use pyo3::prelude::*;

/// What Python imports as `ledger._core`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<python::NativeEngine>()?;
    module.add_class::<desk::Desk>()
}
