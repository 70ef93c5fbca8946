//! The durable view: what readers see. It trails the applied state by at most two groups.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::accounts::Balances;
use crate::cold::Cold;
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
    /// What is sealed.
    pub cold: Arc<Cold>,
    /// Where each frame behind it stands.
    pub places: VecDeque<FramePlace>,
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
    pub fn from_scan(scan: Scan<State>) -> (Self, State) {
        let durable = Self {
            balances: scan.taker.accounts.all_balances().copied().collect(),
            cold: scan.cold,
            places: scan.places,
            frontier: scan.frontier,
            chain_head: scan.chain_head,
            frame: scan.frame,
            sequence: scan.taker.last_sequence,
        };
        (durable, scan.taker)
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
        self.places.push_back(place);
        self.frontier = frontier;
        self.chain_head = tip.chain_head;
        self.frame = tip.frame;
        self.sequence = frame.end_sequence() - 1;
    }

    /// Take over what is cold now: its frames are found there.
    pub fn cool(&mut self, cold: Arc<Cold>) {
        let end = cold.end();
        assert!(end <= self.sequence, "only what is durable is sealed");
        let behind = self
            .places
            .partition_point(|place| place.first_sequence <= end);
        self.places.drain(..behind);
        self.cold = cold;
    }
}
