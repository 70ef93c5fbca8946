//! The directory of a ledger, for reading: names, segments, records by their sequence.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::fault::Fault;
use crate::limits::FILES_OPEN_MAX;
use crate::pages::{segment_name, BLOCK, BLOCK_U64, HEADER};
use crate::record::Record;
use crate::seal_page::SealPage;
use crate::storage::{path_of, read_fully, Access, Shared, Storage, StoredFile};
use crate::wire::RECORD_SIZE;

/// Where a durable frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramePlace {
    /// Of its first record.
    pub first_sequence: u64,
    /// Timestamp of its first record.
    pub first_timestamp: u64,
    /// Number of the segment.
    pub segment: u32,
    /// Number of the block in the segment.
    pub block: u32,
}

/// Reads segments; keeps a bounded number of them open.
pub struct SegmentReader {
    storage: Shared,
    open: Mutex<HashMap<String, Arc<dyn StoredFile>>>,
}

/// Marks the place of a whole sealed segment that is not cold: a raw one before it is in force.
const DENSE: u32 = 1 << 31;

impl FramePlace {
    /// The place of a sealed segment's records.
    pub fn dense(first_sequence: u64, first_timestamp: u64, segment: u64) -> Self {
        let segment = u32::try_from(segment).expect("a segment number has 8 digits");
        Self {
            first_sequence,
            first_timestamp,
            segment: segment | DENSE,
            block: 1,
        }
    }

    /// The segment.
    pub fn number(&self) -> u64 {
        u64::from(self.segment & !DENSE)
    }

    /// The segment, whether it is sealed, and the offset of a record in its file.
    pub fn of_record(&self, sequence: u64) -> (u64, bool, u64) {
        let is_dense = self.segment & DENSE != 0;
        let header = if is_dense { 0 } else { HEADER as u64 };
        let at = header + RECORD_SIZE as u64 * (sequence - self.first_sequence);
        let offset = u64::from(self.block) * BLOCK as u64 + at;
        (self.number(), is_dense, offset)
    }
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
        self.read_name(segment_name(segment), offset, length)
    }

    fn read_name(&self, name: String, offset: u64, length: usize) -> Result<Vec<u8>, Fault> {
        let path = path_of(&*self.storage, &name);
        let mut bytes = vec![0u8; length];
        let read = self
            .open(name)
            .and_then(|file| read_fully(&*file, &mut bytes, offset));
        read.map_err(|error| Fault::from_io(&path, "cannot read", &error))?;
        Ok(bytes)
    }

    /// The length of a segment's file.
    pub fn length(&self, segment: u64) -> Result<u64, Fault> {
        let found = self.file(segment).and_then(|file| file.length());
        found.map_err(|error| Fault::from_io(&self.path(segment), "cannot read", &error))
    }

    /// Read records that stand one behind the other, of a frame whose place is known.
    pub fn records(
        &self,
        place: &FramePlace,
        sequence: u64,
        count: usize,
    ) -> Result<Vec<u8>, Fault> {
        let (segment, is_dense, offset) = place.of_record(sequence);
        let length = RECORD_SIZE * count;
        if is_dense {
            return self.read_name(sealed_name(segment), offset, length);
        }
        let found = self.read_name(segment_name(segment), offset, length);
        if found.is_err() && self.is_gone(segment) {
            // Beside a writer, who has sealed it since its place was noted.
            let page = self.read_name(sealed_name(segment), 0, BLOCK)?;
            let page = SealPage::unpack(&page).map_err(|_| {
                let what = "the sealed segment's header page is damaged";
                Fault::corrupt(&self.sealed_path(segment), 0, what)
            })?;
            let ordinal = sequence - page.segment.first_sequence;
            let offset = BLOCK_U64 + RECORD_SIZE as u64 * ordinal;
            return self.read_name(sealed_name(segment), offset, length);
        }
        found
    }

    /// Read one record of a frame whose place is known.
    pub fn record(&self, place: &FramePlace, sequence: u64) -> Result<Record, Fault> {
        let bytes = self.records(place, sequence, 1)?;
        let bytes: &[u8; RECORD_SIZE] = bytes[..].try_into().expect("one record");
        let (segment, is_dense, offset) = place.of_record(sequence);
        let path = if is_dense {
            self.sealed_path(segment)
        } else {
            self.path(segment)
        };
        let record = Record::check(bytes).map_err(|what| Fault::corrupt(&path, offset, what))?;
        if record.sequence == sequence {
            Ok(record)
        } else {
            let what = "another record stands where this one was written";
            Err(Fault::corrupt(&path, offset, what))
        }
    }

    /// The path of a sealed segment.
    pub fn sealed_path(&self, segment: u64) -> PathBuf {
        path_of(&*self.storage, &sealed_name(segment))
    }

    /// A sealed segment's file.
    pub fn sealed_file(&self, segment: u64) -> io::Result<Arc<dyn StoredFile>> {
        self.open(sealed_name(segment))
    }

    fn file(&self, segment: u64) -> io::Result<Arc<dyn StoredFile>> {
        self.open(segment_name(segment))
    }

    fn open(&self, name: String) -> io::Result<Arc<dyn StoredFile>> {
        let mut open = self.open.lock().expect("no panic while it is held");
        if let Some(file) = open.get(&name) {
            return Ok(Arc::clone(file));
        }
        if open.len() >= FILES_OPEN_MAX {
            open.clear();
        }
        let file: Arc<dyn StoredFile> = self.storage.open(&name, Access::Read)?.into();
        open.insert(name, Arc::clone(&file));
        Ok(file)
    }

    /// Whether a raw segment is not there any more: then it was sealed.
    fn is_gone(&self, segment: u64) -> bool {
        let opened = self.storage.open(&segment_name(segment), Access::Read);
        matches!(opened, Err(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Close all files.
    pub fn close(&self) {
        self.open.lock().expect("no panic while it is held").clear();
    }

    /// Close a raw segment that was removed.
    pub fn forget(&self, segment: u64) {
        let mut open = self.open.lock().expect("no panic while it is held");
        open.remove(&segment_name(segment));
    }
}

/// The place of the frame that holds a sequence; `None` where it stands in none of these.
pub fn place_of(places: &VecDeque<FramePlace>, sequence: u64) -> Option<&FramePlace> {
    let behind = places.partition_point(|place| place.first_sequence <= sequence);
    places.get(behind.checked_sub(1)?)
}

/// Which segments and snapshots there are.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Numbers of the raw segments.
    pub raw: BTreeSet<u64>,
    /// Numbers of the sealed segments.
    pub sealed: BTreeSet<u64>,
    /// Numbers of the snapshots.
    pub snapshots: BTreeSet<u64>,
}

impl Listing {
    /// The number of the newest segment.
    pub fn last(&self) -> u64 {
        self.raw.last().copied().unwrap_or(0)
    }

    /// Whether a segment is there sealed only.
    pub fn is_sealed(&self, segment: u64) -> bool {
        self.sealed.contains(&segment) && !self.raw.contains(&segment)
    }
}

/// Look which segments there are; a gap between them is corruption.
///
/// Asked a second time before it is said: a name may change while the directory is being read.
pub fn list(storage: &dyn Storage) -> Result<Listing, Fault> {
    list_once(storage).or_else(|_| list_once(storage))
}

fn list_once(storage: &dyn Storage) -> Result<Listing, Fault> {
    let mut found = Listing::default();
    for name in names(storage)? {
        if let Some(number) = number_in(&name, ".seg") {
            found.raw.insert(number);
        } else if let Some(number) = number_in(&name, ".seal") {
            found.sealed.insert(number);
        } else if let Some(number) = number_in(&name, ".snap") {
            found.snapshots.insert(number);
        }
    }
    let last = found.raw.last().max(found.sealed.last()).copied();
    let last = last.unwrap_or(0).max(1);
    for number in 1..=last {
        if !found.raw.contains(&number) && !found.sealed.contains(&number) {
            let missing = path_of(storage, &segment_name(number));
            return Err(Fault::corrupt(&missing, 0, "this segment is missing"));
        }
    }
    if !found.raw.contains(&last) {
        let missing = path_of(storage, &segment_name(last + 1));
        let what = "the segment after the last sealed one is missing";
        return Err(Fault::corrupt(&missing, 0, what));
    }
    Ok(found)
}

/// The number in a name of eight digits and an ending.
pub fn number_in(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending)?;
    let all_digits = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|number| *number > 0)
}

/// The name of a sealed segment.
pub fn sealed_name(number: u64) -> String {
    format!("{number:08}.seal")
}

/// The name of a snapshot.
pub fn snapshot_name(number: u64) -> String {
    format!("{number:08}.snap")
}

/// All names in the directory.
pub fn names(storage: &dyn Storage) -> Result<Vec<String>, Fault> {
    let names = storage.names();
    names.map_err(|error| Fault::from_io(storage.location(), "cannot list", &error))
}
