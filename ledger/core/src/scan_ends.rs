//! What stands behind the last good frame of a raw segment: a clean end, a torn write, or damage.
//!
//! Source: docs/reference/ledger-format.md, section 8.

use crate::absorb::Absorber;
use crate::fault::Fault;
use crate::pages::{CommitMark, FrameHeader, BLOCK, BLOCK_U64};
use crate::scan::{Scan, TornTail};
use crate::sealed::SealedSegment;
use crate::segments::list;

impl<T: Absorber> Scan<T> {
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
