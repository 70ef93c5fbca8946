//! Operating errors of the engine; the boundary turns each into the exception of `ledger.errors`.

use std::fmt;
use std::io;
use std::path::Path;

/// Which exception a fault becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The bounded queue is full.
    Busy,
    /// The deadline passed before submission.
    Deadline,
    /// A write or sync failed.
    Poisoned,
    /// No room for another segment.
    Full,
    /// Another process writes the directory.
    Locked,
    /// Not a ledger of ours, or of another version.
    Foreign,
    /// Acknowledged data does not verify.
    Corrupt,
    /// Cannot be written, or opened for reading.
    ReadOnly,
    /// The directory holds less than the caller expected.
    Rollback,
    /// A batch is no batch: too many events, a broken length.
    Batch,
    /// The disk or file system failed to read.
    Disk,
    /// The ledger is closed: the caller's mistake.
    Closed,
}

/// A fault: its kind, and what, where and how to mend.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Which exception it becomes.
    pub kind: FaultKind,
    /// What, where, how to mend.
    pub text: String,
}

impl Fault {
    /// Make a fault.
    pub fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// Acknowledged data does not verify, at this byte of this file.
    pub fn corrupt(path: &Path, offset: u64, what: &str) -> Self {
        let text = format!(
            "{}, offset {offset}: {what}; restore this file from a backup, nothing was changed",
            path.display()
        );
        Self::new(FaultKind::Corrupt, text)
    }

    /// The ledger was closed.
    pub fn closed(directory: &Path) -> Self {
        let text = format!(
            "{}: the ledger is closed; open it again",
            directory.display()
        );
        Self::new(FaultKind::Closed, text)
    }

    /// The operating system refused; the kind follows from its reason.
    pub fn from_io(path: &Path, doing: &str, error: &io::Error) -> Self {
        let (kind, mend) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (FaultKind::Full, "free room on this disk")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
                FaultKind::ReadOnly,
                "make it writable or open it for reading",
            ),
            _ => (FaultKind::Disk, "check the disk"),
        };
        Self::new(
            kind,
            format!("{}: {doing}: {error}; {mend}", path.display()),
        )
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}
