//! The header page of a sealed segment, and where in the file its parts stand.
//!
//! Source: docs/reference/ledger-format.md, section 9.

use crate::filter::{filter_blocks, FILTER_BLOCK};
use crate::pages::{frame_bytes, PageError, SegmentHeader, BLOCK, BLOCK_U64};
use crate::sha::Hash;
use crate::wire::{u128_at, u32_at, u64_at, RECORD_SIZE};

const MAGIC: [u8; 6] = *b"LMBSEL";
const CRC_AT: usize = 284;
const ZERO_FROM: usize = 288;
/// Parts start at multiples of this.
const PART_ALIGNMENT: u64 = 64;
/// Leaves of the least subtree whose root is kept, as a power of two.
pub const NODE_LEVEL_MIN: u32 = 6;

/// How many of each thing a sealed segment holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records.
    pub records: u32,
    /// Frames.
    pub frames: u32,
    /// Ids of transfers.
    pub ids: u32,
    /// Accounts that have a posting.
    pub accounts: u32,
    /// Postings.
    pub postings: u32,
    /// Resolutions.
    pub resolutions: u32,
    /// Tree nodes.
    pub nodes: u32,
}

/// The header page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealPage {
    /// Of the raw segment.
    pub segment: SegmentHeader,
    /// How many of each thing.
    pub counts: Counts,
    /// Timestamp of the first record.
    pub timestamp_first: u64,
    /// Timestamp of the last record.
    pub timestamp_last: u64,
    /// The least id, 0 without ids.
    pub id_least: u128,
    /// The greatest id, 0 without ids.
    pub id_greatest: u128,
    /// Hash of the last frame.
    pub chain_head: Hash,
    /// Merkle root over all records up to the last one here.
    pub root: Hash,
    /// CRC of the block checksums.
    pub checksums_crc: u32,
}

/// Where the parts of a sealed segment start; all in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// 128 bytes each.
    pub records: u64,
    /// Blocks of the filter.
    pub filter: u64,
    /// u64 each.
    pub fingerprints: u64,
    /// u32 each.
    pub id_ordinals: u64,
    /// u32 each.
    pub accounts: u64,
    /// u32 each.
    pub posting_ends: u64,
    /// u32 each.
    pub postings: u64,
    /// u64 each.
    pub resolved: u64,
    /// u32 each.
    pub resolving: u64,
    /// 32 bytes each.
    pub nodes: u64,
    /// u16 each.
    pub frame_counts: u64,
    /// The block checksums, u32 each.
    pub checksums: u64,
    /// Length of the file.
    pub end: u64,
}

impl Layout {
    /// Lay the parts out.
    pub fn new(counts: &Counts) -> Self {
        let mut at = BLOCK_U64;
        let mut part = |size: u64, count: u64| {
            let start = at;
            at = (start + size * count).next_multiple_of(PART_ALIGNMENT);
            start
        };
        let records = part(RECORD_SIZE as u64, counts.records.into());
        let filter = part(FILTER_BLOCK as u64, filter_blocks(counts.ids.into()));
        let fingerprints = part(8, counts.ids.into());
        let id_ordinals = part(4, counts.ids.into());
        let accounts = part(4, counts.accounts.into());
        let posting_ends = part(4, counts.accounts.into());
        let postings = part(4, counts.postings.into());
        let resolved = part(8, counts.resolutions.into());
        let resolving = part(4, counts.resolutions.into());
        let nodes = part(32, counts.nodes.into());
        let frame_counts = part(2, counts.frames.into());
        let checksums = at.next_multiple_of(BLOCK_U64);
        Self {
            records,
            filter,
            fingerprints,
            id_ordinals,
            accounts,
            posting_ends,
            postings,
            resolved,
            resolving,
            nodes,
            frame_counts,
            checksums,
            end: checksums + 4 * (checksums / BLOCK_U64 - 1),
        }
    }

    /// How many blocks have a checksum.
    pub fn blocks(&self) -> usize {
        usize::try_from(self.checksums / BLOCK_U64 - 1).expect("bounded by a segment")
    }
}

impl SealPage {
    /// Write the page.
    pub fn pack(&self) -> [u8; BLOCK] {
        let mut page = [0u8; BLOCK];
        page[..140].copy_from_slice(&self.segment.pack()[..140]);
        page[..6].copy_from_slice(&MAGIC);
        let counts = &self.counts;
        let numbers = [
            counts.records,
            counts.frames,
            counts.ids,
            counts.accounts,
            counts.postings,
            counts.resolutions,
            counts.nodes,
        ];
        for (place, number) in numbers.iter().enumerate() {
            page[140 + 4 * place..144 + 4 * place].copy_from_slice(&number.to_le_bytes());
        }
        page[168..176].copy_from_slice(&self.timestamp_first.to_le_bytes());
        page[176..184].copy_from_slice(&self.timestamp_last.to_le_bytes());
        page[184..200].copy_from_slice(&self.id_least.to_le_bytes());
        page[200..216].copy_from_slice(&self.id_greatest.to_le_bytes());
        page[216..248].copy_from_slice(&self.chain_head);
        page[248..280].copy_from_slice(&self.root);
        page[280..284].copy_from_slice(&self.checksums_crc.to_le_bytes());
        let crc = crc32fast::hash(&page[..CRC_AT]);
        page[CRC_AT..ZERO_FROM].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Read the page; what it states is sound in itself.
    pub fn unpack(page: &[u8]) -> Result<Self, PageError> {
        if page.len() < BLOCK || page[..6] != MAGIC {
            return Err(PageError::Foreign);
        }
        let page = &page[..BLOCK];
        if u32_at(page, CRC_AT) != crc32fast::hash(&page[..CRC_AT])
            || page[ZERO_FROM..].iter().any(|byte| *byte != 0)
        {
            return Err(PageError::Damaged);
        }
        let seal = Self {
            segment: SegmentHeader::unpack(&raw_page(page))?,
            counts: Counts {
                records: u32_at(page, 140),
                frames: u32_at(page, 144),
                ids: u32_at(page, 148),
                accounts: u32_at(page, 152),
                postings: u32_at(page, 156),
                resolutions: u32_at(page, 160),
                nodes: u32_at(page, 164),
            },
            timestamp_first: u64_at(page, 168),
            timestamp_last: u64_at(page, 176),
            id_least: u128_at(page, 184),
            id_greatest: u128_at(page, 200),
            chain_head: page[216..248].try_into().expect("32 bytes"),
            root: page[248..280].try_into().expect("32 bytes"),
            checksums_crc: u32_at(page, 280),
        };
        seal.is_sound().then_some(seal).ok_or(PageError::Damaged)
    }

    /// Whether such a segment can have been.
    fn is_sound(&self) -> bool {
        let counts = &self.counts;
        let records = counts.records;
        let frames = u64::from(counts.frames);
        // Every frame but the last is full blocks; together they stood in one segment.
        let least = BLOCK_U64 + (frames * BLOCK_U64).max(u64::from(records) * RECORD_SIZE as u64);
        let behind = self.segment.first_sequence.checked_add(records.into());
        records >= 1
            && least <= self.segment.segment_size
            && self.segment.segment_size <= crate::limits::SEGMENT_SIZE_MAX
            && (1..=records).contains(&counts.frames)
            && counts.ids <= records
            && counts.postings <= 2 * records
            && counts.accounts <= counts.postings
            && counts.resolutions <= records
            && self.segment.first_sequence >= 1
            && self.segment.first_frame >= 1
            && self.segment.first_frame.checked_add(frames).is_some()
            && behind.is_some_and(|_| counts.nodes == self.nodes_below(u32::MAX))
    }

    /// The layout of its file.
    pub fn layout(&self) -> Layout {
        Layout::new(&self.counts)
    }

    /// Sequence of the last record.
    pub fn last_sequence(&self) -> u64 {
        self.segment.first_sequence + u64::from(self.counts.records) - 1
    }

    /// Number of the last frame.
    pub fn last_frame(&self) -> u64 {
        self.segment.first_frame + u64::from(self.counts.frames) - 1
    }

    /// How many tree nodes of levels below the one given became complete here.
    pub fn nodes_below(&self, level: u32) -> u32 {
        let (before, last) = (self.segment.first_sequence - 1, self.last_sequence());
        let complete = |level: u32| (last >> level) - (before >> level);
        let count: u64 = (NODE_LEVEL_MIN..level.min(64)).map(complete).sum();
        u32::try_from(count).expect("fewer than the records")
    }
}

/// The raw segment's header page.
pub fn raw_page(page: &[u8]) -> [u8; BLOCK] {
    let mut raw = [0u8; BLOCK];
    raw[..140].copy_from_slice(&page[..140]);
    raw[..6].copy_from_slice(b"LMBSEG");
    let crc = crc32fast::hash(&raw[..140]);
    raw[140..144].copy_from_slice(&crc.to_le_bytes());
    raw
}

/// Bytes that a frame took in the raw segment.
pub fn raw_frame_bytes(count: u16) -> u64 {
    frame_bytes(count.into()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn sample() -> SealPage {
        SealPage {
            segment: SegmentHeader {
                uuid: [3; 16],
                number: 2,
                nonce: [4; 16],
                first_sequence: 60,
                first_frame: 9,
                root: [5; 32],
                previous: [6; 32],
                segment_size: 65_536,
            },
            counts: Counts {
                records: 130,
                frames: 3,
                ids: 129,
                accounts: 7,
                postings: 200,
                resolutions: 4,
                nodes: 3,
            },
            timestamp_first: 100,
            timestamp_last: 900,
            id_least: 1,
            id_greatest: u128::MAX - 1,
            chain_head: [7; 32],
            root: [8; 32],
            checksums_crc: 99,
        }
    }

    #[test]
    fn a_page_survives_its_bytes_and_every_flipped_byte_is_noticed() {
        let page = sample().pack();
        assert_eq!(SealPage::unpack(&page), Ok(sample()));
        for at in 0..BLOCK {
            let mut flipped = page;
            flipped[at] ^= 0x40;
            assert!(SealPage::unpack(&flipped).is_err(), "byte {at}");
        }
    }

    #[test]
    fn counts_that_no_segment_can_have_are_refused_though_the_checksum_is_right() {
        let mut state = 1u64;
        for _ in 0..20_000 {
            let mut page = sample().pack();
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = 140 + usize::try_from(state >> 33).expect("small") % 60;
            page[at] ^= u8::try_from(state >> 56).expect("a byte");
            let crc = crc32fast::hash(&page[..CRC_AT]);
            page[CRC_AT..ZERO_FROM].copy_from_slice(&crc.to_le_bytes());
            if let Ok(found) = SealPage::unpack(&page) {
                assert!(found.layout().end < 4 << 30);
            }
        }
    }
}
