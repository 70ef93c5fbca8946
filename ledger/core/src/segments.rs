//! The directory of a ledger, for reading: names, segments, records by their sequence.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::fault::{Fault, FaultKind};
use crate::limits::FILES_OPEN_MAX;
use crate::pages::{segment_name, CommitMark, Identity, PageError, BLOCK, HEADER};
use crate::record::Record;
use crate::storage::{path_of, read_fully, Access, Shared, Storage, StoredFile};
use crate::wire::RECORD_SIZE;

/// The superblock's name.
pub const SUPERBLOCK: &str = "superblock";

/// Where a durable frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramePlace {
    /// Of its first record.
    pub first_sequence: u64,
    /// Number of the segment.
    pub segment: u32,
    /// Number of the block in the segment.
    pub block: u32,
}

/// Reads segments; keeps a bounded number of them open.
pub struct SegmentReader {
    storage: Shared,
    open: Mutex<HashMap<u64, Arc<dyn StoredFile>>>,
}

impl SegmentReader {
    /// Read segments of this storage.
    pub fn new(storage: Shared) -> Self {
        Self {
            storage,
            open: Mutex::default(),
        }
    }

    /// Where the segments are.
    pub fn storage(&self) -> &Shared {
        &self.storage
    }

    /// The path of a segment.
    pub fn path(&self, segment: u64) -> PathBuf {
        path_of(&*self.storage, &segment_name(segment))
    }

    /// Read `length` bytes; what lies behind the end of the file counts as zero.
    pub fn read(&self, segment: u64, offset: u64, length: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0u8; length];
        let read = self
            .file(segment)
            .and_then(|file| read_fully(&*file, &mut bytes, offset));
        match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(Fault::from_io(&self.path(segment), "cannot read", &error)),
        }
    }

    /// The length of a segment's file.
    pub fn length(&self, segment: u64) -> Result<u64, Fault> {
        let found = self.file(segment).and_then(|file| file.length());
        found.map_err(|error| Fault::from_io(&self.path(segment), "cannot read", &error))
    }

    /// Read one record of a frame whose place is known.
    pub fn record(&self, place: &FramePlace, sequence: u64) -> Result<Record, Fault> {
        let at = RECORD_SIZE as u64 * (sequence - place.first_sequence);
        let offset = u64::from(place.block) * BLOCK as u64 + HEADER as u64 + at;
        let bytes = self.read(place.segment.into(), offset, RECORD_SIZE)?;
        let bytes: &[u8; RECORD_SIZE] = bytes[..].try_into().expect("one record");
        let wrong = |what| Fault::corrupt(&self.path(place.segment.into()), offset, what);
        let record = Record::check(bytes).map_err(wrong)?;
        if record.sequence == sequence {
            Ok(record)
        } else {
            Err(wrong("another record stands where this one was written"))
        }
    }

    fn file(&self, segment: u64) -> io::Result<Arc<dyn StoredFile>> {
        let mut open = self.open.lock().expect("no panic while it is held");
        if let Some(file) = open.get(&segment) {
            return Ok(Arc::clone(file));
        }
        if open.len() >= FILES_OPEN_MAX {
            open.clear();
        }
        let file: Arc<dyn StoredFile> = self
            .storage
            .open(&segment_name(segment), Access::Read)?
            .into();
        open.insert(segment, Arc::clone(&file));
        Ok(file)
    }
}

/// The place of the frame that holds a sequence.
pub fn place_of(places: &[FramePlace], sequence: u64) -> &FramePlace {
    &places[places.partition_point(|place| place.first_sequence <= sequence) - 1]
}

/// The number of the newest segment; a gap before it is corruption.
pub fn last_segment(storage: &dyn Storage) -> Result<u64, Fault> {
    let mut numbers = Vec::new();
    for name in names(storage)? {
        if let Some(number) = segment_number(&name) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    for (place, number) in numbers.iter().enumerate() {
        if *number != place as u64 + 1 {
            let missing = path_of(storage, &segment_name(place as u64 + 1));
            return Err(Fault::corrupt(&missing, 0, "this segment is missing"));
        }
    }
    Ok(numbers.len() as u64)
}

/// The number in a segment's name.
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let all_digits = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|number| *number > 0)
}

/// All names in the directory.
pub fn names(storage: &dyn Storage) -> Result<Vec<String>, Fault> {
    let names = storage.names();
    names.map_err(|error| Fault::from_io(storage.location(), "cannot list", &error))
}

/// Read the superblock: who the ledger is and what is known to be durable.
pub fn read_superblock(storage: &dyn Storage) -> Result<(Identity, Option<CommitMark>), Fault> {
    let path = path_of(storage, SUPERBLOCK);
    // What lies behind the end of a file counts as zero.
    let mut bytes = vec![0u8; 3 * BLOCK];
    let read = storage
        .open(SUPERBLOCK, Access::Read)
        .and_then(|file| read_fully(&*file, &mut bytes, 0));
    read.map_err(|error| Fault::from_io(&path, "cannot read", &error))?;
    let identity = match Identity::unpack(&bytes[..BLOCK]) {
        Ok(identity) if identity.is_sound() => identity,
        Ok(_) => return Err(Fault::corrupt(&path, 24, "no ledger has such segments")),
        Err(PageError::Foreign) => return Err(foreign(&path, "is not a ledger's superblock")),
        Err(PageError::Version) => return Err(foreign(&path, "is of another version")),
        Err(PageError::Damaged) => {
            return Err(Fault::corrupt(&path, 0, "the identity page is damaged"))
        }
    };
    let mut mark: Option<CommitMark> = None;
    let mut damaged = None;
    for slot in 1..3 {
        let page = &bytes[slot * BLOCK..(slot + 1) * BLOCK];
        match CommitMark::unpack(page) {
            Ok(found) => {
                if mark.is_none_or(|mark| found.frame > mark.frame) {
                    mark = Some(found);
                }
            }
            Err(_) if page.iter().all(|byte| *byte == 0) => {}
            Err(_) => damaged = Some(slot * BLOCK),
        }
    }
    match (mark, damaged) {
        (None, Some(offset)) => Err(Fault::corrupt(
            &path,
            offset as u64,
            "no commit mark is readable",
        )),
        _ => Ok((identity, mark)),
    }
}

fn foreign(path: &std::path::Path, what: &str) -> Fault {
    let text = format!(
        "{}: {what}; name a ledger's directory, nothing was changed",
        path.display()
    );
    Fault::new(FaultKind::Foreign, text)
}
