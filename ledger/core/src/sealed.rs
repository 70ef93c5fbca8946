//! A sealed segment as readers use it: records by sequence, candidates by id, postings by account.
//!
//! Each block that is read is checked against its checksum, every time: an index that lies would
//! answer that an id is free. A single record is checked by its own. What is in memory is bounded: the filter, the checksums, and the fingerprints for as long as the owner keeps them.

use std::sync::{Arc, Mutex, OnceLock};

use crate::fault::Fault;
use crate::filter::{filter_blocks, Filter, FILTER_BLOCK};
use crate::pages::{PageError, BLOCK, BLOCK_U64};
use crate::record::Record;
use crate::seal_page::{Layout, SealPage};
use crate::segments::SegmentReader;
use crate::storage::read_fully;
use crate::wire::{u32_at, RECORD_SIZE};

/// An open sealed segment.
pub struct SealedSegment {
    number: u64,
    pub(crate) page: SealPage,
    pub(crate) layout: Layout,
    pub(crate) filter: Filter,
    checksums: Vec<u32>,
    /// The fingerprints of all ids, while there is room for them.
    pub(crate) fingerprints: Mutex<Option<Arc<Vec<u64>>>>,
    /// Every 1,024th account that has postings here.
    pub(crate) sparse: OnceLock<Vec<u32>>,
    reader: Arc<SegmentReader>,
}

impl SealedSegment {
    /// Open a sealed segment: header page, length and checksums are checked, and the filter read.
    pub fn open(reader: &Arc<SegmentReader>, number: u64) -> Result<Self, Fault> {
        let path = reader.sealed_path(number);
        let wrong = |offset, what: &str| Fault::corrupt(&path, offset, what);
        let failed = |error: &_| Fault::from_io(&path, "cannot read", error);
        let file = reader.sealed_file(number).map_err(|error| failed(&error))?;
        let mut page = vec![0u8; BLOCK];
        read_fully(&*file, &mut page, 0).map_err(|error| failed(&error))?;
        let page = match SealPage::unpack(&page) {
            Ok(page) => page,
            Err(PageError::Foreign) => return Err(wrong(0, "this is no sealed segment")),
            Err(_) => return Err(wrong(0, "the sealed segment's header page is damaged")),
        };
        let layout = page.layout();
        if page.segment.number != number {
            return Err(wrong(24, "this is another segment"));
        }
        if file.length().map_err(|error| failed(&error))? != layout.end {
            return Err(wrong(layout.end, "the sealed segment has another length"));
        }
        let mut bytes = vec![0u8; 4 * layout.blocks()];
        read_fully(&*file, &mut bytes, layout.checksums).map_err(|error| failed(&error))?;
        if crc32fast::hash(&bytes) != page.checksums_crc {
            return Err(wrong(layout.checksums, "the block checksums are damaged"));
        }
        let checksums: Vec<u32> = bytes.chunks_exact(4).map(|crc| u32_at(crc, 0)).collect();
        let mut segment = Self {
            number,
            page,
            layout,
            filter: Filter::default(),
            checksums,
            fingerprints: Mutex::new(None),
            sparse: OnceLock::new(),
            reader: Arc::clone(reader),
        };
        let blocks = filter_blocks(page.counts.ids.into());
        let filter = segment.read(layout.filter, as_len(blocks) * FILTER_BLOCK)?;
        segment.filter = Filter::unpack(&filter);
        Ok(segment)
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its header page.
    pub fn page(&self) -> &SealPage {
        &self.page
    }

    /// The checksums of its blocks.
    pub fn checksums(&self) -> &[u32] {
        &self.checksums
    }

    /// The sequence of its first record.
    pub fn first_sequence(&self) -> u64 {
        self.page.segment.first_sequence
    }

    /// The sequence of its last record.
    pub fn last_sequence(&self) -> u64 {
        self.page.last_sequence()
    }

    pub(crate) fn wrong(&self, offset: u64, what: &str) -> Fault {
        Fault::corrupt(&self.reader.sealed_path(self.number), offset, what)
    }

    /// Read a part of the file whose blocks are good.
    pub fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, Fault> {
        if length == 0 {
            return Ok(Vec::new());
        }
        let (first, last) = (offset / BLOCK_U64, (offset + length as u64 - 1) / BLOCK_U64);
        assert!(
            first >= 1 && last < self.layout.checksums / BLOCK_U64,
            "within the parts"
        );
        let mut blocks = vec![0u8; BLOCK * as_len(last - first + 1)];
        self.read_file(&mut blocks, first * BLOCK_U64)?;
        for (block, content) in (first..).zip(blocks.chunks_exact(BLOCK)) {
            if crc32fast::hash(content) != self.checksums[as_len(block) - 1] {
                return Err(self.wrong(block * BLOCK_U64, "a block's checksum is wrong"));
            }
        }
        let start = as_len(offset - first * BLOCK_U64);
        blocks.truncate(start + length);
        blocks.drain(..start);
        Ok(blocks)
    }

    fn read_file(&self, bytes: &mut [u8], offset: u64) -> Result<(), Fault> {
        let read = self
            .reader
            .sealed_file(self.number)
            .and_then(|file| read_fully(&*file, bytes, offset));
        match read {
            Ok(read) if read == bytes.len() => Ok(()),
            Ok(_) => Err(self.wrong(offset, "the sealed segment is too short")),
            Err(error) => {
                let path = self.reader.sealed_path(self.number);
                Err(Fault::from_io(&path, "cannot read", &error))
            }
        }
    }

    /// Read records from a sequence on, at most `limit` of them.
    pub fn record_bytes(&self, sequence: u64, limit: u64) -> Result<Vec<u8>, Fault> {
        assert!((self.first_sequence()..=self.last_sequence()).contains(&sequence));
        let ordinal = sequence - self.first_sequence();
        let count = limit.min(self.last_sequence() - sequence + 1);
        let offset = self.layout.records + RECORD_SIZE as u64 * ordinal;
        self.read(offset, RECORD_SIZE * as_len(count))
    }

    /// Read one record.
    pub fn record(&self, sequence: u64) -> Result<Record, Fault> {
        assert!((self.first_sequence()..=self.last_sequence()).contains(&sequence));
        let offset = self.layout.records + RECORD_SIZE as u64 * (sequence - self.first_sequence());
        let mut bytes = [0u8; RECORD_SIZE];
        self.read_file(&mut bytes, offset)?;
        let record = Record::check(&bytes).map_err(|what| self.wrong(offset, what))?;
        if record.sequence == sequence {
            Ok(record)
        } else {
            Err(self.wrong(offset, "another record stands where this one was written"))
        }
    }

    /// The number of records of each frame.
    pub fn frame_counts(&self) -> Result<Vec<u16>, Fault> {
        let length = 2 * self.page.counts.frames as usize;
        let bytes = self.read(self.layout.frame_counts, length)?;
        let counts = bytes.chunks_exact(2);
        Ok(counts.map(|count| crate::wire::u16_at(count, 0)).collect())
    }
}

/// A count as the length of something in memory.
pub fn as_len(count: u64) -> usize {
    usize::try_from(count).expect("a 64-bit machine")
}
