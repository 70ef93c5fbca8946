//! What crosses the boundary: faults become exceptions, Python's values become the engine's.

// PyO3 hands arguments over as values.
#![allow(clippy::needless_pass_by_value)]

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::desk::read_integer;
use crate::fault::{Fault, FaultKind};
use crate::opening::Expected;
use crate::queue::Events;
use crate::statements::StatementFilter;
use crate::verify::Report;
use crate::wire::RECORD_SIZE;
use crate::writer::Entropy;

/// Turn a fault into the exception of `ledger.errors` that it is.
pub fn exception(py: Python<'_>, fault: &Fault) -> PyErr {
    let name = match fault.kind {
        FaultKind::Busy => "LedgerBusyError",
        FaultKind::Deadline => "LedgerDeadlineError",
        FaultKind::Poisoned => "LedgerPoisonedError",
        FaultKind::Full => "LedgerFullError",
        FaultKind::Locked => "LedgerLockedError",
        FaultKind::Foreign => "LedgerForeignError",
        FaultKind::Corrupt => "LedgerCorruptError",
        FaultKind::ReadOnly => "LedgerReadOnlyError",
        FaultKind::Rollback => "LedgerRollbackError",
        FaultKind::Batch => "LedgerBatchError",
        FaultKind::Disk | FaultKind::Closed => "LedgerError",
    };
    let made = py
        .import("ledger.errors")
        .and_then(|errors| errors.getattr(name)?.call1((fault.text.as_str(),)));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// Do work without the interpreter's lock.
pub fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Fault> + Send,
) -> PyResult<T> {
    py.detach(work).map_err(|fault| exception(py, &fault))
}

/// Random bytes from the caller's source.
pub fn entropy_of(random_bytes: Py<PyAny>) -> Entropy {
    Box::new(move || {
        let drawn: PyResult<[u8; 16]> =
            Python::attach(|py| random_bytes.call1(py, (16,))?.extract(py));
        drawn.map_err(|error| {
            Fault::new(
                FaultKind::Disk,
                format!("the source of random bytes failed: {error}"),
            )
        })
    })
}

/// What the caller knows of the ledger from before.
pub fn expected_of(expected: Option<(u64, [u8; 32])>) -> Option<Expected> {
    expected.map(|(sequence, root)| Expected { sequence, root })
}

/// Records, frames, accounts, transfers, refusals, sum, root, chain head.
pub type ReportTuple = (u64, u64, u64, u64, u64, i128, [u8; 32], [u8; 32]);
/// Account, debits, credits, code, timestamps, reverse, cursor, limit.
pub type StatementTuple = (u128, bool, bool, u16, u64, u64, bool, u64, usize);

/// A report as Python reads it.
pub fn report_tuple(report: &Report) -> ReportTuple {
    (
        report.records,
        report.frames,
        report.accounts,
        report.transfers,
        report.refusals,
        report.sum_minor,
        report.root,
        report.chain_head,
    )
}

/// A filter as Python gives it.
pub fn filter_of(wanted: StatementTuple) -> StatementFilter {
    let (account_id, debits, credits, code, timestamp_min, timestamp_max, reverse, cursor, limit) =
        wanted;
    StatementFilter {
        account_id,
        debits,
        credits,
        code,
        timestamp_min,
        timestamp_max,
        reverse,
        cursor,
        limit,
    }
}

/// Packed things, None where there is none.
pub type PackedOptions<'py> = Vec<Option<Bound<'py, PyBytes>>>;

/// Ids that are asked for; one that fits no id was never given to anything, as 0 was not.
pub fn ids_of(ids: &[Bound<'_, PyAny>]) -> Vec<u128> {
    ids.iter().map(|id| read_integer(id).unwrap_or(0)).collect()
}

/// Events of a batch as bytes; a broken length is the caller's mistake.
pub fn whole_events(py: Python<'_>, events: Vec<u8>) -> PyResult<Events> {
    if events.len().is_multiple_of(RECORD_SIZE) {
        return Ok(Events::Many(events));
    }
    let text = format!(
        "a packed batch of {} bytes is not a multiple of {RECORD_SIZE}; send whole 128-byte \
         transfers",
        events.len()
    );
    Err(exception(py, &Fault::new(FaultKind::Batch, text)))
}
