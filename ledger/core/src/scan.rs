//! Reading the log from its start: every frame checked, every record absorbed.
//!
//! Recovery, read-only opening and verification are this one walk with different ends.
//! Source: docs/reference/ledger-format.md, section 8.

use std::path::PathBuf;
use std::sync::Arc;

use crate::fault::Fault;
use crate::limits::FRAME_RECORDS_MAX;
use crate::merkle::Frontier;
use crate::pages::{
    frame_bytes, CommitMark, FrameHeader, Identity, Nonce, SegmentHeader, BLOCK, BLOCK_U64, HEADER,
};
use crate::record::{Record, BODY_SIZE};
use crate::segments::{last_segment, place_of, FramePlace, SegmentReader};
use crate::sha::{leaf_hash, sha256, Hash};
use crate::state::{History, State};
use crate::wire::RECORD_SIZE;

/// Records whose memory is brought near before the first of them is absorbed.
const AHEAD: usize = 32;
/// Bytes read at a time: large enough for the disk's full speed.
const WINDOW_BYTES: usize = 4 << 20;

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// To the end of the log, judging what stands there.
    All,
    /// To this frame, which is known to be durable.
    Frame(u64),
}

/// Unacknowledged bytes at the end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Which segment.
    pub segment: u64,
    /// From which byte.
    pub offset: u64,
}

/// A walk through the log, and everything that it found so far.
pub struct Scan {
    /// Who the ledger is.
    pub identity: Identity,
    /// The state after the last record.
    pub state: State,
    /// The Merkle tree over all records.
    pub frontier: Frontier,
    /// Hash of the last frame.
    pub chain_head: Hash,
    /// Number of the last frame.
    pub frame: u64,
    /// Where each frame stands.
    pub places: Vec<FramePlace>,
    /// The segment that the walk is in, 0 before the first.
    pub segment: u64,
    /// Its epoch nonce.
    pub nonce: Nonce,
    /// Where in it the next frame is due.
    pub offset: u64,
    /// The Merkle root over the records up to a sequence that the caller wants to see again.
    pub witness: Option<(u64, Option<Hash>)>,
    reader: Arc<SegmentReader>,
    window: Window,
}

#[derive(Default)]
struct Window {
    segment: u64,
    start: u64,
    bytes: Vec<u8>,
}

/// What stands where a frame is due.
enum Found {
    Good,
    Bad,
}

struct Past<'a> {
    places: &'a [FramePlace],
    reader: &'a SegmentReader,
}

impl History for Past<'_> {
    fn record(&self, sequence: u64) -> Result<Record, Fault> {
        self.reader
            .record(place_of(self.places, sequence), sequence)
    }
}

impl Scan {
    /// Start before the first segment.
    pub fn new(identity: Identity, reader: Arc<SegmentReader>) -> Self {
        Self {
            identity,
            state: State::default(),
            frontier: Frontier::default(),
            chain_head: identity.genesis(),
            frame: 0,
            places: Vec::new(),
            segment: 0,
            nonce: [0; 16],
            offset: identity.segment_size,
            witness: None,
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
        let last = last_segment(&**self.reader.storage())?;
        if last == 0 {
            let first = self.reader.path(1);
            return Err(Fault::corrupt(&first, 0, "the first segment is missing"));
        }
        if self.segment == 0 {
            self.enter(1)?;
        }
        loop {
            if matches!(extent, Extent::Frame(end) if self.frame >= end) {
                return Ok(None);
            }
            match self.next_frame(mark)? {
                Found::Good => {}
                Found::Bad if self.segment < last => {
                    self.expect_sealed_end()?;
                    self.enter(self.segment + 1)?;
                }
                Found::Bad => {
                    return match extent {
                        Extent::All => self.judge_tail(mark),
                        Extent::Frame(_) => Err(self.wrong("an acknowledged frame is damaged")),
                    }
                }
            }
        }
    }

    /// Give a record that was read.
    pub fn record(&self, sequence: u64) -> Result<Record, Fault> {
        Past {
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

    fn wrong(&self, what: &str) -> Fault {
        Fault::corrupt(&self.path(), self.offset, what)
    }

    /// Go to the next segment; its header must continue what was read.
    fn enter(&mut self, segment: u64) -> Result<(), Fault> {
        let page = self.reader.read(segment, 0, BLOCK)?;
        let wrong = |what| Fault::corrupt(&self.reader.path(segment), 0, what);
        let header = SegmentHeader::unpack(&page)
            .map_err(|_| wrong("the segment's header page is damaged"))?;
        let expected = SegmentHeader {
            uuid: self.identity.uuid,
            number: segment,
            nonce: header.nonce,
            first_sequence: self.state.last_sequence + 1,
            first_frame: self.frame + 1,
            root: self.frontier.root(),
            previous: self.chain_head,
            segment_size: self.identity.segment_size,
        };
        if header != expected {
            return Err(wrong("the segment does not continue the one before it"));
        }
        self.segment = segment;
        self.nonce = header.nonce;
        self.offset = BLOCK_U64;
        Ok(())
    }

    fn fetch(&mut self, offset: u64, length: usize) -> Result<(), Fault> {
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

    fn next_frame(&mut self, mark: Option<CommitMark>) -> Result<Found, Fault> {
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
            && header.first_sequence == self.state.last_sequence + 1
            && header.durable == self.state.last_sequence
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
        self.places.push(FramePlace {
            first_sequence: header.first_sequence,
            segment: u32::try_from(self.segment).expect("a segment number has 8 digits"),
            block: u32::try_from(self.offset / BLOCK_U64).expect("bounded by the segment size"),
        });
        self.take_records(payload)?;
        self.chain_head = hash;
        self.frame = header.number;
        self.offset += bytes.len() as u64;
        Ok(Found::Good)
    }

    fn take_records(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let (records, _) = payload.as_chunks::<RECORD_SIZE>();
        for (place, bytes) in records.iter().enumerate() {
            if place % AHEAD == 0 {
                let ahead = &records[place..records.len().min(place + AHEAD)];
                for bytes in ahead {
                    self.state.prepare_replay(bytes);
                }
            }
            let at = self.offset + (HEADER + RECORD_SIZE * place) as u64;
            let path = || self.reader.path(self.segment);
            let record = Record::check(bytes).map_err(|what| Fault::corrupt(&path(), at, what))?;
            let past = Past {
                places: &self.places,
                reader: &self.reader,
            };
            self.state
                .replay(&record, &past)
                .map_err(|fault| Fault::corrupt(&path(), at, &fault.text))?;
            self.frontier.push(leaf_hash(&bytes[..BODY_SIZE]));
            if let Some((wanted, root @ None)) = &mut self.witness {
                if *wanted == self.frontier.size() {
                    *root = Some(self.frontier.root());
                }
            }
        }
        Ok(())
    }

    /// In a sealed segment nothing but zero follows the last frame.
    fn expect_sealed_end(&mut self) -> Result<(), Fault> {
        match self.first_nonzero(self.offset)? {
            None => Ok(()),
            Some(_) => Err(self.wrong("a frame of a sealed segment is damaged")),
        }
    }

    /// Whether the file ends before the segment does.
    fn is_short(&self) -> Result<bool, Fault> {
        let length = self.reader.length(self.segment)?;
        Ok(length < self.identity.segment_size)
    }

    fn first_nonzero(&mut self, from: u64) -> Result<Option<u64>, Fault> {
        let mut offset = from;
        while offset < self.identity.segment_size {
            self.fetch(offset, BLOCK)?;
            let start = usize::try_from(offset - self.window.start).expect("within the window");
            let bytes = &self.window.bytes[start..];
            if let Some(place) = bytes.iter().position(|byte| *byte != 0) {
                return Ok(Some(offset + place as u64));
            }
            offset += bytes.len() as u64;
        }
        Ok(None)
    }

    /// Say whether what stands behind the last good frame is a clean end, a torn write, or damage.
    fn judge_tail(&mut self, mark: Option<CommitMark>) -> Result<Option<TornTail>, Fault> {
        let expected = self.frame + 1;
        if mark.is_some_and(|mark| expected <= mark.frame) {
            return Err(self.wrong("an acknowledged frame is missing or damaged"));
        }
        if self.first_nonzero(self.offset)?.is_none() && !self.is_short()? {
            return Ok(None);
        }
        // A later frame counts wherever it stands: a disk may have put it in this very place.
        let mut offset = self.offset;
        while offset < self.identity.segment_size {
            self.fetch(offset, BLOCK)?;
            let start = usize::try_from(offset - self.window.start).expect("within the window");
            let page = &self.window.bytes[start..start + BLOCK];
            if let Ok(header) = FrameHeader::unpack(page) {
                if header.nonce == self.nonce && header.number > expected {
                    return Err(self.wrong("this frame is damaged, but a later one is not"));
                }
            }
            offset += BLOCK_U64;
        }
        Ok(Some(TornTail {
            segment: self.segment,
            offset: self.offset,
        }))
    }
}
