//! The durable view: what readers see. It trails the applied state by at most two groups.

use crate::accounts::Balances;
use crate::frames::Frame;
use crate::merkle::Frontier;
use crate::scan::Scan;
use crate::segments::FramePlace;
use crate::sha::Hash;
use crate::state::State;
use crate::writer::Tip;

/// What is known to be on the disk.
pub struct Durable {
    /// Of every account, in the order of creation.
    pub balances: Vec<Balances>,
    /// Where each frame stands.
    pub places: Vec<FramePlace>,
    /// The Merkle tree over all records.
    pub frontier: Frontier,
    /// Hash of the last frame.
    pub chain_head: Hash,
    /// Number of the last frame.
    pub frame: u64,
    /// Sequence of the last record.
    pub sequence: u64,
}

impl Durable {
    /// Take over what a walk through the log found; give its state back.
    pub fn from_scan(scan: Scan) -> (Self, State) {
        let durable = Self {
            balances: scan.state.accounts.all_balances().copied().collect(),
            places: scan.places,
            frontier: scan.frontier,
            chain_head: scan.chain_head,
            frame: scan.frame,
            sequence: scan.state.last_sequence,
        };
        (durable, scan.state)
    }

    /// Take in a frame that became durable.
    pub fn publish(
        &mut self,
        frame: &Frame,
        place: FramePlace,
        touched: &[(u32, Balances)],
        accounts: usize,
        frontier: Frontier,
        tip: &Tip,
    ) {
        assert_eq!(
            frame.first_sequence(),
            self.sequence + 1,
            "frames become durable in order"
        );
        self.balances.resize(accounts, Balances::default());
        for (number, balances) in touched {
            self.balances[*number as usize - 1] = *balances;
        }
        self.places.push(place);
        self.frontier = frontier;
        self.chain_head = tip.chain_head;
        self.frame = tip.frame;
        self.sequence = frame.end_sequence() - 1;
    }
}
