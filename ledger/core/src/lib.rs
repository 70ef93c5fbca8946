//! Native core of the `ledger` package.
//!
//! Plain Rust throughout; only `python` knows of Python.

mod absorb;
mod accounts;
mod boundary;
mod cold;
mod commit;
mod cooling;
mod creation;
#[cfg(test)]
mod damage_tests;
mod desk;
mod disk;
mod durable;
mod engine;
mod entry_objects;
mod execute;
mod fault;
mod filter;
mod forms;
mod frames;
mod index;
mod limits;
mod marking;
#[cfg(test)]
mod memory_storage;
mod mending;
mod merkle;
mod movement;
mod opening;
mod opening_checks;
mod pages;
mod postings;
mod python;
mod python_storage;
mod queue;
mod reads;
mod record;
mod repeats;
mod replay;
mod resuming;
mod scan;
mod scan_ends;
mod scan_sealed;
mod seal_page;
mod sealed;
mod sealed_index;
mod sealer;
mod sealing;
mod sealing_thread;
mod segments;
mod sha;
mod snapshot;
mod snapshot_writer;
mod source;
mod spare;
mod state;
mod statements;
mod status;
mod storage;
mod superblock;
mod transfers;
mod verify;
mod wire;
mod writer;

use pyo3::prelude::*;

/// What Python imports as `ledger._core`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<python::NativeEngine>()?;
    module.add_class::<desk::Desk>()?;
    module.add_class::<entry_objects::EntryMaker>()
}
