//! The real disk: aligned buffers, direct writes where the file system allows.
//!
//! Direct writes to blocks that are already zeroed need no journal commit of the file system, so a
//! commit costs one device write and one flush (ledger.md 2.1: half the latency of an append).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::engine::hold;
use crate::storage::{Access, Storage, StoredFile};

/// The file that the writer holds a lock on.
pub const LOCK: &str = "lock";

/// Alignment of direct writes: the largest logical block size in common use.
pub const ALIGNMENT: usize = 4096;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Block([u8; ALIGNMENT]);

const _: () = assert!(std::mem::size_of::<Block>() == ALIGNMENT);
const _: () = assert!(std::mem::align_of::<Block>() == ALIGNMENT);

/// Bytes whose address suits direct I/O.
#[derive(Default)]
pub struct AlignedBuffer {
    blocks: Vec<Block>,
    length: usize,
}

impl AlignedBuffer {
    /// Give `length` zero bytes, reusing the memory held.
    pub fn reset(&mut self, length: usize) -> &mut [u8] {
        self.blocks.clear();
        self.blocks
            .resize(length.div_ceil(ALIGNMENT), Block([0; ALIGNMENT]));
        self.length = length;
        self.bytes_mut()
    }

    /// Keep the first `length` bytes only.
    pub fn truncate(&mut self, length: usize) {
        assert!(length <= self.length, "a buffer is only made shorter");
        self.length = length;
        self.blocks.truncate(length.div_ceil(ALIGNMENT));
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a Block is 4,096 plain bytes without padding (asserted above), the vector holds
        // at least `length` of them back to back, and the borrow keeps it alive and unchanged.
        unsafe { std::slice::from_raw_parts(self.blocks.as_ptr().cast::<u8>(), self.length) }
    }

    /// The bytes, to be written to.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; the exclusive borrow rules out another reader or writer.
        unsafe {
            std::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast::<u8>(), self.length)
        }
    }
}

/// One file of the real disk.
struct DiskFile {
    file: File,
    direct: bool,
}

impl StoredFile for DiskFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.direct {
            assert!(bytes.len().is_multiple_of(ALIGNMENT), "whole blocks");
            assert!(offset.is_multiple_of(ALIGNMENT as u64), "aligned offset");
            assert!(
                bytes.as_ptr().addr().is_multiple_of(ALIGNMENT),
                "aligned memory"
            );
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A directory of the real disk.
pub struct Disk {
    directory: PathBuf,
    lock: Mutex<Option<File>>,
}

impl Disk {
    /// Use a directory; nothing is touched yet.
    pub fn new(directory: &Path) -> Self {
        let directory = directory.to_path_buf();
        let lock = Mutex::new(None);
        Self { directory, lock }
    }

    #[cfg(target_os = "linux")]
    fn open_direct(path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)
    }

    #[cfg(not(target_os = "linux"))]
    fn open_direct(_path: &Path) -> io::Result<File> {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

impl Storage for Disk {
    fn location(&self) -> &Path {
        &self.directory
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn StoredFile>> {
        let path = self.directory.join(name);
        let buffered = |write| OpenOptions::new().read(true).write(write).open(&path);
        let file = match access {
            Access::Read => buffered(false)?,
            Access::Write => buffered(true)?,
            Access::Direct => match Self::open_direct(&path) {
                Ok(file) => file,
                // tmpfs and some network file systems refuse the flag with EINVAL.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => buffered(true)?,
                Err(error) => return Err(error),
            },
        };
        let direct = access == Access::Direct;
        Ok(Box::new(DiskFile { file, direct }))
    }

    fn create(&self, name: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(self.directory.join(name)).map(drop)
    }

    fn rename(&self, old: &str, new: &str) -> io::Result<()> {
        fs::rename(self.directory.join(old), self.directory.join(new))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn lock(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        let file = options.open(self.directory.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => *hold(&self.lock) = Some(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
        }
        Ok(())
    }

    fn unlock(&self) {
        *hold(&self.lock) = None;
    }
}
