//! Whether a directory holds a ledger, and the one that is expected.

use std::path::Path;

use crate::disk::LOCK;
use crate::fault::{Fault, FaultKind};
use crate::opening::{Expected, SUPERBLOCK_TEMPORARY};
use crate::scan::Scan;
use crate::sealer::SEAL_TEMPORARY;
use crate::segments::{names, number_in};
use crate::snapshot_writer::SNAPSHOT_TEMPORARY;
use crate::spare::SPARE_TEMPORARY;
use crate::state::State;
use crate::storage::Storage;
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
        None => Ok(false),
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
