//! The fixed pages of the format: identity, commit mark, segment header, frame header.
//!
//! Source: docs/reference/ledger-format.md, sections 3 to 5.

use crate::limits::{SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN};
use crate::sha::{sha256, Hash};
use crate::wire::{u32_at, u64_at, RECORD_SIZE};

/// Bytes of a block: frames start at multiples of it.
pub const BLOCK: usize = 4096;
/// The same, as a file offset.
pub const BLOCK_U64: u64 = BLOCK as u64;
/// Bytes of a frame header.
pub const HEADER: usize = 128;
/// The version that this engine reads and writes.
pub const VERSION: u16 = 1;
const BLOCK_FIELD: u32 = 4096;

/// 16 random bytes: a ledger's uuid, a segment's epoch nonce.
pub type Nonce = [u8; 16];

/// The superblock's first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Of the ledger.
    pub uuid: Nonce,
    /// Of every segment, in bytes.
    pub segment_size: u64,
}

/// A statement that a frame is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitMark {
    /// Which frame.
    pub frame: u64,
    /// Its last sequence.
    pub sequence: u64,
    /// The segment that holds it.
    pub segment: u64,
    /// Its hash.
    pub hash: Hash,
}

/// The first page of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Of the ledger.
    pub uuid: Nonce,
    /// From 1.
    pub number: u64,
    /// Of this segment.
    pub nonce: Nonce,
    /// Of the first record here.
    pub first_sequence: u64,
    /// Of the first frame here.
    pub first_frame: u64,
    /// Merkle root over all records before.
    pub root: Hash,
    /// Hash of the frame before.
    pub previous: Hash,
    /// In bytes.
    pub segment_size: u64,
}

/// The header of one commit group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// From 1.
    pub number: u64,
    /// Of the segment.
    pub nonce: Nonce,
    /// Hash of the frame before.
    pub previous: Hash,
    /// SHA-256 of the payload.
    pub payload_hash: Hash,
    /// Of the first record.
    pub first_sequence: u64,
    /// Last sequence known durable when the frame was written.
    pub durable: u64,
    /// Records.
    pub count: u32,
    /// Bytes of the payload.
    pub payload_bytes: u32,
    /// CRC of the payload.
    pub payload_crc: u32,
}

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageError {
    /// Not such a page at all.
    Foreign,
    /// Such a page, of another version.
    Version,
    /// Damaged.
    Damaged,
}

fn put_preamble(page: &mut [u8], magic: [u8; 6]) {
    page[..6].copy_from_slice(&magic);
    page[6..8].copy_from_slice(&VERSION.to_le_bytes());
}

fn put_crc(page: &mut [u8], at: usize) {
    let crc = crc32fast::hash(&page[..at]);
    page[at..at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn check_page(page: &[u8], magic: [u8; 6], crc_at: usize) -> Result<(), PageError> {
    if page[..6] != magic {
        return Err(PageError::Foreign);
    }
    if page[6..8] != VERSION.to_le_bytes() {
        return Err(PageError::Version);
    }
    let sound = u32_at(page, crc_at) == crc32fast::hash(&page[..crc_at])
        && page[crc_at + 4..].iter().all(|byte| *byte == 0);
    sound.then_some(()).ok_or(PageError::Damaged)
}

fn bytes_at<const N: usize>(page: &[u8], at: usize) -> [u8; N] {
    page[at..at + N].try_into().expect("N bytes")
}

impl Identity {
    /// Write the page.
    pub fn pack(&self) -> [u8; BLOCK] {
        let mut page = [0u8; BLOCK];
        put_preamble(&mut page, *b"LMBLGR");
        page[8..24].copy_from_slice(&self.uuid);
        page[24..32].copy_from_slice(&self.segment_size.to_le_bytes());
        page[32..36].copy_from_slice(&BLOCK_FIELD.to_le_bytes());
        put_crc(&mut page, 36);
        page
    }

    /// Read the page.
    pub fn unpack(page: &[u8]) -> Result<Self, PageError> {
        check_page(page, *b"LMBLGR", 36)?;
        if u32_at(page, 32) != BLOCK_FIELD {
            return Err(PageError::Version);
        }
        Ok(Self {
            uuid: bytes_at(page, 8),
            segment_size: u64_at(page, 24),
        })
    }

    /// Whether a ledger may have such segments.
    pub fn is_sound(&self) -> bool {
        self.segment_size.is_multiple_of(BLOCK_U64)
            && (SEGMENT_SIZE_MIN..=SEGMENT_SIZE_MAX).contains(&self.segment_size)
    }

    /// What stands for the frame before the first.
    pub fn genesis(&self) -> Hash {
        let mut message = b"lumbung ledger genesis\0".to_vec();
        message.extend_from_slice(&self.uuid);
        sha256(&message)
    }
}

/// Where in the superblock the commit marks stand.
pub const MARK_OFFSETS: [u64; 2] = [BLOCK_U64, 2 * BLOCK_U64];

impl CommitMark {
    /// Write the slot.
    pub fn pack(&self) -> [u8; BLOCK] {
        let mut page = [0u8; BLOCK];
        put_preamble(&mut page, *b"LMBMRK");
        page[8..16].copy_from_slice(&self.frame.to_le_bytes());
        page[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        page[24..32].copy_from_slice(&self.segment.to_le_bytes());
        page[32..64].copy_from_slice(&self.hash);
        put_crc(&mut page, 64);
        page
    }

    /// Where in the superblock its slot is.
    pub fn offset(&self) -> u64 {
        MARK_OFFSETS[usize::from(self.frame % 2 == 1)]
    }

    /// Read a slot.
    pub fn unpack(page: &[u8]) -> Result<Self, PageError> {
        check_page(page, *b"LMBMRK", 64)?;
        Ok(Self {
            frame: u64_at(page, 8),
            sequence: u64_at(page, 16),
            segment: u64_at(page, 24),
            hash: bytes_at(page, 32),
        })
    }
}

impl SegmentHeader {
    /// Write the page.
    pub fn pack(&self) -> [u8; BLOCK] {
        let mut page = [0u8; BLOCK];
        put_preamble(&mut page, *b"LMBSEG");
        page[8..24].copy_from_slice(&self.uuid);
        page[24..32].copy_from_slice(&self.number.to_le_bytes());
        page[32..48].copy_from_slice(&self.nonce);
        page[48..56].copy_from_slice(&self.first_sequence.to_le_bytes());
        page[56..64].copy_from_slice(&self.first_frame.to_le_bytes());
        page[64..96].copy_from_slice(&self.root);
        page[96..128].copy_from_slice(&self.previous);
        page[128..136].copy_from_slice(&self.segment_size.to_le_bytes());
        page[136..140].copy_from_slice(&BLOCK_FIELD.to_le_bytes());
        put_crc(&mut page, 140);
        page
    }

    /// Read the page.
    pub fn unpack(page: &[u8]) -> Result<Self, PageError> {
        check_page(page, *b"LMBSEG", 140)?;
        if u32_at(page, 136) != BLOCK_FIELD {
            return Err(PageError::Damaged);
        }
        Ok(Self {
            uuid: bytes_at(page, 8),
            number: u64_at(page, 24),
            nonce: bytes_at(page, 32),
            first_sequence: u64_at(page, 48),
            first_frame: u64_at(page, 56),
            root: bytes_at(page, 64),
            previous: bytes_at(page, 96),
            segment_size: u64_at(page, 128),
        })
    }
}

impl FrameHeader {
    /// Write the header.
    pub fn pack(&self) -> [u8; HEADER] {
        let mut page = [0u8; HEADER];
        put_preamble(&mut page, *b"LMBFRM");
        page[8..16].copy_from_slice(&self.number.to_le_bytes());
        page[16..32].copy_from_slice(&self.nonce);
        page[32..64].copy_from_slice(&self.previous);
        page[64..96].copy_from_slice(&self.payload_hash);
        page[96..104].copy_from_slice(&self.first_sequence.to_le_bytes());
        page[104..112].copy_from_slice(&self.durable.to_le_bytes());
        page[112..116].copy_from_slice(&self.count.to_le_bytes());
        page[116..120].copy_from_slice(&self.payload_bytes.to_le_bytes());
        page[120..124].copy_from_slice(&self.payload_crc.to_le_bytes());
        put_crc(&mut page, 124);
        page
    }

    /// Read a header; only magic, version and checksum are checked.
    pub fn unpack(page: &[u8]) -> Result<Self, PageError> {
        let page = &page[..HEADER];
        check_page(page, *b"LMBFRM", 124)?;
        Ok(Self {
            number: u64_at(page, 8),
            nonce: bytes_at(page, 16),
            previous: bytes_at(page, 32),
            payload_hash: bytes_at(page, 64),
            first_sequence: u64_at(page, 96),
            durable: u64_at(page, 104),
            count: u32_at(page, 112),
            payload_bytes: u32_at(page, 116),
            payload_crc: u32_at(page, 120),
        })
    }
}

/// Bytes of a frame of `count` records, padding included.
pub fn frame_bytes(count: usize) -> usize {
    (HEADER + RECORD_SIZE * count).next_multiple_of(BLOCK)
}

/// The name of a segment.
pub fn segment_name(number: u64) -> String {
    format!("{number:08}.seg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_survive_their_bytes_and_flips_are_noticed() {
        let mark = CommitMark {
            frame: 3,
            sequence: 9,
            segment: 1,
            hash: sha256(b"frame"),
        };
        assert_eq!(CommitMark::unpack(&mark.pack()), Ok(mark));
        assert_eq!(mark.offset(), 8192);
        let identity = Identity {
            uuid: [7; 16],
            segment_size: 65_536,
        };
        assert_eq!(Identity::unpack(&identity.pack()), Ok(identity));
        for at in 0..BLOCK {
            let mut page = mark.pack();
            page[at] ^= 0x40;
            assert!(CommitMark::unpack(&page).is_err(), "byte {at}");
        }
        assert_eq!(frame_bytes(31), BLOCK);
        assert_eq!(frame_bytes(32), 2 * BLOCK);
    }
}
