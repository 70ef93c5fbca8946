//! A walk through a sealed segment: its frames rebuilt and checked as if they stood there raw, its
//! index made again and compared.
//!
//! Source: docs/reference/ledger-format.md, sections 8 and 9.

use std::sync::Arc;

use crate::absorb::Absorber;
use crate::fault::Fault;
use crate::limits::FRAME_RECORDS_MAX;
use crate::pages::{CommitMark, FrameHeader, BLOCK_U64};
use crate::scan::Scan;
use crate::seal_page::raw_frame_bytes;
use crate::sealed::SealedSegment;
use crate::sealing::{Nowhere, Sealing};
use crate::segments::FramePlace;
use crate::sha::sha256;
use crate::wire::RECORD_SIZE;

/// Records read at a time.
const WINDOW_RECORDS: u64 = 1 << 15;

impl<T: Absorber> Scan<T> {
    /// Take a sealed segment whole, or up to a frame.
    pub(crate) fn take_sealed(
        &mut self,
        number: u64,
        mark: Option<CommitMark>,
        end: u64,
    ) -> Result<(), Fault> {
        let sealed = Arc::new(SealedSegment::open(&self.reader, number)?);
        let path = self.reader.sealed_path(number);
        let wrong = |what: &str| Fault::corrupt(&path, 0, what);
        let header = sealed.page().segment;
        if header != self.expected_header(number, header.nonce) {
            return Err(wrong("the segment does not continue the one before it"));
        }
        let counts = checked_counts(&sealed)?;
        self.segment = number;
        self.nonce = header.nonce;
        self.in_raw = false;
        self.notes = Some(Sealing::new(header, Box::new(Nowhere)));
        self.places.push_back(FramePlace::dense(
            header.first_sequence,
            sealed.page().timestamp_first,
            number,
        ));
        let mut window = (0, Vec::new());
        for count in counts {
            if self.frame >= end {
                // Only a verification stops here; it looks no further.
                self.notes = None;
                return Ok(());
            }
            self.take_sealed_frame(&sealed, count, &mut window, mark)?;
        }
        self.finish_sealed(sealed)
    }

    /// Take the rest of a raw segment that was sealed away while the walk was inside it.
    ///
    /// All of it, or up to a frame.
    pub(crate) fn take_rest_sealed(
        &mut self,
        mark: Option<CommitMark>,
        end: u64,
    ) -> Result<(), Fault> {
        let sealed = SealedSegment::open(&self.reader, self.segment)?;
        let page = sealed.page();
        let counts = checked_counts(&sealed)?;
        let taken = (self.frame + 1).checked_sub(page.segment.first_frame);
        let taken = taken.and_then(|taken| usize::try_from(taken).ok());
        let (Some(taken), true) = (taken, page.segment.nonce == self.nonce) else {
            return Err(sealed.wrong(0, "this is not the segment that was read here before"));
        };
        // The records that were read raw are found there too.
        while self
            .places
            .back()
            .is_some_and(|place| place.number() == self.segment)
        {
            self.places.pop_back();
        }
        self.places.push_back(FramePlace::dense(
            page.segment.first_sequence,
            page.timestamp_first,
            self.segment,
        ));
        let mut window = (0, Vec::new());
        for count in counts.into_iter().skip(taken) {
            if self.frame >= end {
                return Ok(());
            }
            self.take_sealed_frame(&sealed, count, &mut window, mark)?;
        }
        if (self.frame, self.chain_head, self.frontier.root())
            != (page.last_frame(), page.chain_head, page.root)
        {
            let what = "the records do not make what the header page states";
            return Err(sealed.wrong(0, what));
        }
        self.in_raw = false;
        self.offset = self.identity.segment_size;
        Ok(())
    }

    fn take_sealed_frame(
        &mut self,
        sealed: &SealedSegment,
        count: u16,
        (start, window): &mut (u64, Vec<u8>),
        mark: Option<CommitMark>,
    ) -> Result<(), Fault> {
        let first_sequence = self.taker.last_sequence() + 1;
        let length = RECORD_SIZE * usize::from(count);
        let held = *start + (window.len() / RECORD_SIZE) as u64;
        if first_sequence < *start || first_sequence + u64::from(count) > held {
            *window = sealed.record_bytes(first_sequence, WINDOW_RECORDS)?;
            *start = first_sequence;
        }
        let from =
            usize::try_from(first_sequence - *start).expect("within the window") * RECORD_SIZE;
        let payload = &window[from..from + length];
        let header = FrameHeader {
            number: self.frame + 1,
            nonce: self.nonce,
            previous: self.chain_head,
            payload_hash: sha256(payload),
            first_sequence,
            durable: first_sequence - 1,
            count: count.into(),
            payload_bytes: u32::try_from(length).expect("bounded by a segment"),
            payload_crc: crc32fast::hash(payload),
        };
        let hash = sha256(&header.pack());
        let here = CommitMark {
            frame: header.number,
            sequence: first_sequence - 1 + u64::from(count),
            segment: self.segment,
            hash,
        };
        let path = self.reader.sealed_path(self.segment);
        let offset = BLOCK_U64 + RECORD_SIZE as u64 * (first_sequence - sealed.first_sequence());
        if mark.is_some_and(|mark| mark.frame == header.number && mark != here) {
            let what = "this frame is not the one that the commit mark names";
            return Err(Fault::corrupt(&path, offset, what));
        }
        self.take_records(payload, &path, offset)?;
        self.chain_head = hash;
        self.frame = header.number;
        Ok(())
    }

    /// The index must be what the records make; then they are cold.
    fn finish_sealed(&mut self, sealed: Arc<SealedSegment>) -> Result<(), Fault> {
        let path = self.reader.sealed_path(self.segment);
        let notes = self
            .notes
            .take()
            .expect("taken while the frames were walked through");
        let made = notes.finish(&self.frontier, self.chain_head);
        let (page, checksums) = made.map_err(|error| Fault::from_io(&path, "seal", &error))?;
        let stated = sealed.page();
        if (page.chain_head, page.root, page.timestamp_last)
            != (stated.chain_head, stated.root, stated.timestamp_last)
        {
            let what = "the records do not make what the header page states";
            return Err(Fault::corrupt(&path, 0, what));
        }
        sealed.check_index()?;
        if page != *stated || checksums != sealed.checksums() {
            let what = "the index is not that of the records";
            return Err(Fault::corrupt(&path, sealed.index_offset(), what));
        }
        self.offset = self.identity.segment_size;
        if self.cold.last_number() + 1 != self.segment {
            // A raw segment before it is in force, so it cannot be cold yet.
            return Ok(());
        }
        self.cold = Arc::new(self.cold.with(sealed));
        self.places.clear();
        self.taker.cool(&self.cold)
    }
}

/// How many records each frame of a sealed segment holds; they must fit the segment and its page.
fn checked_counts(sealed: &SealedSegment) -> Result<Vec<u16>, Fault> {
    let counts = sealed.frame_counts()?;
    let together = counts.iter().map(|count| u64::from(*count)).sum::<u64>();
    let frames = counts.iter().map(|count| raw_frame_bytes(*count));
    let is_one = |count: &u16| (1..=FRAME_RECORDS_MAX).contains(&usize::from(*count));
    if together != u64::from(sealed.page().counts.records)
        || !counts.iter().all(is_one)
        || BLOCK_U64 + frames.sum::<u64>() > sealed.page().segment.segment_size
    {
        let what = "the frame counts contradict the number of records";
        return Err(sealed.wrong(0, what));
    }
    Ok(counts)
}
