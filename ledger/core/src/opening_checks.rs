//! Whether a directory holds a ledger, and the one that is expected.

use std::path::Path;

use crate::disk::LOCK;
use crate::fault::{Fault, FaultKind};
use crate::limits::ZERO_CHUNK_BYTES;
use crate::opening::{Expected, SUPERBLOCK_TEMPORARY};
use crate::pages::{segment_name, BLOCK_U64};
use crate::scan::Scan;
use crate::sealer::SEAL_TEMPORARY;
use crate::segments::{names, number_in};
use crate::snapshot_writer::SNAPSHOT_TEMPORARY;
use crate::spare::SPARE_TEMPORARY;
use crate::state::State;
use crate::storage::{path_of, read_fully, Access, Storage};
use crate::superblock::SUPERBLOCK;

/// Say whether there is a ledger; anything that is neither one nor an unfinished one is foreign.
pub fn judge(storage: &dyn Storage) -> Result<bool, Fault> {
    let names = names(storage)?;
    if names.iter().any(|name| name == SUPERBLOCK) {
        return Ok(true);
    }
    match names.iter().find(|name| !is_ours(name)) {
        Some(name) => {
            let text = format!(
                "{}: holds '{name}' and is no ledger; name an empty directory",
                storage.location().display()
            );
            Err(Fault::new(FaultKind::Foreign, text))
        }
        None => check_unfinished(storage, &names).map(|()| false),
    }
}

/// A creation that was interrupted leaves one segment at most, with its header page and no frame.
/// Whatever holds more has lost its superblock, and is not made anew over its records.
fn check_unfinished(storage: &dyn Storage, names: &[String]) -> Result<(), Fault> {
    let first = segment_name(1);
    let is_numbered =
        |name: &&String| name.starts_with(|first: char| first.is_ascii_digit()) && **name != first;
    let found = match names.iter().find(is_numbered) {
        Some(name) => Some(name),
        None => match names.iter().find(|name| **name == first) {
            Some(name) if has_frame(storage, name)? => Some(name),
            _ => None,
        },
    };
    let Some(found) = found else {
        return Ok(());
    };
    // Looked for again: another process may have finished its creation meanwhile.
    if self::names(storage)?.iter().any(|name| name == SUPERBLOCK) {
        return Ok(());
    }
    let text = format!(
        "{}, offset 0: it is missing, and {found} belongs to a ledger; restore the superblock from \
         a backup, nothing was changed",
        path_of(storage, SUPERBLOCK).display()
    );
    Err(Fault::new(FaultKind::Corrupt, text))
}

/// Whether a segment holds anything behind its header page.
fn has_frame(storage: &dyn Storage, name: &str) -> Result<bool, Fault> {
    let failed = |error| Fault::from_io(&path_of(storage, name), "cannot read", &error);
    let file = storage.open(name, Access::Read).map_err(failed)?;
    let mut chunk = vec![0u8; ZERO_CHUNK_BYTES];
    let mut offset = BLOCK_U64;
    loop {
        let read = read_fully(&*file, &mut chunk, offset).map_err(failed)?;
        if chunk[..read].iter().any(|byte| *byte != 0) {
            return Ok(true);
        }
        if read < chunk.len() {
            return Ok(false);
        }
        offset += read as u64;
    }
}

fn is_ours(name: &str) -> bool {
    let known = [
        LOCK,
        SUPERBLOCK_TEMPORARY,
        SEAL_TEMPORARY,
        SNAPSHOT_TEMPORARY,
        SPARE_TEMPORARY,
        crate::spare::SPARE,
    ];
    let endings = [".seg", ".seal", ".snap"];
    known.contains(&name)
        || endings
            .iter()
            .any(|ending| number_in(name, ending).is_some())
}

/// The records that the caller knows of must be found again, the very same.
pub fn check_expected(
    directory: &Path,
    scan: &Scan<State>,
    expected: Option<Expected>,
) -> Result<(), Fault> {
    let Some(expected) = expected else {
        return Ok(());
    };
    let held = scan.taker.last_sequence;
    let root = match scan.witness {
        _ if expected.sequence == 0 => Some(crate::sha::sha256(b"")),
        Some((_, root)) => root,
        None => None,
    };
    match root {
        None => {
            let text = format!(
                "{}: holds {held} records, the expected checkpoint has {}; an older copy was put \
                 back",
                directory.display(),
                expected.sequence
            );
            Err(Fault::new(FaultKind::Rollback, text))
        }
        Some(root) if root != expected.root => {
            let text = format!(
                "{}: the first {} records are not those of the expected checkpoint; history was \
                 rewritten",
                directory.display(),
                expected.sequence
            );
            Err(Fault::new(FaultKind::Corrupt, text))
        }
        Some(_) => Ok(()),
    }
}
