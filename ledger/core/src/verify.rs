//! Verification: the log is read again from its first byte and must make what is believed.

use std::sync::Arc;

use crate::accounts::Balances;
use crate::fault::{Fault, FaultKind};
use crate::pages::Identity;
use crate::scan::{Extent, Scan};
use crate::segments::SegmentReader;
use crate::sha::Hash;

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

/// Read the log from genesis and compare with the belief.
pub fn verify(
    identity: Identity,
    reader: &SegmentReader,
    belief: &Belief,
) -> Result<Report, Fault> {
    let reader = Arc::new(SegmentReader::new(Arc::clone(reader.storage())));
    let mut scan = Scan::new(identity, Arc::clone(&reader));
    scan.advance(Extent::Frame(belief.frame), None)?;
    let state = &scan.state;
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
