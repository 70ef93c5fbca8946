//! All sealed segments together: what is cold stays on the disk and is found through their indexes.

use std::sync::Arc;

use crate::fault::Fault;
use crate::index::fingerprint;
use crate::limits::FINGERPRINT_BYTES_MAX;
use crate::record::{Record, BODY_SIZE};
use crate::seal_page::NODE_LEVEL_MIN;
use crate::sealed::SealedSegment;
use crate::sha::{leaf_hash, node_hash, sha256, Hash};
use crate::wire::RECORD_SIZE;

/// The sealed segments from the first on, without gap. It is never changed: a newer one takes its
/// place, and who reads goes on with the one that he has.
#[derive(Clone, Default)]
pub struct Cold {
    segments: Vec<Arc<SealedSegment>>,
}

impl Cold {
    /// The same with one segment more; the oldest give up the fingerprints that no longer fit.
    pub fn with(&self, segment: Arc<SealedSegment>) -> Self {
        assert_eq!(segment.first_sequence(), self.end() + 1, "no gap");
        let mut segments = self.segments.clone();
        segments.push(segment);
        let mut bytes = 0;
        for segment in segments.iter().rev() {
            bytes += segment.fingerprint_bytes();
            if bytes > FINGERPRINT_BYTES_MAX {
                segment.drop_fingerprints();
            }
        }
        Self { segments }
    }

    /// Sequence of the last cold record, 0 when nothing is cold.
    pub fn end(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.last_sequence())
    }

    /// Number of the last sealed segment, 0 when there is none.
    pub fn last_number(&self) -> u64 {
        self.segments.len() as u64
    }

    /// All sealed segments.
    pub fn segments(&self) -> &[Arc<SealedSegment>] {
        &self.segments
    }

    /// Bring into memory what a writer looks up often, the newest first.
    pub fn warm(&self) -> Result<(), Fault> {
        let mut bytes = 0;
        for segment in self.segments.iter().rev() {
            bytes += segment.fingerprint_bytes();
            if bytes > FINGERPRINT_BYTES_MAX {
                break;
            }
            segment.keep_fingerprints()?;
        }
        Ok(())
    }

    /// The segment that holds a sequence.
    pub fn segment_of(&self, sequence: u64) -> &Arc<SealedSegment> {
        assert!((1..=self.end()).contains(&sequence), "it is cold");
        let behind = self
            .segments
            .partition_point(|segment| segment.first_sequence() <= sequence);
        &self.segments[behind - 1]
    }

    /// Read a record.
    pub fn record(&self, sequence: u64) -> Result<Record, Fault> {
        self.segment_of(sequence).record(sequence)
    }

    /// Whether a transfer id may be cold: asked for many ids in a row, the accesses overlap.
    #[inline]
    pub fn may_hold(&self, id: u128) -> bool {
        let wanted = fingerprint(id);
        self.segments
            .iter()
            .any(|segment| segment.may_hold(id, wanted))
    }

    /// Find the record of a transfer id, the newest segments first.
    pub fn find(&self, id: u128) -> Result<Option<Record>, Fault> {
        for segment in self.segments.iter().rev() {
            if let Some(record) = segment.find(id)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Find the record that resolved a reservation.
    pub fn resolution(&self, pending: u64) -> Result<Option<Record>, Fault> {
        for segment in self.segments.iter().rev() {
            if segment.last_sequence() <= pending {
                break;
            }
            if let Some(record) = segment.resolution(pending)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// The sequences of an account's postings within `[from, before)`, oldest first: at most
    /// `limit` of them, the newest ones when `newest` says so.
    pub fn postings(
        &self,
        account: u32,
        (from, before): (u64, u64),
        limit: usize,
        newest: bool,
    ) -> Result<Vec<u64>, Fault> {
        let reaches = |segment: &&Arc<SealedSegment>| {
            segment.last_sequence() >= from && segment.first_sequence() < before
        };
        let mut found: Vec<u64> = Vec::new();
        if newest {
            let mut pages = Vec::new();
            let mut left = limit;
            for segment in self.segments.iter().rev().filter(reaches) {
                let page = segment.postings(account, (from, before), left, true)?;
                left -= page.len();
                pages.push(page);
                if left == 0 {
                    break;
                }
            }
            pages.into_iter().rev().for_each(|page| found.extend(page));
        } else {
            for segment in self.segments.iter().filter(reaches) {
                let left = limit - found.len();
                found.extend(segment.postings(account, (from, before), left, false)?);
                if found.len() == limit {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The first cold sequence whose timestamp is not below the one given; the one after the last
    /// where there is none.
    pub fn first_at(&self, timestamp: u64) -> Result<u64, Fault> {
        let behind = self
            .segments
            .partition_point(|segment| segment.page().timestamp_last < timestamp);
        match self.segments.get(behind) {
            Some(segment) => segment.first_at(timestamp),
            None => Ok(self.end() + 1),
        }
    }

    /// The Merkle root over the first `size` records, all of them cold.
    pub fn root_at(&self, size: u64) -> Result<Hash, Fault> {
        assert!(size <= self.end());
        if size == 0 {
            return Ok(sha256(b""));
        }
        let mut roots = Vec::new();
        let mut start = 0;
        for level in (0..u64::BITS).rev() {
            if size >> level & 1 == 1 {
                roots.push(self.subtree(level, start >> level)?);
                start += 1 << level;
            }
        }
        let mut from_right = roots.into_iter().rev();
        let last = from_right.next().expect("a size has a bit");
        Ok(from_right.fold(last, |right, left| node_hash(&left, &right)))
    }

    fn subtree(&self, level: u32, place: u64) -> Result<Hash, Fault> {
        let (first, last) = ((place << level) + 1, (place + 1) << level);
        if level >= NODE_LEVEL_MIN {
            return self.segment_of(last).node(level, place);
        }
        let mut hashes = Vec::new();
        for sequence in first..=last {
            let bytes = self.segment_of(sequence).record_bytes(sequence, 1)?;
            assert_eq!(bytes.len(), RECORD_SIZE);
            hashes.push(leaf_hash(&bytes[..BODY_SIZE]));
        }
        while hashes.len() > 1 {
            hashes = hashes
                .chunks_exact(2)
                .map(|pair| node_hash(&pair[0], &pair[1]))
                .collect();
        }
        Ok(hashes[0])
    }
}
