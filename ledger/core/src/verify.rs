//! Verification: the log is read again from its first byte and must make what is believed.

use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::absorb::{genesis, Shadow};
use crate::accounts::{Balances, Identity as AccountIdentity};
use crate::cold::Cold;
use crate::fault::{Fault, FaultKind};
use crate::pages::Identity;
use crate::scan::{Extent, Scan};
use crate::segments::{list, snapshot_name, SegmentReader};
use crate::sha::Hash;
use crate::snapshot_writer::Moment;
use crate::state::State;
use crate::storage::{path_of, read_fully, Access};

/// What is believed of the log.
pub struct Belief {
    /// Number of the last durable frame.
    pub frame: u64,
    /// Sequence of its last record.
    pub sequence: u64,
    /// The Merkle root over all its records.
    pub root: Hash,
    /// The hash of the last frame.
    pub chain_head: Hash,
    /// The balances of every account.
    pub balances: Vec<Balances>,
}

/// What a verification found.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// Frames read.
    pub frames: u64,
    /// Account records.
    pub accounts: u64,
    /// Records that are transfers, whether they move, reserve or resolve.
    pub transfers: u64,
    /// Refusals.
    pub refusals: u64,
    /// Posted credits minus posted debits over all accounts.
    pub sum_minor: i128,
    /// The Merkle root.
    pub root: Hash,
    /// The hash of the last frame.
    pub chain_head: Hash,
}

/// Told after each segment how many records were read, and how many there are; it may end the walk.
pub type Tell<'a> = &'a mut dyn FnMut(u64, u64) -> Result<(), Fault>;

/// Read the log from genesis and compare with the belief.
pub fn verify(
    identity: Identity,
    reader: &SegmentReader,
    belief: &Belief,
    tell: Tell<'_>,
) -> Result<Report, Fault> {
    let reader = Arc::new(SegmentReader::new(Arc::clone(reader.storage())));
    let cold = Arc::new(Cold::default());
    let start = genesis::<State>(&identity);
    let mut scan = Scan::new(identity, Arc::clone(&reader), cold, start);
    let listing = list(&**reader.storage())?;
    while listing.is_sealed(scan.segment + 1) && scan.frame < belief.frame {
        scan.take_sealed(scan.segment + 1, None, belief.frame)?;
        if listing.snapshots.contains(&scan.segment) && scan.cold.last_number() == scan.segment {
            check_snapshot(&scan)?;
        }
        tell(scan.taker.last_sequence, belief.sequence)?;
    }
    scan.advance(Extent::Frame(belief.frame), None)?;
    tell(scan.taker.last_sequence, belief.sequence)?;
    let state = &scan.taker;
    let differs = |what: &str| {
        let text = format!(
            "{}: {what} of the log is not that of the running ledger; stop it and restore a backup",
            reader.storage().location().display()
        );
        Fault::new(FaultKind::Corrupt, text)
    };
    if scan.frontier.root() != belief.root {
        return Err(differs("the Merkle root"));
    }
    if scan.chain_head != belief.chain_head {
        return Err(differs("the chain head"));
    }
    let balances = state.accounts.all_balances();
    if !balances.clone().eq(belief.balances.iter()) {
        return Err(differs("a balance"));
    }
    let sum = balances.map(|balances| i128::from(balances.net())).sum();
    if sum != 0 {
        return Err(differs("the sum of all balances"));
    }
    Ok(Report {
        records: state.last_sequence,
        frames: scan.frame,
        accounts: state.accounts.last().into(),
        transfers: state.counts.transfers,
        refusals: state.counts.refusals,
        sum_minor: sum,
        root: scan.frontier.root(),
        chain_head: scan.chain_head,
    })
}

/// A snapshot must be, byte for byte, what the records up to it make.
fn check_snapshot(scan: &Scan<State>) -> Result<(), Fault> {
    let storage = scan.reader().storage();
    let name = snapshot_name(scan.segment);
    let path = path_of(&**storage, &name);
    let failed = |error: io::Error| Fault::from_io(&path, "cannot read", &error);
    let file = match storage.open(&name, Access::Read) {
        Ok(file) => file,
        // Old ones are removed beside a verification.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let accounts = &scan.taker.accounts;
    let known = |start: usize, count: usize| -> Vec<(u128, AccountIdentity)> {
        let number = |place: usize| u32::try_from(place + 1).expect("fewer than 2^32 accounts");
        let places = start..start + count;
        let account = |place| {
            (
                accounts.id(number(place)),
                *accounts.identity(number(place)),
            )
        };
        places.map(account).collect()
    };
    let moment = Moment {
        uuid: scan.identity.uuid,
        segment: scan.segment,
        frame: scan.frame,
        chain_head: scan.chain_head,
        frontier: &scan.frontier,
        shadow: &Shadow::of(&scan.taker),
        cold: &scan.cold,
        accounts_of: &known,
    };
    let mut offset = 0;
    let mut digest = Sha256::new();
    let mut compare = |bytes: &[u8]| {
        let mut found = vec![0u8; bytes.len()];
        read_fully(&*file, &mut found, offset).map_err(failed)?;
        if let Some(at) = (0..bytes.len()).find(|at| bytes[*at] != found[*at]) {
            let what = "the snapshot is not the state that the records give";
            return Err(Fault::corrupt(&path, offset + at as u64, what));
        }
        offset += bytes.len() as u64;
        Ok(())
    };
    moment.write(&mut |bytes| {
        digest.update(bytes);
        compare(bytes)
    })?;
    compare(&digest.finalize())?;
    if file.length().map_err(failed)? == offset {
        Ok(())
    } else {
        Err(Fault::corrupt(&path, offset, "the snapshot is too long"))
    }
}
