//! What happens to a directory when it is opened: judged, locked, recovered, or made.
//!
//! Source: docs/reference/ledger-format.md, sections 1 and 8. Nothing is written before the
//! directory is known to be ours.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use crate::disk::{sync_directory, AlignedBuffer, DurableFile};
use crate::fault::{Fault, FaultKind};
use crate::limits::{SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN, ZERO_CHUNK_BYTES};
use crate::pages::{segment_name, Identity, BLOCK};
use crate::scan::{Extent, Scan, TornTail};
use crate::segments::{names, read_superblock, segment_number, SegmentReader, SUPERBLOCK};
use crate::sha::Hash;
use crate::spare::{create_private, SPARE_TEMPORARY};
use crate::writer::{Entropy, Tip, Writer};

const LOCK: &str = "lock";
const SUPERBLOCK_TEMPORARY: &str = "superblock.tmp";
const SNAPSHOT_TEMPORARY: &str = "snapshot.tmp";

/// What the caller knows of the ledger from before.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// So many records it held at least.
    pub sequence: u64,
    /// With this Merkle root.
    pub root: Hash,
}

/// How to open a ledger.
pub struct Options {
    /// Make it where there is none.
    pub create: bool,
    /// Of a ledger that is made.
    pub segment_size: u64,
    /// What must be found again.
    pub expected: Option<Expected>,
}

/// A ledger opened for writing, before its engine runs.
pub struct OpenedWriter {
    /// Everything that the log holds.
    pub scan: Scan,
    /// Its durable end.
    pub writer: Writer,
    /// Held while the ledger is open.
    pub lock: File,
    /// What recovery set to zero: which segment, from where, how many bytes.
    pub torn: Option<(TornTail, u64)>,
    /// Reads its segments.
    pub reader: Arc<SegmentReader>,
}

/// Open the directory as its only writer; make the ledger where there is none.
pub fn open_writer(
    directory: &Path,
    options: &Options,
    mut entropy: Entropy,
) -> Result<OpenedWriter, Fault> {
    if !options.create && !directory.exists() {
        return Err(no_ledger(directory));
    }
    make_directory(directory)?;
    if judge(directory)? {
        read_superblock(directory)?;
    } else if !options.create {
        return Err(no_ledger(directory));
    }
    let lock = take_lock(directory)?;
    remove_half_made(directory)?;
    // Asked again under the lock: another process may have made the ledger in between.
    if !judge(directory)? {
        entropy = create(directory, options.segment_size, entropy)?;
    }
    recover(directory, options, entropy, lock)
}

/// Read the log to its end, mend a torn tail, and stand ready to write.
fn recover(
    directory: &Path,
    options: &Options,
    entropy: Entropy,
    lock: File,
) -> Result<OpenedWriter, Fault> {
    let (identity, mark) = read_superblock(directory)?;
    let reader = Arc::new(SegmentReader::new(directory));
    let mut scan = Scan::new(identity, Arc::clone(&reader));
    scan.witness = options.expected.map(|expected| (expected.sequence, None));
    let torn = scan.advance(Extent::All, mark)?;
    check_expected(directory, &scan, options.expected)?;
    let torn = match torn {
        Some(tail) => Some((tail.clone(), repair(&reader, &scan, &tail)?)),
        None => None,
    };
    let tip = Tip {
        frame: scan.frame,
        chain_head: scan.chain_head,
        frame_segment: scan.places.last().map_or(0, |place| place.segment.into()),
        sequence: scan.state.last_sequence,
        segment: scan.segment,
        nonce: scan.nonce,
        offset: scan.offset,
    };
    let mut writer = Writer::new(directory, identity, tip, entropy);
    writer.write_mark()?;
    writer.finish()?;
    writer.prepare_spare();
    Ok(OpenedWriter {
        scan,
        writer,
        lock,
        torn,
        reader,
    })
}

/// Open the directory for reading up to what is known to be durable.
pub fn open_reader(directory: &Path, expected: Option<Expected>) -> Result<Scan, Fault> {
    if !directory.is_dir() || !judge(directory)? {
        return Err(no_ledger(directory));
    }
    let (identity, mark) = read_superblock(directory)?;
    let mut scan = Scan::new(identity, Arc::new(SegmentReader::new(directory)));
    scan.witness = expected.map(|expected| (expected.sequence, None));
    scan.advance(Extent::Frame(mark.map_or(0, |mark| mark.frame)), mark)?;
    check_expected(directory, &scan, expected)?;
    Ok(scan)
}

/// Say whether there is a ledger; anything that is neither one nor an unfinished one is foreign.
fn judge(directory: &Path) -> Result<bool, Fault> {
    let names = names(directory)?;
    if names.iter().any(|name| name == SUPERBLOCK) {
        return Ok(true);
    }
    match names.iter().find(|name| !is_ours(name)) {
        Some(name) => {
            let text = format!(
                "{}: holds '{name}' and is no ledger; name an empty directory",
                directory.display()
            );
            Err(Fault::new(FaultKind::Foreign, text))
        }
        None => Ok(false),
    }
}

fn is_ours(name: &str) -> bool {
    let known = [
        LOCK,
        SUPERBLOCK_TEMPORARY,
        SNAPSHOT_TEMPORARY,
        SPARE_TEMPORARY,
        crate::spare::SPARE,
    ];
    let as_segment = name.strip_suffix(".snap").map(|stem| format!("{stem}.seg"));
    known.contains(&name) || segment_number(as_segment.as_deref().unwrap_or(name)).is_some()
}

fn no_ledger(directory: &Path) -> Fault {
    let text = format!("{}: no ledger here; create one first", directory.display());
    Fault::new(FaultKind::Foreign, text)
}

fn make_directory(directory: &Path) -> Result<(), Fault> {
    if directory.exists() && !directory.is_dir() {
        let text = format!(
            "{}: not a directory; name a directory for the ledger",
            directory.display()
        );
        return Err(Fault::new(FaultKind::Foreign, text));
    }
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(|error| Fault::from_io(directory, "cannot make the directory", &error))
}

fn take_lock(directory: &Path) -> Result<File, Fault> {
    let path = directory.join(LOCK);
    let fault = |error: &std::io::Error| Fault::from_io(&path, "cannot lock", error);
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let file = options.open(&path).map_err(|error| fault(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(fault(&error)),
        Err(TryLockError::WouldBlock) => {
            let text = format!(
                "{}: another process writes this ledger; stop it first, or open the ledger \
                 read-only",
                directory.display()
            );
            Err(Fault::new(FaultKind::Locked, text))
        }
    }
}

fn remove_half_made(directory: &Path) -> Result<(), Fault> {
    for name in [SPARE_TEMPORARY, SUPERBLOCK_TEMPORARY, SNAPSHOT_TEMPORARY] {
        let path = directory.join(name);
        if path.exists() {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Fault> {
    fs::remove_file(path).map_err(|error| Fault::from_io(path, "cannot remove", &error))
}

/// Make a new ledger's files; it exists from the moment its superblock has its name.
fn create(directory: &Path, segment_size: u64, mut entropy: Entropy) -> Result<Entropy, Fault> {
    if !(Identity {
        uuid: [0; 16],
        segment_size,
    })
    .is_sound()
    {
        let text = format!(
            "segment size {segment_size}: a multiple of {BLOCK} from {SEGMENT_SIZE_MIN} to \
             {SEGMENT_SIZE_MAX}"
        );
        return Err(Fault::new(FaultKind::Batch, text));
    }
    // What a creation that was interrupted left behind.
    for name in names(directory)?
        .iter()
        .filter(|name| segment_number(name).is_some())
    {
        remove(&directory.join(name))?;
    }
    let identity = Identity {
        uuid: entropy()?,
        segment_size,
    };
    let tip = Tip {
        frame: 0,
        chain_head: identity.genesis(),
        frame_segment: 0,
        sequence: 0,
        segment: 0,
        nonce: [0; 16],
        offset: segment_size,
    };
    let mut writer = Writer::new(directory, identity, tip, entropy);
    writer.wait_for_spare()?;
    writer.activate(crate::sha::sha256(b""))?;
    write_identity(directory, &identity)?;
    Ok(writer.into_entropy())
}

fn write_identity(directory: &Path, identity: &Identity) -> Result<(), Fault> {
    let temporary = directory.join(SUPERBLOCK_TEMPORARY);
    let named = directory.join(SUPERBLOCK);
    let mut pages = AlignedBuffer::default();
    pages.reset(3 * BLOCK)[..BLOCK].copy_from_slice(&identity.pack());
    let written = create_private(&temporary).and_then(|()| {
        DurableFile::open(&temporary)?.write_durably(&pages, 0)?;
        File::open(&temporary)?.sync_all()?;
        fs::rename(&temporary, &named)?;
        sync_directory(directory)
    });
    written.map_err(|error| Fault::from_io(&named, "cannot write", &error))
}

/// Set everything behind the last good frame to zero; give how many bytes that were.
fn repair(reader: &SegmentReader, scan: &Scan, tail: &TornTail) -> Result<u64, Fault> {
    let path = reader.directory().join(segment_name(tail.segment));
    let mut zeros = AlignedBuffer::default();
    let mut offset = tail.offset;
    let repaired = DurableFile::open(&path).and_then(|file| {
        while offset < scan.identity.segment_size {
            let left = scan.identity.segment_size - offset;
            let length = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(ZERO_CHUNK_BYTES);
            zeros.reset(length);
            file.write_durably(&zeros, offset)?;
            offset += length as u64;
        }
        Ok(())
    });
    repaired.map_err(|error| Fault::from_io(&path, "cannot repair a torn tail", &error))?;
    Ok(scan.identity.segment_size - tail.offset)
}

/// The records that the caller knows of must be found again, the very same.
fn check_expected(directory: &Path, scan: &Scan, expected: Option<Expected>) -> Result<(), Fault> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let held = scan.state.last_sequence;
    let root = match scan.witness {
        _ if expected.sequence == 0 => Some(crate::sha::sha256(b"")),
        Some((_, root)) => root,
        None => None,
    };
    match root {
        None => {
            let text = format!(
                "{}: holds {held} records, the expected checkpoint has {}; an older copy was put \
                 back",
                directory.display(),
                expected.sequence
            );
            Err(Fault::new(FaultKind::Rollback, text))
        }
        Some(root) if root != expected.root => {
            let text = format!(
                "{}: the first {} records are not those of the expected checkpoint; history was \
                 rewritten",
                directory.display(),
                expected.sequence
            );
            Err(Fault::new(FaultKind::Corrupt, text))
        }
        Some(_) => Ok(()),
    }
}
