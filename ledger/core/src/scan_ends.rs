//! What stands behind the last good frame of a raw segment: a clean end, a torn write, or damage.
//!
//! Source: docs/reference/ledger-format.md, section 8.

use crate::absorb::Absorber;
use crate::fault::Fault;
use crate::pages::{CommitMark, FrameHeader, BLOCK, BLOCK_U64};
use crate::scan::{Extent, Found, Scan, TornTail};
use crate::sealed::SealedSegment;
use crate::segments::{list, Listing};

impl Extent {
    /// The frame that is wanted.
    pub(crate) fn wanted(self) -> u64 {
        match self {
            Self::All => u64::MAX,
            Self::Frame(frame) | Self::Durable(frame) => frame,
        }
    }

    /// The last frame that may be taken of a sealed segment.
    pub(crate) fn last(self) -> u64 {
        match self {
            Self::Frame(frame) => frame,
            Self::All | Self::Durable(_) => u64::MAX,
        }
    }
}

/// What a step inside a raw segment came to.
pub(crate) enum Step {
    /// A frame was taken, or the end of the segment passed.
    On,
    /// The log ends here.
    End(Option<TornTail>),
}

impl<T: Absorber> Scan<T> {
    /// Take the next frame of a raw segment, or leave it; where the writer has sealed it away
    /// meanwhile, take the rest of it there.
    pub(crate) fn step(
        &mut self,
        listing: &mut Listing,
        extent: Extent,
        mark: Option<CommitMark>,
    ) -> Result<Step, Fault> {
        let before = self.taker.last_sequence();
        let found = self.step_raw(listing.last(), extent, mark);
        match found {
            // Only while no part of a frame was taken.
            Err(fault) if self.taker.last_sequence() == before => {
                *listing = list(&**self.reader.storage())?;
                if !listing.is_sealed(self.segment) {
                    return Err(fault);
                }
                self.take_rest_sealed(mark, extent.last())?;
                Ok(Step::On)
            }
            found => found,
        }
    }

    fn step_raw(
        &mut self,
        last: u64,
        extent: Extent,
        mark: Option<CommitMark>,
    ) -> Result<Step, Fault> {
        if matches!(self.next_frame(mark)?, Found::Good) {
            return Ok(Step::On);
        }
        if self.segment < last {
            self.leave()?;
            return Ok(Step::On);
        }
        match extent {
            Extent::All => Ok(Step::End(self.judge_tail(mark)?)),
            Extent::Frame(_) | Extent::Durable(_) => {
                Err(self.wrong("an acknowledged frame is damaged"))
            }
        }
    }

    /// Leave a raw segment that has a successor: nothing but zero follows its last frame.
    pub fn leave(&mut self) -> Result<(), Fault> {
        self.expect_sealed_end()?;
        self.in_raw = false;
        Ok(())
    }

    /// In a sealed segment nothing but zero follows the last frame.
    pub(crate) fn expect_sealed_end(&mut self) -> Result<(), Fault> {
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
    pub(crate) fn judge_tail(
        &mut self,
        mark: Option<CommitMark>,
    ) -> Result<Option<TornTail>, Fault> {
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

    /// See that the next segment, raw or sealed, continues what was read.
    pub fn check_successor(&self, segment: u64) -> Result<(), Fault> {
        if !list(&**self.reader.storage())?.is_sealed(segment) {
            return self.check_header(segment).map(drop);
        }
        let header = SealedSegment::open(&self.reader, segment)?.page().segment;
        if header == self.expected_header(segment, header.nonce) {
            return Ok(());
        }
        let what = "the segment does not continue the one before it";
        Err(Fault::corrupt(&self.reader.sealed_path(segment), 0, what))
    }
}
