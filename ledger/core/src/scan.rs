//! Reading the log from its start: every frame checked, every record absorbed.
//!
//! Recovery, read-only opening, verification and sealing are this one walk with different ends.
//! Source: docs/reference/ledger-format.md, section 8.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::absorb::{Absorber, Past};
use crate::cold::Cold;
use crate::fault::Fault;
use crate::limits::FRAME_RECORDS_MAX;
use crate::merkle::Frontier;
use crate::pages::{
    frame_bytes, CommitMark, FrameHeader, Identity, Nonce, SegmentHeader, BLOCK, BLOCK_U64, HEADER,
};
use crate::record::{Record, BODY_SIZE};
use crate::scan_ends::Step;
use crate::sealing::Sealing;
use crate::segments::{list, FramePlace, Listing, SegmentReader};
use crate::sha::{leaf_hash, sha256, Hash};
use crate::state::History;
use crate::wire::{u64_at, RECORD_SIZE};

/// Records whose memory is brought near before the first of them is absorbed.
const AHEAD: usize = 32;
/// Bytes read at a time: large enough for the disk's full speed.
const WINDOW_BYTES: usize = 4 << 20;

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// To the end of the log, judging what stands there.
    All,
    /// To this frame, which is known to be durable, and not one further.
    Frame(u64),
    /// To this frame, which is known to be durable, and to the end of the segment that holds it
    /// where that is sealed meanwhile: a walk goes on between segments or inside a raw one.
    Durable(u64),
}

/// Unacknowledged bytes at the end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Which segment.
    pub segment: u64,
    /// From which byte.
    pub offset: u64,
}

/// Where between two segments a walk stands, so that another can start there.
#[derive(Clone)]
pub struct Position<T> {
    /// What took the records so far.
    pub taker: T,
    /// The Merkle tree over them.
    pub frontier: Frontier,
    /// Hash of the last frame.
    pub chain_head: Hash,
    /// Number of the last frame.
    pub frame: u64,
    /// The segment that ended here, 0 before the first.
    pub segment: u64,
}

/// A walk through the log, and everything that it found so far.
pub struct Scan<T> {
    /// Who the ledger is.
    pub identity: Identity,
    /// What takes the records: the state after the last of them.
    pub taker: T,
    /// The Merkle tree over all records.
    pub frontier: Frontier,
    /// Hash of the last frame.
    pub chain_head: Hash,
    /// Number of the last frame.
    pub frame: u64,
    /// The sealed segments that were walked through, or passed over by a snapshot.
    pub cold: Arc<Cold>,
    /// Where each frame behind them stands.
    pub places: VecDeque<FramePlace>,
    /// The segment that the walk is in, 0 before the first.
    pub segment: u64,
    /// Its epoch nonce.
    pub nonce: Nonce,
    /// Where in it the next frame is due.
    pub offset: u64,
    /// The Merkle root over the records up to a sequence that the caller wants to see again.
    pub witness: Option<(u64, Option<Hash>)>,
    /// Takes notes of the records, for a sealed segment.
    pub notes: Option<Sealing>,
    /// Whether the walk is inside a raw segment.
    pub(crate) in_raw: bool,
    pub(crate) reader: Arc<SegmentReader>,
    pub(crate) window: Window,
}

/// Bytes of a segment that were read ahead.
#[derive(Default)]
pub(crate) struct Window {
    pub(crate) segment: u64,
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What stands where a frame is due.
pub enum Found {
    /// The frame.
    Good,
    /// Something else.
    Bad,
}

impl<T: Absorber> Scan<T> {
    /// Start at a position.
    pub fn new(
        identity: Identity,
        reader: Arc<SegmentReader>,
        cold: Arc<Cold>,
        start: Position<T>,
    ) -> Self {
        Self {
            identity,
            taker: start.taker,
            frontier: start.frontier,
            chain_head: start.chain_head,
            frame: start.frame,
            cold,
            places: VecDeque::new(),
            segment: start.segment,
            nonce: [0; 16],
            offset: identity.segment_size,
            witness: None,
            notes: None,
            in_raw: false,
            reader,
            window: Window::default(),
        }
    }

    /// Walk on to the extent; a torn tail is reported, corruption is a fault.
    pub fn advance(
        &mut self,
        extent: Extent,
        mark: Option<CommitMark>,
    ) -> Result<Option<TornTail>, Fault> {
        // What was read ahead of a writer may have been written since.
        self.window = Window::default();
        let mut listing = list(&**self.reader.storage())?;
        loop {
            if self.frame >= extent.wanted() {
                return Ok(None);
            }
            if self.in_raw {
                if let Step::End(tail) = self.step(&mut listing, extent, mark)? {
                    return Ok(tail);
                }
                continue;
            }
            self.go_on(&mut listing, mark, extent.last())?;
        }
    }

    /// Go to the next segment, raw or sealed.
    fn go_on(
        &mut self,
        listing: &mut Listing,
        mark: Option<CommitMark>,
        end: u64,
    ) -> Result<(), Fault> {
        let next = self.segment + 1;
        if listing.is_sealed(next) {
            return self.take_sealed(next, mark, end);
        }
        match self.enter(next) {
            Ok(_) => Ok(()),
            Err(fault) => {
                // The writer may have sealed it since its name was seen.
                *listing = list(&**self.reader.storage())?;
                if listing.is_sealed(next) {
                    self.take_sealed(next, mark, end)
                } else {
                    Err(fault)
                }
            }
        }
    }

    /// Give a record that was read.
    pub fn record(&self, sequence: u64) -> Result<Record, Fault> {
        Past {
            cold: &self.cold,
            places: &self.places,
            reader: &self.reader,
        }
        .record(sequence)
    }

    /// Reads the segments.
    pub fn reader(&self) -> &Arc<SegmentReader> {
        &self.reader
    }

    fn path(&self) -> PathBuf {
        self.reader.path(self.segment)
    }

    pub(crate) fn wrong(&self, what: &str) -> Fault {
        Fault::corrupt(&self.path(), self.offset, what)
    }

    /// What the header of the next segment must be; the nonce is its own.
    pub(crate) fn expected_header(&self, segment: u64, nonce: Nonce) -> SegmentHeader {
        SegmentHeader {
            uuid: self.identity.uuid,
            number: segment,
            nonce,
            first_sequence: self.taker.last_sequence() + 1,
            first_frame: self.frame + 1,
            root: self.frontier.root(),
            previous: self.chain_head,
            segment_size: self.identity.segment_size,
        }
    }

    /// Go to the next raw segment; its header must continue what was read.
    pub fn enter(&mut self, segment: u64) -> Result<SegmentHeader, Fault> {
        let header = self.check_header(segment)?;
        self.segment = segment;
        self.nonce = header.nonce;
        self.offset = BLOCK_U64;
        self.in_raw = true;
        self.window = Window::default();
        Ok(header)
    }

    pub(crate) fn check_header(&self, segment: u64) -> Result<SegmentHeader, Fault> {
        let page = self.reader.read(segment, 0, BLOCK)?;
        let wrong = |what| Fault::corrupt(&self.reader.path(segment), 0, what);
        let header = SegmentHeader::unpack(&page)
            .map_err(|_| wrong("the segment's header page is damaged"))?;
        if header != self.expected_header(segment, header.nonce) {
            return Err(wrong("the segment does not continue the one before it"));
        }
        Ok(header)
    }

    pub(crate) fn fetch(&mut self, offset: u64, length: usize) -> Result<(), Fault> {
        let window = &self.window;
        let end = offset + length as u64;
        let held = window.segment == self.segment
            && window.start <= offset
            && end <= window.start + window.bytes.len() as u64;
        if !held {
            let left = self.identity.segment_size - offset;
            let wanted = WINDOW_BYTES.max(length);
            let wanted = usize::try_from(left).map_or(wanted, |left| wanted.min(left));
            let bytes = self.reader.read(self.segment, offset, wanted)?;
            self.window = Window {
                segment: self.segment,
                start: offset,
                bytes,
            };
        }
        Ok(())
    }

    /// Take the frame that is due, if that is what stands there.
    pub fn next_frame(&mut self, mark: Option<CommitMark>) -> Result<Found, Fault> {
        if self.offset + BLOCK_U64 > self.identity.segment_size {
            return Ok(Found::Bad);
        }
        self.fetch(self.offset, BLOCK)?;
        let Some(header) = self.header() else {
            return Ok(Found::Bad);
        };
        let length = frame_bytes(header.count as usize);
        self.fetch(self.offset, length)?;
        let start = usize::try_from(self.offset - self.window.start).expect("within the window");
        let bytes = std::mem::take(&mut self.window.bytes);
        let found = self.take_frame(&header, &bytes[start..start + length], mark);
        self.window.bytes = bytes;
        found
    }

    /// The header of the frame that is due, if that is what stands there.
    fn header(&self) -> Option<FrameHeader> {
        let start = usize::try_from(self.offset - self.window.start).expect("within the window");
        let header = FrameHeader::unpack(&self.window.bytes[start..start + HEADER]).ok()?;
        let count = header.count as usize;
        let sound = header.nonce == self.nonce
            && header.number == self.frame + 1
            && header.previous == self.chain_head
            && header.first_sequence == self.taker.last_sequence() + 1
            && header.durable == self.taker.last_sequence()
            && (1..=FRAME_RECORDS_MAX).contains(&count)
            && header.payload_bytes as usize == RECORD_SIZE * count
            && self.offset + frame_bytes(count) as u64 <= self.identity.segment_size;
        sound.then_some(header)
    }

    fn take_frame(
        &mut self,
        header: &FrameHeader,
        bytes: &[u8],
        mark: Option<CommitMark>,
    ) -> Result<Found, Fault> {
        let end = HEADER + header.payload_bytes as usize;
        let payload = &bytes[HEADER..end];
        if header.payload_crc != crc32fast::hash(payload) || header.payload_hash != sha256(payload)
        {
            return Ok(Found::Bad);
        }
        if bytes[end..].iter().any(|byte| *byte != 0) {
            return Err(self.wrong("a frame's padding is not zero"));
        }
        let hash = sha256(&bytes[..HEADER]);
        let here = CommitMark {
            frame: header.number,
            sequence: header.durable + u64::from(header.count),
            segment: self.segment,
            hash,
        };
        if mark.is_some_and(|mark| mark.frame == header.number && mark != here) {
            return Err(self.wrong("this frame is not the one that the commit mark names"));
        }
        self.places.push_back(FramePlace {
            first_sequence: header.first_sequence,
            first_timestamp: u64_at(payload, 8),
            segment: u32::try_from(self.segment).expect("a segment number has 8 digits"),
            block: u32::try_from(self.offset / BLOCK_U64).expect("bounded by the segment size"),
        });
        let (path, at) = (self.path(), self.offset + HEADER as u64);
        self.take_records(payload, &path, at)?;
        self.chain_head = hash;
        self.frame = header.number;
        self.offset += bytes.len() as u64;
        Ok(Found::Good)
    }

    /// Take the records of a frame that stand in this file at this offset.
    pub(crate) fn take_records(
        &mut self,
        payload: &[u8],
        path: &Path,
        offset: u64,
    ) -> Result<(), Fault> {
        if let Some(notes) = &mut self.notes {
            let noted = notes.frame(payload);
            noted.map_err(|error| Fault::from_io(path, "cannot seal", &error))?;
        }
        let (records, _) = payload.as_chunks::<RECORD_SIZE>();
        let mut may_be_cold = [false; AHEAD];
        for (place, bytes) in records.iter().enumerate() {
            if place % AHEAD == 0 {
                for (cold, bytes) in may_be_cold.iter_mut().zip(&records[place..]) {
                    *cold = self.taker.prepare(bytes);
                }
            }
            let at = offset + (RECORD_SIZE * place) as u64;
            let record = Record::check(bytes).map_err(|what| Fault::corrupt(path, at, what))?;
            let past = Past {
                cold: &self.cold,
                places: &self.places,
                reader: &self.reader,
            };
            self.taker
                .take(&record, may_be_cold[place % AHEAD], &past)
                .map_err(|fault| Fault::corrupt(path, at, &fault.text))?;
            let leaf = leaf_hash(&bytes[..BODY_SIZE]);
            if let Some(notes) = &mut self.notes {
                notes.record(&record);
                self.frontier
                    .push_noting(leaf, |level, root| notes.node(level, root));
            } else {
                self.frontier.push(leaf);
            }
            if let Some((wanted, root @ None)) = &mut self.witness {
                if *wanted == self.frontier.size() {
                    *root = Some(self.frontier.root());
                }
            }
        }
        Ok(())
    }
}
