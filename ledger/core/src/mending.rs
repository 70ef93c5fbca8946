//! What the end of the log needs before it is written on: nothing there may hang on a cache.
//!
//! Source: docs/reference/ledger-format.md, section 8.

use crate::disk::AlignedBuffer;
use crate::fault::Fault;
use crate::limits::{FRAME_RECORDS_MAX, ZERO_CHUNK_BYTES};
use crate::pages::{frame_bytes, segment_name, CommitMark, BLOCK, BLOCK_U64};
use crate::scan::Scan;
use crate::segments::SegmentReader;
use crate::state::State;
use crate::storage::Access;

/// Set a torn tail to zero; without one, as far as a frame under way may have reached.
///
/// An earlier repair may stand in a cache only, its sync failed or never begun: what reads as zero
/// is then torn again after the next power cut, and no reader can tell. Written again, because a
/// failed sync leaves nothing for another to do.
pub fn clear_behind(reader: &SegmentReader, scan: &Scan<State>, torn: bool) -> Result<(), Fault> {
    let size = scan.identity.segment_size;
    let longest = frame_bytes(FRAME_RECORDS_MAX) as u64;
    let end = if torn {
        size
    } else {
        size.min(scan.offset + longest)
    };
    let mut offset = scan.offset;
    if offset == end {
        return Ok(());
    }
    let mut zeros = AlignedBuffer::default();
    let cleared = reader
        .storage()
        .open(&segment_name(scan.segment), Access::Direct)
        .and_then(|file| {
            while offset < end {
                let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
                let length = left.min(ZERO_CHUNK_BYTES);
                file.write_at(zeros.reset(length), offset)?;
                offset += length as u64;
            }
            file.sync()
        });
    let path = reader.path(scan.segment);
    cleared.map_err(|error| Fault::from_io(&path, "cannot clear what follows the log", &error))
}

/// Write the last frame and its segment's header page again, unless a mark vouches for them.
///
/// A process that died before its sync, or whose sync failed, leaves them in a cache: they verify,
/// and the next power cut takes them away. Frames before the last one were durable when it was
/// begun. Written again, because a failed sync leaves nothing for another to do.
pub fn make_certain(
    reader: &SegmentReader,
    scan: &Scan<State>,
    mark: Option<CommitMark>,
) -> Result<(), Fault> {
    let vouched = mark.is_some_and(|m| m.frame == scan.frame && m.segment == scan.segment);
    if vouched || !scan.in_raw {
        return Ok(());
    }
    let mut pieces = vec![(0, reader.read(scan.segment, 0, BLOCK)?)];
    if let Some(place) = scan
        .places
        .back()
        .filter(|one| one.number() == scan.segment)
    {
        let start = u64::from(place.block) * BLOCK_U64;
        let length = usize::try_from(scan.offset - start).expect("within a segment");
        pieces.push((start, reader.read(scan.segment, start, length)?));
    }
    let mut buffer = AlignedBuffer::default();
    let storage = reader.storage();
    let written = storage
        .open(&segment_name(scan.segment), Access::Direct)
        .and_then(|file| {
            for (start, bytes) in &pieces {
                buffer.reset(bytes.len()).copy_from_slice(bytes);
                file.write_at(buffer.bytes(), *start)?;
            }
            file.sync()?;
            storage.sync_directory()
        });
    let path = reader.path(scan.segment);
    written.map_err(|error| Fault::from_io(&path, "cannot make the last frame durable", &error))
}
