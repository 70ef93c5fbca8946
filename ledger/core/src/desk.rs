//! The boundary of coroutines: futures of one event loop, answered in heaps.
//!
//! A commit group wakes the loop once, through a pipe that the loop listens to, so the writing
//! threads never wait for the interpreter. They in turn hear once of all that the coroutines of one
//! turn of the loop submit, and earlier only when that is a good deal: so a group is large enough
//! to be worth its write, and the disk does not wait for a long turn to end.

// PyO3 hands arguments over as values.
#![allow(clippy::needless_pass_by_value)]

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};

use crate::boundary::{exception, whole_events};
use crate::engine::{hold, Engine};
use crate::execute::EventKind;
use crate::fault::{Fault, FaultKind};
use crate::python::NativeEngine;
use crate::queue::{Answer, Events, Mailbox, Outcome, ReplyTo, Request};
use crate::wire::{u32_at, u64_at, WireTransfer, RECORD_SIZE};

/// Events that are announced before the turn of the loop ends.
const ANNOUNCED_EARLY: usize = 128;

/// The futures that wait, by token.
#[derive(Default)]
struct Futures {
    slots: Vec<Option<Waiting>>,
    free: Vec<usize>,
    /// Events submitted and not yet announced.
    unannounced: usize,
    /// The caller's clock when the first of them was submitted.
    now: u64,
    /// Whether the loop will call `flush`.
    flush_is_due: bool,
}

struct Waiting {
    future: Py<PyAny>,
    /// One result object is awaited, not packed results.
    single: bool,
}

impl Futures {
    fn add(&mut self, waiting: Waiting) -> usize {
        if let Some(slot) = self.free.pop() {
            self.slots[slot] = Some(waiting);
            slot
        } else {
            self.slots.push(Some(waiting));
            self.slots.len() - 1
        }
    }

    fn take(&mut self, token: u64) -> Waiting {
        let slot = usize::try_from(token).expect("a token is a place");
        self.free.push(slot);
        self.slots[slot].take().expect("a token is answered once")
    }
}

/// What one event loop awaits.
#[pyclass(frozen, module = "ledger._core")]
pub struct Desk {
    engine: Arc<Engine>,
    mailbox: Arc<Mailbox>,
    futures: Mutex<Futures>,
    create_future: Py<PyAny>,
    call_soon: Py<PyAny>,
    now_ns: Py<PyAny>,
    new_tuple: Py<PyAny>,
    result_type: Py<PyType>,
    statuses: HashMap<u32, Py<PyAny>>,
}

#[pymethods]
impl Desk {
    /// Open a desk of `engine` for the loop whose `create_future` and `call_soon` are given.
    #[new]
    fn new(
        py: Python<'_>,
        engine: &NativeEngine,
        create_future: Py<PyAny>,
        call_soon: Py<PyAny>,
        now_ns: Py<PyAny>,
        result_type: Py<PyType>,
        statuses: HashMap<u32, Py<PyAny>>,
    ) -> PyResult<Self> {
        let engine = Arc::clone(engine.writer(py)?);
        engine.serve();
        Ok(Self {
            engine,
            mailbox: Arc::new(Mailbox::new()?),
            futures: Mutex::default(),
            create_future,
            call_soon,
            now_ns,
            new_tuple: py
                .get_type::<PyTuple>()
                .getattr(intern!(py, "__new__"))?
                .unbind(),
            result_type,
            statuses,
        })
    }

    /// The file descriptor that becomes readable when there are answers.
    fn fileno(&self) -> i32 {
        self.mailbox.ear().as_raw_fd()
    }

    /// How many futures wait.
    fn waiting(&self) -> usize {
        let futures = hold(&self.futures);
        futures.slots.len() - futures.free.len()
    }

    /// Queue one transfer; give the future of its result.
    fn post<'py>(
        slf: &Bound<'py, Self>,
        transfer: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let event = read_transfer(transfer)?.ok_or_else(|| too_wide(slf.py(), 0))?;
        Self::submit(slf, Events::One(event.pack()), true)
    }

    /// Queue transfers that commit together; give the future of their packed results.
    fn post_many<'py>(
        slf: &Bound<'py, Self>,
        transfers: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let events = whole_events(slf.py(), pack_transfers(&transfers)?)?;
        Self::submit(slf, events, false)
    }

    /// Announce what this turn of the loop submitted.
    fn flush(&self) {
        let mut futures = hold(&self.futures);
        futures.flush_is_due = false;
        if futures.unannounced > 0 {
            futures.unannounced = 0;
            self.engine.announce();
        }
    }

    /// Resolve the futures whose answers have come.
    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        for (token, outcome) in self.mailbox.collect() {
            let Waiting { future, single } = hold(&self.futures).take(token);
            let future = future.into_bound(py);
            let told = match self.result(py, &outcome, single)? {
                Ok(result) => future.call_method1(intern!(py, "set_result"), (result,)),
                Err(error) => future.call_method1(intern!(py, "set_exception"), (error,)),
            };
            if let Err(error) = told {
                // Its awaiter was cancelled; the transfer stands.
                if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Desk {
    fn submit<'py>(
        slf: &Bound<'py, Self>,
        events: Events,
        single: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, desk) = (slf.py(), slf.get());
        let now = desk.now(py)?;
        let count = events.count();
        let future = desk.create_future.bind(py).call0()?;
        let waiting = Waiting {
            future: future.clone().unbind(),
            single,
        };
        let token = hold(&desk.futures).add(waiting) as u64;
        let reply = ReplyTo::mail(Arc::clone(&desk.mailbox), token);
        let kind = EventKind::Transfers;
        let request = Request {
            kind,
            events,
            now,
            deadline: None,
            reply,
        };
        if let Err(fault) = desk.engine.submit(request) {
            hold(&desk.futures).take(token);
            return Err(exception(py, &fault));
        }
        if desk.note_submitted(count) {
            desk.call_soon
                .call1(py, (slf.getattr(intern!(py, "flush"))?,))?;
        }
        Ok(future)
    }

    /// The caller's clock, read once for everything that is announced together.
    fn now(&self, py: Python<'_>) -> PyResult<u64> {
        let Futures {
            unannounced, now, ..
        } = *hold(&self.futures);
        if unannounced > 0 {
            return Ok(now);
        }
        let now = self.now_ns.call0(py)?.extract(py)?;
        hold(&self.futures).now = now;
        Ok(now)
    }

    /// Announce what is worth it at once; tell whether the loop has to be asked for a flush.
    fn note_submitted(&self, count: usize) -> bool {
        let mut futures = hold(&self.futures);
        // A pulse has no events and must be announced all the same.
        futures.unannounced += count.max(1);
        if futures.unannounced >= ANNOUNCED_EARLY {
            futures.unannounced = 0;
            self.engine.announce();
        }
        !std::mem::replace(&mut futures.flush_is_due, true)
    }

    /// What a future is given: a result, or an exception.
    fn result<'py>(
        &self,
        py: Python<'py>,
        outcome: &Outcome,
        single: bool,
    ) -> PyResult<Result<Bound<'py, PyAny>, PyErr>> {
        Ok(match outcome {
            Ok(answer) if single => Ok(self.result_object(py, answer)?),
            Ok(answer) => Ok(PyBytes::new(py, answer.bytes()).into_any()),
            Err(fault) => Err(exception(py, &self.engine.with_cause(fault.clone()))),
        })
    }

    fn result_object<'py>(&self, py: Python<'py>, answer: &Answer) -> PyResult<Bound<'py, PyAny>> {
        let (timestamp, status) = (u64_at(answer.bytes(), 0), u32_at(answer.bytes(), 8));
        let fields = (timestamp, self.statuses[&status].bind(py));
        self.new_tuple
            .bind(py)
            .call1((self.result_type.bind(py), fields))
    }
}

fn too_wide(py: Python<'_>, position: usize) -> PyErr {
    let text = format!(
        "event {position}: a field is negative or wider than its place in the 128-byte layout; \
         see docs/reference/transfer.md"
    );
    exception(py, &Fault::new(FaultKind::Batch, text))
}

/// Read an integer of at most 128 bits; `None` when it is none, negative or wider.
#[inline]
pub fn read_integer(value: &Bound<'_, PyAny>) -> Option<u128> {
    let mut overflow = 0;
    // SAFETY: the object is alive and the interpreter's lock is held for as long as `value` is
    // borrowed; the call reads the object and writes to `overflow` only.
    let small =
        unsafe { pyo3::ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
    if overflow == 0 {
        if small == -1 {
            // Either that number, or not an integer: an exception is set then.
            PyErr::take(value.py());
        }
        return u128::try_from(small).ok();
    }
    value.extract().ok()
}

/// Read a transfer object; `None` when a field does not fit its width.
fn read_transfer(transfer: &Bound<'_, PyAny>) -> PyResult<Option<WireTransfer>> {
    let py = transfer.py();
    macro_rules! field {
        ($name:literal) => {
            match read_integer(&transfer.getattr(intern!(py, $name))?).map(TryInto::try_into) {
                Some(Ok(value)) => value,
                _ => return Ok(None),
            }
        };
    }
    macro_rules! wide_field {
        ($name:literal) => {
            match read_integer(&transfer.getattr(intern!(py, $name))?) {
                Some(value) => value,
                None => return Ok(None),
            }
        };
    }
    Ok(Some(WireTransfer {
        id: wide_field!("id"),
        debit_account_id: wide_field!("debit_account_id"),
        credit_account_id: wide_field!("credit_account_id"),
        amount: wide_field!("amount"),
        pending_id: wide_field!("pending_id"),
        user_data_128: wide_field!("user_data_128"),
        user_data_64: field!("user_data_64"),
        user_data_32: field!("user_data_32"),
        timeout: field!("timeout"),
        ledger: field!("ledger"),
        code: field!("code"),
        flags: field!("flags"),
        timestamp: field!("timestamp"),
    }))
}

/// Pack transfer objects.
pub fn pack_transfers(transfers: &[Bound<'_, PyAny>]) -> PyResult<Vec<u8>> {
    let mut packed = Vec::with_capacity(RECORD_SIZE * transfers.len());
    for (position, transfer) in transfers.iter().enumerate() {
        let event = read_transfer(transfer)?.ok_or_else(|| too_wide(transfer.py(), position))?;
        packed.extend_from_slice(&event.pack());
    }
    Ok(packed)
}
