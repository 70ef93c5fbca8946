//! The superblock: who the ledger is, and up to where it was certainly durable.
//!
//! Source: docs/reference/ledger-format.md, section 4.

use std::io;

use crate::fault::{Fault, FaultKind};
use crate::limits::MARK_READS_MAX;
use crate::pages::{
    frame_bytes, segment_name, CommitMark, FrameHeader, Identity, PageError, BLOCK, BLOCK_U64,
    HEADER, MARK_OFFSETS, VERSION,
};
use crate::segments::{names, sealed_name};
use crate::storage::{path_of, read_fully, Access, Storage};
use crate::wire::u16_at;

/// The superblock's name.
pub const SUPERBLOCK: &str = "superblock";

/// What the superblock says: who the ledger is, and up to where it was certainly durable.
pub struct Superblock {
    /// Who the ledger is.
    pub identity: Identity,
    /// The mark in force.
    pub mark: Option<CommitMark>,
    /// Offset of a slot that holds something, but no mark that verifies.
    pub damaged_slot: Option<u64>,
}

/// Read the superblock for who only reads: a damaged slot might hold the newest mark.
///
/// Without any mark a ledger is empty, unless a second frame was begun: then the first one had its
/// mark, and a power cut took it. Looked at again a few times, as a writer may be writing just now.
pub fn read_durable_superblock(storage: &dyn Storage) -> Result<Superblock, Fault> {
    let mut found = (0, "");
    for _ in 0..MARK_READS_MAX {
        // Looked for first: the mark that it calls for is then there to be read, or lost.
        let has_second = has_second_frame(storage)?;
        let superblock = read_superblock(storage)?;
        found = match (superblock.damaged_slot, superblock.mark) {
            (Some(offset), _) => (offset, "the commit mark does not verify"),
            (None, None) if has_second => (MARK_OFFSETS[0], "no commit mark is there"),
            _ => return Ok(superblock),
        };
    }
    let (offset, what) = found;
    let text = format!(
        "{}, offset {offset}: {what}, so what is durable is not known; open the ledger for writing \
         once, which judges every frame and writes the mark anew",
        path_of(storage, SUPERBLOCK).display()
    );
    Err(Fault::new(FaultKind::Corrupt, text))
}

/// Whether more than the first frame was ever begun.
fn has_second_frame(storage: &dyn Storage) -> Result<bool, Fault> {
    let names = names(storage)?;
    let is_there = |name: String| names.contains(&name);
    if is_there(sealed_name(1)) || is_there(segment_name(2)) {
        return Ok(true);
    }
    if !is_there(segment_name(1)) {
        return Ok(false);
    }
    let header_at = |offset| -> io::Result<Option<FrameHeader>> {
        let mut bytes = [0u8; HEADER];
        let file = storage.open(&segment_name(1), Access::Read)?;
        read_fully(&*file, &mut bytes, offset)?;
        Ok(FrameHeader::unpack(&bytes).ok())
    };
    let second = header_at(BLOCK_U64).and_then(|first| {
        let Some(first) = first.filter(|first| first.number == 1) else {
            return Ok(false);
        };
        let behind = BLOCK_U64 + frame_bytes(first.count as usize) as u64;
        let second = header_at(behind)?;
        Ok(second.is_some_and(|second| second.number == 2 && second.nonce == first.nonce))
    });
    match second {
        // Sealed since its name was read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => {
            let path = path_of(storage, &segment_name(1));
            Err(Fault::from_io(&path, "cannot read", &error))
        }
        Ok(second) => Ok(second),
    }
}

/// Read the superblock.
pub fn read_superblock(storage: &dyn Storage) -> Result<Superblock, Fault> {
    let path = path_of(storage, SUPERBLOCK);
    // What lies behind the end of a file counts as zero.
    let mut bytes = vec![0u8; 3 * BLOCK];
    let read = storage
        .open(SUPERBLOCK, Access::Read)
        .and_then(|file| read_fully(&*file, &mut bytes, 0));
    let length = read.map_err(|error| Fault::from_io(&path, "cannot read", &error))?;
    let identity = match Identity::unpack(&bytes[..BLOCK]) {
        Ok(identity) if identity.is_sound() => identity,
        Ok(_) => return Err(Fault::corrupt(&path, 24, "no ledger has such segments")),
        Err(PageError::Foreign) => return Err(foreign(&path, "is not a ledger's superblock")),
        Err(PageError::Version) => return Err(of_version(&path, u16_at(&bytes, 6))),
        Err(PageError::Damaged) => {
            return Err(Fault::corrupt(&path, 0, "the identity page is damaged"))
        }
    };
    let mut mark: Option<CommitMark> = None;
    let mut damaged = None;
    let mut short = None;
    for slot in 1..3 {
        let page = &bytes[slot * BLOCK..(slot + 1) * BLOCK];
        match CommitMark::unpack(page) {
            Ok(found) => {
                if mark.is_none_or(|mark| found.frame > mark.frame) {
                    mark = Some(found);
                }
            }
            Err(_) if page.iter().all(|byte| *byte == 0) => {
                if length < (slot + 1) * BLOCK {
                    short = Some((slot * BLOCK) as u64);
                }
            }
            Err(_) => damaged = Some((slot * BLOCK) as u64),
        }
    }
    match (mark, damaged) {
        (None, Some(offset)) => Err(Fault::corrupt(&path, offset, "no commit mark is readable")),
        _ => Ok(Superblock {
            identity,
            mark,
            damaged_slot: damaged.or(short),
        }),
    }
}

fn of_version(path: &std::path::Path, version: u16) -> Fault {
    let text = format!(
        "{}, offset 6: format version {version}, this program knows {VERSION}; open it with the \
         version that made it",
        path.display()
    );
    Fault::new(FaultKind::Foreign, text)
}

fn foreign(path: &std::path::Path, what: &str) -> Fault {
    let text = format!(
        "{}, offset 0: {what}; name a ledger's directory, nothing was changed",
        path.display()
    );
    Fault::new(FaultKind::Foreign, text)
}
