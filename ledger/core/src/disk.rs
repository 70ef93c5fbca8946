//! Files as the log uses them: aligned buffers, direct writes where the file system allows.
//!
//! Direct writes to blocks that are already zeroed need no journal commit of the file system, so a
//! commit costs one device write and one flush (ledger.md 2.1: half the latency of an append).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

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

/// One file open for positioned, durable writes.
pub struct DurableFile {
    file: File,
}

impl DurableFile {
    /// Open an existing file for reading and writing, past the page cache where that works.
    pub fn open(path: &Path) -> io::Result<Self> {
        match Self::open_direct(path) {
            Ok(file) => Ok(Self { file }),
            // tmpfs and some network file systems refuse the flag with EINVAL.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let file = OpenOptions::new().read(true).write(true).open(path)?;
                Ok(Self { file })
            }
            Err(error) => Err(error),
        }
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

    /// Write whole blocks at an aligned offset and return only when they are on the device.
    pub fn write_durably(&self, buffer: &AlignedBuffer, offset: u64) -> io::Result<()> {
        assert!(buffer.length.is_multiple_of(ALIGNMENT), "whole blocks");
        assert!(offset.is_multiple_of(ALIGNMENT as u64), "aligned offset");
        self.file.write_all_at(buffer.bytes(), offset)?;
        self.file.sync_data()
    }
}

/// Make the names in a directory durable: a created or renamed file survives a power cut.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
