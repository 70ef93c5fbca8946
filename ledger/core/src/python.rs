//! The boundary: everything that knows of Python, and nothing else.
//!
//! The interpreter's lock is given back before any lock of the engine is taken that is held for
//! longer than a moment. The one call into Python from inside the engine (random bytes, once per
//! segment) then cannot meet a thread that holds the interpreter and waits for the engine.

// PyO3 hands arguments over as values.
#![allow(clippy::needless_pass_by_value)]

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::boundary::{
    detached, entropy_of, exception, expected_of, filter_of, ids_of, report_tuple, whole_events,
    PackedOptions, ReportTuple, StatementTuple,
};
use crate::desk::{pack_transfers, read_integer};
use crate::engine::{hold, Engine};
use crate::execute::EventKind;
use crate::fault::{Fault, FaultKind};
use crate::opening::{open_reader, open_writer, readable_directory, writable_directory, Options};
use crate::pages::Identity;
use crate::python_storage::storage_of;
use crate::queue::{Events, Request};
use crate::reads;
use crate::source::{Handle, Source, Walked};
use crate::statements;
use crate::storage::Schedule;
use crate::verify::verify;
use crate::wire::WireAccount;

/// An open ledger.
#[pyclass(frozen, module = "ledger._core")]
pub struct NativeEngine {
    handle: Handle,
    identity: Identity,
    torn: Option<(u64, u64, u64)>,
}

#[pymethods]
impl NativeEngine {
    /// Open a directory for writing, making the ledger when `create` says so.
    ///
    /// With a `storage` of Python's the directory is that one; without `background` one thread does
    /// everything.
    #[staticmethod]
    #[pyo3(signature = (path, random_bytes, create, segment_size, expected, storage, background))]
    // The options of one opening, each by its name in Python.
    #[allow(clippy::too_many_arguments)]
    fn open_writer(
        py: Python<'_>,
        path: PathBuf,
        random_bytes: Py<PyAny>,
        create: bool,
        segment_size: u64,
        expected: Option<(u64, [u8; 32])>,
        storage: Option<Bound<'_, PyAny>>,
        background: bool,
    ) -> PyResult<Self> {
        let options = Options {
            create,
            segment_size,
            expected: expected_of(expected),
            schedule: if background {
                Schedule::Threads
            } else {
                Schedule::Inline
            },
        };
        let entropy = entropy_of(random_bytes);
        let given = storage.as_ref().map(storage_of).transpose()?;
        let opened = detached(py, || {
            let storage = given.map_or_else(|| writable_directory(&path, &options), Ok)?;
            open_writer(&storage, &options, entropy)
        })?;
        let identity = opened.scan.identity;
        let torn = opened
            .torn
            .as_ref()
            .map(|(tail, length)| (tail.segment, tail.offset, *length));
        Ok(Self {
            handle: Handle::Writer(Engine::start(opened)),
            identity,
            torn,
        })
    }

    /// Open a directory for reading what is durable now.
    #[staticmethod]
    #[pyo3(signature = (path, expected, storage=None))]
    fn open_reader(
        py: Python<'_>,
        path: PathBuf,
        expected: Option<(u64, [u8; 32])>,
        storage: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let given = storage.as_ref().map(storage_of).transpose()?;
        let scan = detached(py, || {
            let storage = given.map_or_else(|| readable_directory(&path), Ok)?;
            open_reader(&storage, expected_of(expected))
        })?;
        let identity = scan.identity;
        Ok(Self {
            handle: Handle::Reader(Box::new(Walked::new(scan))),
            identity,
            torn: None,
        })
    }

    /// (segment, offset, length) of the tail that recovery set to zero.
    #[getter]
    fn torn(&self) -> Option<(u64, u64, u64)> {
        self.torn
    }

    /// The sequence of the last durable record.
    #[getter]
    fn last_sequence(&self, py: Python<'_>) -> u64 {
        match &self.handle {
            Handle::Writer(engine) => hold(&engine.durable).sequence,
            Handle::Reader(walked) => py.detach(|| walked.look(|_, last| last)),
        }
    }

    /// Raise when nothing can be asked any more.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        match &self.handle {
            Handle::Writer(engine) => engine.check(),
            Handle::Reader(walked) => walked.check(),
        }
        .map_err(|fault| exception(py, &fault))
    }

    /// What kept a segment from being sealed or prepared; "" for nothing.
    fn housekeeping_error(&self) -> String {
        let trouble = match &self.handle {
            Handle::Writer(engine) => engine.trouble(),
            Handle::Reader(_) => None,
        };
        trouble.map_or_else(String::new, |fault| fault.text)
    }

    /// Take in what the writer has made durable meanwhile.
    fn refresh(&self, py: Python<'_>) -> PyResult<()> {
        match &self.handle {
            Handle::Writer(_) => Ok(()),
            Handle::Reader(walked) => detached(py, || walked.refresh()),
        }
    }

    /// Create accounts, or post transfers, from packed bytes; give packed results.
    fn execute<'py>(
        &self,
        py: Python<'py>,
        accounts: bool,
        events: PyBuffer<u8>,
        now: u64,
        deadline: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let kind = if accounts {
            EventKind::Accounts
        } else {
            EventKind::Transfers
        };
        let events = whole_events(py, events.to_vec(py)?)?;
        self.run(py, kind, events, now, deadline)
    }

    /// Post transfer objects in one batch; give packed results.
    fn execute_objects<'py>(
        &self,
        py: Python<'py>,
        transfers: Vec<Bound<'py, PyAny>>,
        now: u64,
        deadline: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let events = Events::Many(pack_transfers(&transfers)?);
        self.run(py, EventKind::Transfers, events, now, deadline)
    }

    /// Give packed accounts by id, None where unknown.
    fn accounts_by_id<'py>(
        &self,
        py: Python<'py>,
        ids: Vec<Bound<'py, PyAny>>,
    ) -> PackedOptions<'py> {
        let ids = ids_of(&ids);
        let found = py.detach(|| reads::accounts_by_id(&self.handle, &ids));
        let pack = |account: &WireAccount| PyBytes::new(py, &account.pack());
        found
            .iter()
            .map(|account| account.as_ref().map(pack))
            .collect()
    }

    /// Give packed accounts in the order of creation.
    fn accounts_page<'py>(
        &self,
        py: Python<'py>,
        skip: usize,
        limit: usize,
    ) -> Bound<'py, PyBytes> {
        let page = py.detach(|| reads::accounts_page(&self.handle, skip, limit));
        let packed: Vec<u8> = page.iter().flat_map(WireAccount::pack).collect();
        PyBytes::new(py, &packed)
    }

    /// Give packed entries by transfer id, None where the id is unused.
    fn entries_by_id<'py>(
        &self,
        py: Python<'py>,
        ids: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<PackedOptions<'py>> {
        let ids = ids_of(&ids);
        let found = detached(py, || reads::entries_by_id(&self.handle, &ids))?;
        Ok(found
            .iter()
            .map(|entry| entry.as_ref().map(|entry| PyBytes::new(py, entry)))
            .collect())
    }

    /// Give packed entries from behind a sequence, and the sequence to go on from.
    fn entries_page<'py>(
        &self,
        py: Python<'py>,
        after: u64,
        upto: u64,
        limit: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, u64)> {
        let (packed, next) =
            detached(py, || reads::entries_page(&self.handle, after, upto, limit))?;
        Ok((PyBytes::new(py, &packed), next))
    }

    /// Give one page of an account's entries, packed.
    fn statement<'py>(
        &self,
        py: Python<'py>,
        wanted: StatementTuple,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let packed = detached(py, || {
            statements::statement(&self.handle, &filter_of(wanted))
        })?;
        Ok(PyBytes::new(py, &packed))
    }

    /// Give posted credits minus posted debits as of a record or an instant.
    fn balance_at(
        &self,
        py: Python<'_>,
        account_id: Bound<'_, PyAny>,
        sequence: Option<u64>,
        timestamp: Option<u64>,
    ) -> PyResult<Option<i64>> {
        let account_id = read_integer(&account_id).unwrap_or(0);
        detached(py, || {
            statements::balance_at(&self.handle, account_id, sequence, timestamp)
        })
    }

    /// (sequence, Merkle root, chain head) of the durable state.
    fn checkpoint(&self, py: Python<'_>) -> (u64, [u8; 32], [u8; 32]) {
        let belief = py.detach(|| self.handle.belief());
        (belief.sequence, belief.root, belief.chain_head)
    }

    /// Read the log again from genesis and compare; `progress` is told after each segment.
    fn verify(&self, py: Python<'_>, progress: Option<Py<PyAny>>) -> PyResult<ReportTuple> {
        let mut stopped = None;
        let verified = py.detach(|| {
            let mut tell = |done: u64, total: u64| {
                let told = Python::attach(|py| {
                    py.check_signals()?;
                    let Some(progress) = &progress else {
                        return Ok(());
                    };
                    progress.call1(py, (done, total)).map(drop)
                });
                told.map_err(|error| {
                    stopped = Some(error);
                    Fault::closed(self.handle.segments().storage().location())
                })
            };
            let belief = self.handle.belief();
            verify(self.identity, self.handle.segments(), &belief, &mut tell)
        });
        match stopped {
            Some(error) => Err(error),
            None => verified
                .map(|report| report_tuple(&report))
                .map_err(|fault| exception(py, &fault)),
        }
    }

    /// Finish what is queued and release the directory. Idempotent.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match &self.handle {
            Handle::Writer(engine) => detached(py, || engine.close()),
            Handle::Reader(walked) => {
                walked.close();
                Ok(())
            }
        }
    }
}

impl Drop for NativeEngine {
    /// A ledger that nobody closed is closed when nobody holds it any more.
    fn drop(&mut self) {
        if let Handle::Writer(engine) = &self.handle {
            // Nobody is left to hear of a fault; the next opening recovers what was acknowledged.
            let closed = Python::attach(|py| py.detach(|| engine.close()));
            drop(closed);
        }
    }
}

impl NativeEngine {
    fn run<'py>(
        &self,
        py: Python<'py>,
        kind: EventKind,
        events: Events,
        now: u64,
        deadline: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let make = |reply| Request {
            kind,
            events,
            now,
            deadline,
            reply,
        };
        let engine = self.writer(py)?;
        let answer = detached(py, || engine.execute(make))?;
        Ok(PyBytes::new(py, answer.bytes()))
    }

    /// The engine that writes.
    pub fn writer(&self, py: Python<'_>) -> PyResult<&Arc<Engine>> {
        match &self.handle {
            Handle::Writer(engine) => Ok(engine),
            Handle::Reader(walked) => {
                let text = format!(
                    "{}: the ledger was opened read-only; post through the process that writes it",
                    walked.segments().storage().location().display()
                );
                Err(exception(py, &Fault::new(FaultKind::ReadOnly, text)))
            }
        }
    }
}
