//! What a walk through the log feeds: the whole state, or the few books that a snapshot needs.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::accounts::Balances;
use crate::cold::Cold;
use crate::fault::{Fault, FaultKind};
use crate::movement::{self, Pendings};
use crate::record::{Kind, Record};
use crate::scan::Position;
use crate::segments::{place_of, FramePlace, SegmentReader};
use crate::state::{expiry, History, State};
use crate::wire::{AMOUNT_MAX, RECORD_SIZE};

/// Records that a walk has passed.
pub struct Past<'a> {
    /// What is sealed.
    pub cold: &'a Cold,
    /// Where the frames behind stand.
    pub places: &'a VecDeque<FramePlace>,
    /// Reads them.
    pub reader: &'a SegmentReader,
}

impl History for Past<'_> {
    fn record(&self, sequence: u64) -> Result<Record, Fault> {
        if sequence <= self.cold.end() {
            return self.cold.record(sequence);
        }
        if let Some(place) = place_of(self.places, sequence) {
            return self.reader.record(place, sequence);
        }
        let text = format!("record {sequence} is not where it could be read");
        Err(Fault::new(FaultKind::Corrupt, text))
    }
}

/// Takes the records of a log, in order.
pub trait Absorber {
    /// Sequence of the last record taken.
    fn last_sequence(&self) -> u64;
    /// Timestamp of the last record taken.
    fn last_timestamp(&self) -> u64;
    /// Bring near what taking a record will read; tell whether its id may be cold.
    fn prepare(&self, bytes: &[u8; RECORD_SIZE]) -> bool;
    /// Take a record; the fault says how it contradicts those before it.
    fn take(
        &mut self,
        record: &Record,
        may_be_cold: bool,
        past: &impl History,
    ) -> Result<(), Fault>;
    /// Let go of what has become cold, all at once.
    fn cool(&mut self, cold: &Arc<Cold>) -> Result<(), Fault>;
}

impl Absorber for State {
    fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    fn last_timestamp(&self) -> u64 {
        self.last_timestamp
    }

    #[inline]
    fn prepare(&self, bytes: &[u8; RECORD_SIZE]) -> bool {
        self.prepare_replay(bytes)
    }

    #[inline]
    fn take(
        &mut self,
        record: &Record,
        may_be_cold: bool,
        past: &impl History,
    ) -> Result<(), Fault> {
        self.replay(record, may_be_cold, past)
    }

    fn cool(&mut self, cold: &Arc<Cold>) -> Result<(), Fault> {
        let resolved = cold
            .segments()
            .last()
            .map_or(Ok(Vec::new()), |last| last.resolved())?;
        drop(self.begin_cooling(Arc::clone(cold)));
        let mut step = 0;
        while self.cool_step(step, cold.end(), &resolved) {
            step += 1;
        }
        Ok(())
    }
}

/// Balances and open reservations only: what a snapshot says beside what never changes.
#[derive(Clone, Default)]
pub struct Shadow {
    /// Of every account, in the order of creation.
    pub balances: Vec<Balances>,
    /// Those that are open.
    pub open: Pendings,
    /// Sequence of the last record.
    pub last_sequence: u64,
    /// Timestamp of the last record.
    pub last_timestamp: u64,
}

impl Shadow {
    /// The shadow of a state.
    pub fn of(state: &State) -> Self {
        let open = state.pendings.iter();
        let open = open.filter(|(_, pending)| pending.status == crate::state::PendingStatus::Open);
        Self {
            balances: state.accounts.all_balances().copied().collect(),
            open: open
                .map(|(sequence, pending)| (*sequence, *pending))
                .collect(),
            last_sequence: state.last_sequence,
            last_timestamp: state.last_timestamp,
        }
    }
}

impl Shadow {
    /// What its arithmetic rests upon; whether the record was allowed was decided before.
    fn check(&self, record: &Record) -> Result<(), &'static str> {
        let known = self.balances.len();
        match record.kind {
            Kind::Account if record.debit as usize == known + 1 => return Ok(()),
            Kind::Account => return Err("an account record is not the next account's"),
            Kind::Refusal => return Ok(()),
            _ => {}
        }
        let is_known = |number: u32| (1..=known).contains(&(number as usize));
        if !is_known(record.debit) || !is_known(record.credit) || record.debit == record.credit {
            return Err("a record does not name two accounts");
        }
        if matches!(record.kind, Kind::Transfer | Kind::Pending) {
            let debit = &self.balances[record.debit as usize - 1];
            let credit = &self.balances[record.credit as usize - 1];
            let fits = |pending: u64, posted: u64| {
                u128::from(pending) + u128::from(posted) + u128::from(record.amount) <= AMOUNT_MAX
            };
            let sums_fit = fits(debit.debits_pending, debit.debits_posted)
                && fits(credit.credits_pending, credit.credits_posted)
                && expiry(record.timestamp, record.timeout).is_some();
            return sums_fit
                .then_some(())
                .ok_or("a record's amount leaves the range of sums");
        }
        let resolves = self
            .open
            .get(&record.pending_sequence)
            .is_some_and(|pending| {
                (pending.debit, pending.credit) == (record.debit, record.credit)
                    && record.amount <= pending.amount
            });
        resolves
            .then_some(())
            .ok_or("a record does not resolve an open reservation of its accounts")
    }
}

impl Absorber for Shadow {
    fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    fn last_timestamp(&self) -> u64 {
        self.last_timestamp
    }

    fn prepare(&self, _bytes: &[u8; RECORD_SIZE]) -> bool {
        false
    }

    fn take(
        &mut self,
        record: &Record,
        _may_be_cold: bool,
        _past: &impl History,
    ) -> Result<(), Fault> {
        let wrong = |what: &str| Err(Fault::new(FaultKind::Corrupt, what));
        if record.sequence != self.last_sequence + 1 {
            return wrong("a record's sequence does not follow");
        }
        if record.timestamp <= self.last_timestamp {
            return wrong("a record's timestamp does not increase");
        }
        if let Err(what) = self.check(record) {
            return wrong(what);
        }
        self.last_sequence = record.sequence;
        self.last_timestamp = record.timestamp;
        match record.kind {
            Kind::Account => self.balances.push(movement::newborn(record)),
            Kind::Refusal => {}
            Kind::Transfer => movement::transfer(&mut self.balances, record),
            Kind::Pending => {
                let pending = movement::reserve(&mut self.balances, record);
                self.open.insert(record.sequence, pending);
            }
            Kind::Post | Kind::Void | Kind::Expire => {
                let pending = self.open.remove(&record.pending_sequence);
                movement::resolve(&mut self.balances, &pending.expect("checked"), record);
            }
        }
        Ok(())
    }

    fn cool(&mut self, _cold: &Arc<Cold>) -> Result<(), Fault> {
        Ok(())
    }
}

/// Where a walk from genesis starts.
pub fn genesis<T: Default>(identity: &crate::pages::Identity) -> Position<T> {
    Position {
        taker: T::default(),
        frontier: crate::merkle::Frontier::default(),
        chain_head: identity.genesis(),
        frame: 0,
        segment: 0,
    }
}
