//! The one door to the disk: every file operation of the engine goes through these two traits.
//!
//! The engine keeps its files flat in one directory and knows no path of its own, so a simulated
//! disk can stand in for the real one: crashes, torn, lost and misdirected writes, bit rot, EIO and
//! ENOSPC are then decided by a seed. Each call is a system call on the real disk, beside which the
//! dynamic dispatch costs nothing that can be measured.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading at any offset.
    Read,
    /// Reading and writing at any offset.
    Write,
    /// Writing whole blocks from aligned memory, past the page cache where that works.
    Direct,
}

/// One open file. The engine does not use it any more once its name was changed or removed.
pub trait StoredFile: Send + Sync {
    /// Its length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Read from an offset; give how many bytes were read, fewer only where the file ends.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Write all bytes at an offset; they are durable only after `sync`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Make everything written through this file durable.
    fn sync(&self) -> io::Result<()>;
}

/// A flat directory of files.
pub trait Storage: Send + Sync {
    /// Where it is, for the texts of errors.
    fn location(&self) -> &Path;
    /// The names of all files, in order.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Open a file that is there.
    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StoredFile>>;
    /// Make a file, or make it empty, for its owner only.
    fn create(&self, name: &str) -> io::Result<()>;
    /// Give a file another name, replacing what has it; durable only after `sync_directory`.
    fn rename(&self, old: &str, new: &str) -> io::Result<()>;
    /// Remove a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Make names durable: a created or renamed file survives a power cut.
    fn sync_directory(&self) -> io::Result<()>;
    /// Become the only writer; `WouldBlock` when there is one.
    fn lock(&self) -> io::Result<()>;
    /// Stop being the writer. Idempotent.
    fn unlock(&self);
}

/// The path of a file, for the texts of errors.
pub fn path_of(storage: &dyn Storage, name: &str) -> PathBuf {
    storage.location().join(name)
}

/// Read up to `bytes.len()` bytes, going on where a read stopped early; give how many there were.
pub fn read_fully(file: &dyn StoredFile, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// When the work beside the commits is done: making spares, sealing segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// By threads of their own.
    #[default]
    Threads,
    /// At once, by the thread that asks for it: one thread does everything in one order, so that a
    /// run is repeated exactly.
    Inline,
}

impl Schedule {
    /// Start work, or do it; `Inline` leaves no thread to wait for.
    pub fn start(self, work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
        match self {
            Self::Threads => Some(thread::spawn(work)),
            Self::Inline => {
                work();
                None
            }
        }
    }
}

/// A storage that several parts of an engine use.
pub type Shared = Arc<dyn Storage>;
