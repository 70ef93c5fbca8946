//! What happens to a directory when it is opened: judged, locked, recovered, or made.
//!
//! Source: docs/reference/ledger-format.md, sections 1 and 8. Nothing is written before the
//! directory is known to be ours.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use crate::absorb::Shadow;
use crate::disk::{AlignedBuffer, Disk, LOCK};
use crate::fault::{Fault, FaultKind};
use crate::limits::{SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN};
use crate::mending::{clear_behind, make_certain};
use crate::opening_checks::{check_expected, judge};
use crate::pages::{Identity, BLOCK};
use crate::resuming::{start, Started};
use crate::scan::{Extent, Position, Scan, TornTail};
use crate::sealer::SEAL_TEMPORARY;
use crate::segments::{list, names, number_in, Listing, SegmentReader};
use crate::sha::Hash;
use crate::snapshot_writer::SNAPSHOT_TEMPORARY;
use crate::spare::SPARE_TEMPORARY;
use crate::state::State;
use crate::storage::{path_of, Access, Schedule, Shared, Storage};
use crate::superblock::{read_durable_superblock, read_superblock, Superblock, SUPERBLOCK};
use crate::writer::{Entropy, Tip, Writer};

/// The name of a half-made superblock.
pub const SUPERBLOCK_TEMPORARY: &str = "superblock.tmp";

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
    /// When the work beside the commits is done.
    pub schedule: Schedule,
}

/// A ledger opened for writing, before its engine runs.
pub struct OpenedWriter {
    /// Everything that the log holds.
    pub scan: Scan<State>,
    /// Where the sealer goes on: behind the last sealed segment.
    pub sealing: Scan<Shadow>,
    /// The sequence of the snapshot that was opened from, 0 without one.
    pub snapshot_sequence: u64,
    /// When the work beside the commits is done.
    pub schedule: Schedule,
    /// Its durable end.
    pub writer: Writer,
    /// What recovery set to zero: which segment, from where, how many bytes.
    pub torn: Option<(TornTail, u64)>,
    /// Reads its segments.
    pub reader: Arc<SegmentReader>,
}

/// A directory that will be written; it is made where it may be.
pub fn writable_directory(directory: &Path, options: &Options) -> Result<Shared, Fault> {
    if !options.create && !directory.exists() {
        return Err(no_ledger(directory));
    }
    make_directory(directory)?;
    Ok(Arc::new(Disk::new(directory)))
}

/// A directory that will be read.
pub fn readable_directory(directory: &Path) -> Result<Shared, Fault> {
    if !directory.is_dir() {
        return Err(no_ledger(directory));
    }
    Ok(Arc::new(Disk::new(directory)))
}

/// Become the only writer of a ledger; make it where there is none.
pub fn open_writer(
    storage: &Shared,
    options: &Options,
    entropy: Entropy,
) -> Result<OpenedWriter, Fault> {
    if judge(&**storage)? {
        read_superblock(&**storage)?;
    } else if !options.create {
        return Err(no_ledger(storage.location()));
    }
    take_lock(&**storage)?;
    let opened = open_locked(storage, options, entropy);
    if opened.is_err() {
        storage.unlock();
    }
    opened
}

fn open_locked(
    storage: &Shared,
    options: &Options,
    mut entropy: Entropy,
) -> Result<OpenedWriter, Fault> {
    remove_half_made(&**storage)?;
    // Asked again under the lock: another process may have made the ledger in between.
    if !judge(&**storage)? {
        entropy = create(storage, options, entropy)?;
    }
    recover(storage, options, entropy)
}

/// Read the log to its end, mend a torn tail, and stand ready to write.
fn recover(storage: &Shared, options: &Options, entropy: Entropy) -> Result<OpenedWriter, Fault> {
    let Superblock { identity, mark, .. } = read_superblock(&**storage)?;
    let reader = Arc::new(SegmentReader::new(Arc::clone(storage)));
    let listing = list(&**storage)?;
    let Started {
        mut scan,
        snapshot_sequence,
    } = start(identity, &reader, &listing, options.expected)?;
    scan.pass_sealed(&listing, mark)?;
    scan.cold.warm()?;
    let sealing = shadow_scan(&scan);
    let torn = scan.advance(Extent::All, mark)?;
    check_expected(storage.location(), &scan, options.expected)?;
    clear_behind(&reader, &scan, torn.is_some())?;
    make_certain(&reader, &scan, mark)?;
    let torn = torn.map(|tail| {
        let length = scan.identity.segment_size - tail.offset;
        (tail, length)
    });
    let tip = Tip {
        frame: scan.frame,
        chain_head: scan.chain_head,
        frame_segment: match scan.places.back() {
            Some(place) => place.number(),
            None => scan.cold.last_number(),
        },
        sequence: scan.taker.last_sequence,
        segment: scan.segment,
        nonce: scan.nonce,
        offset: scan.offset,
    };
    let mut writer = Writer::new(
        Arc::clone(storage),
        options.schedule,
        identity,
        tip,
        entropy,
    );
    writer.write_marks()?;
    writer.finish()?;
    writer.prepare_spare();
    Ok(OpenedWriter {
        scan,
        sealing,
        snapshot_sequence,
        schedule: options.schedule,
        writer,
        torn,
        reader,
    })
}

/// The sealer's own walk, from where the sealed segments end.
fn shadow_scan(scan: &Scan<State>) -> Scan<Shadow> {
    let position = Position {
        taker: Shadow::of(&scan.taker),
        frontier: scan.frontier.clone(),
        chain_head: scan.chain_head,
        frame: scan.frame,
        segment: scan.segment,
    };
    let reader = Arc::clone(scan.reader());
    Scan::new(scan.identity, reader, Arc::clone(&scan.cold), position)
}

/// Open the directory for reading up to what is known to be durable.
pub fn open_reader(storage: &Shared, expected: Option<Expected>) -> Result<Scan<State>, Fault> {
    if !judge(&**storage)? {
        return Err(no_ledger(storage.location()));
    }
    let Superblock { identity, mark, .. } = read_durable_superblock(&**storage)?;
    let reader = Arc::new(SegmentReader::new(Arc::clone(storage)));
    let listing: Listing = list(&**storage)?;
    let mut scan = start(identity, &reader, &listing, expected)?.scan;
    scan.pass_sealed(&listing, mark)?;
    scan.advance(Extent::Durable(mark.map_or(0, |mark| mark.frame)), mark)?;
    check_expected(storage.location(), &scan, expected)?;
    Ok(scan)
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

fn take_lock(storage: &dyn Storage) -> Result<(), Fault> {
    match storage.lock() {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let text = format!(
                "{}: another process writes this ledger; stop it first, or open the ledger \
                 read-only",
                storage.location().display()
            );
            Err(Fault::new(FaultKind::Locked, text))
        }
        Err(error) => Err(Fault::from_io(
            &path_of(storage, LOCK),
            "cannot lock",
            &error,
        )),
    }
}

fn remove_half_made(storage: &dyn Storage) -> Result<(), Fault> {
    let half_made = [
        SPARE_TEMPORARY,
        SUPERBLOCK_TEMPORARY,
        SEAL_TEMPORARY,
        SNAPSHOT_TEMPORARY,
    ];
    for name in names(storage)? {
        if half_made.contains(&name.as_str()) {
            remove(storage, &name)?;
        }
    }
    Ok(())
}

fn remove(storage: &dyn Storage, name: &str) -> Result<(), Fault> {
    let removed = storage.remove(name);
    removed.map_err(|error| Fault::from_io(&path_of(storage, name), "cannot remove", &error))
}

/// Make a new ledger's files; it exists from the moment its superblock has its name.
fn create(storage: &Shared, options: &Options, mut entropy: Entropy) -> Result<Entropy, Fault> {
    let segment_size = options.segment_size;
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
    for name in names(&**storage)?
        .iter()
        .filter(|name| number_in(name, ".seg").is_some())
    {
        remove(&**storage, name)?;
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
    let mut writer = Writer::new(
        Arc::clone(storage),
        options.schedule,
        identity,
        tip,
        entropy,
    );
    writer.wait_for_spare()?;
    writer.activate(crate::sha::sha256(b""))?;
    write_identity(&**storage, &identity)?;
    Ok(writer.into_entropy())
}

fn write_identity(storage: &dyn Storage, identity: &Identity) -> Result<(), Fault> {
    let mut pages = AlignedBuffer::default();
    pages.reset(3 * BLOCK)[..BLOCK].copy_from_slice(&identity.pack());
    let written = storage.create(SUPERBLOCK_TEMPORARY).and_then(|()| {
        let file = storage.open(SUPERBLOCK_TEMPORARY, Access::Direct)?;
        file.write_at(pages.bytes(), 0)?;
        file.sync()?;
        storage.rename(SUPERBLOCK_TEMPORARY, SUPERBLOCK)?;
        storage.sync_directory()
    });
    let path = path_of(storage, SUPERBLOCK);
    written.map_err(|error| Fault::from_io(&path, "cannot write", &error))
}
