//! Commit groups in memory: the frame that is being built, and those that were built last.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::disk::AlignedBuffer;
use crate::pages::{frame_bytes, FrameHeader, Nonce, HEADER};
use crate::record::{Record, BODY_SIZE};
use crate::sha::{leaf_hash, sha256, Hash};
use crate::wire::{u64_at, RECORD_SIZE};

/// Bytes of frames kept in memory after they were written: a repeat comes soon after its original,
/// and reading it from the disk would hold up the group it stands in.
pub const RECENT_BYTES_MAX: usize = 16 << 20;

/// The records of one commit group, laid out as they go to the disk.
pub struct Frame {
    buffer: AlignedBuffer,
    first_sequence: u64,
    count: usize,
}

impl Frame {
    /// Start a frame that takes at most `capacity` records, in memory that was used before.
    pub fn new(first_sequence: u64, capacity: usize, mut buffer: AlignedBuffer) -> Self {
        buffer.reset(frame_bytes(capacity));
        Self {
            buffer,
            first_sequence,
            count: 0,
        }
    }

    /// A frame of nothing, to leave behind where a whole one was taken.
    pub fn empty() -> Self {
        Self {
            buffer: AlignedBuffer::default(),
            first_sequence: 0,
            count: 0,
        }
    }

    /// The sequence of its first record.
    pub fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// How many records it holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The sequence after its last record.
    pub fn end_sequence(&self) -> u64 {
        self.first_sequence + self.count as u64
    }

    /// The whole buffer, for writing.
    pub fn buffer(&self) -> &AlignedBuffer {
        &self.buffer
    }

    /// The record bytes.
    pub fn payload(&self) -> &[u8] {
        &self.buffer.bytes()[HEADER..HEADER + RECORD_SIZE * self.count]
    }

    /// Append a record.
    #[inline]
    pub fn push(&mut self, record: &Record) {
        debug_assert_eq!(record.sequence, self.end_sequence());
        let at = HEADER + RECORD_SIZE * self.count;
        let place = &mut self.buffer.bytes_mut()[at..at + RECORD_SIZE];
        record.encode(place.try_into().expect("one record"));
        self.count += 1;
    }

    /// Take the newest record back.
    pub fn pop(&mut self) -> Record {
        let record = self
            .record(self.end_sequence() - 1)
            .expect("it holds a record");
        self.count -= 1;
        let at = HEADER + RECORD_SIZE * self.count;
        self.buffer.bytes_mut()[at..at + RECORD_SIZE].fill(0);
        record
    }

    /// Give a record by its sequence, `None` when it is not of this frame.
    #[inline]
    pub fn record(&self, sequence: u64) -> Option<Record> {
        let place = usize::try_from(sequence.checked_sub(self.first_sequence)?).ok()?;
        let bytes = self
            .payload()
            .get(RECORD_SIZE * place..RECORD_SIZE * (place + 1))?;
        Record::decode(bytes.try_into().expect("one record"))
    }

    /// The Merkle leaves of the records, in order.
    pub fn leaves(&self) -> impl Iterator<Item = Hash> + '_ {
        self.payload()
            .chunks_exact(RECORD_SIZE)
            .map(|record| leaf_hash(&record[..BODY_SIZE]))
    }

    /// The SHA-256 and the checksum of the payload.
    pub fn digests(&self) -> (Hash, u32) {
        (sha256(self.payload()), crc32fast::hash(self.payload()))
    }

    /// Cut the buffer to whole blocks; the padding is zero since nothing was written there.
    pub fn trim(&mut self) {
        self.buffer.truncate(frame_bytes(self.count));
    }

    /// Put the header in place and give the frame's hash.
    pub fn seal(
        &mut self,
        number: u64,
        nonce: Nonce,
        previous: Hash,
        digests: (Hash, u32),
    ) -> Hash {
        let payload_bytes = u32::try_from(RECORD_SIZE * self.count).expect("bounded by a segment");
        let header = FrameHeader {
            number,
            nonce,
            previous,
            payload_hash: digests.0,
            first_sequence: self.first_sequence,
            durable: self.first_sequence - 1,
            count: u32::try_from(self.count).expect("bounded by a segment"),
            payload_bytes,
            payload_crc: digests.1,
        };
        let packed = header.pack();
        self.buffer.bytes_mut()[..HEADER].copy_from_slice(&packed);
        debug_assert_eq!(u64_at(self.buffer.bytes(), 8), number);
        sha256(&packed)
    }
}

/// The frames that were built last, oldest first, without gap.
#[derive(Default)]
pub struct RecentFrames {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    /// The memory of the frame that was let go of last: fresh memory costs a fault for each page.
    free: AlignedBuffer,
}

impl RecentFrames {
    /// Keep a frame, letting go of the oldest beyond the bound.
    pub fn push(&mut self, frame: Arc<Frame>) {
        self.bytes += frame.buffer.bytes().len();
        self.frames.push_back(frame);
        while self.bytes > RECENT_BYTES_MAX && self.frames.len() > 1 {
            let oldest = self.frames.pop_front().expect("more than one");
            self.bytes -= oldest.buffer.bytes().len();
            if let Ok(frame) = Arc::try_unwrap(oldest) {
                self.free = frame.buffer;
            }
        }
    }

    /// Take memory that is not used any more, for the next frame.
    pub fn take_buffer(&mut self) -> AlignedBuffer {
        std::mem::take(&mut self.free)
    }

    /// Give a record if its frame is still kept.
    #[inline]
    pub fn record(&self, sequence: u64) -> Option<Record> {
        if sequence < self.frames.front()?.first_sequence {
            return None;
        }
        let after = self
            .frames
            .partition_point(|frame| frame.first_sequence <= sequence);
        self.frames[after - 1].record(sequence)
    }
}
