//! The state that the records make: accounts, taken ids, open reservations, posting lists.
//!
//! Every change of state is one record absorbed. The live engine decides which record an event
//! makes and absorbs it; recovery and verification absorb what stands in the log. So both cannot
//! drift apart, and a record that contradicts the state is noticed either way.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::accounts::{Accounts, Identity};
use crate::cold::Cold;
use crate::fault::{Fault, FaultKind};
use crate::index::IdIndex;
use crate::movement::{self, Pendings};
use crate::postings::Postings;
use crate::record::{Kind, Record};
use crate::wire::{account_flags, transfer_flags};

/// Nanoseconds of a second.
pub const SECOND_NS: u64 = 1_000_000_000;

/// Where earlier records are read from.
pub trait History {
    /// Give the record of a sequence that was handed out.
    fn record(&self, sequence: u64) -> Result<Record, Fault>;
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingStatus {
    /// Neither used, released nor run out.
    Open,
    /// Used.
    Posted,
    /// Released.
    Voided,
    /// Ran out.
    Expired,
}

/// A reservation, by the sequence of its record.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// What became of it.
    pub status: PendingStatus,
    /// Closing flags of the transfer.
    pub closing: u16,
    /// Dense account number.
    pub debit: u32,
    /// Dense account number.
    pub credit: u32,
    /// Minor units reserved.
    pub amount: u64,
    /// Nanoseconds UTC, 0 = never.
    pub expires_at: u64,
}

/// How many records of which kind were absorbed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transfers, reservations, posts, voids and expiries.
    pub transfers: u64,
    /// Refusals.
    pub refusals: u64,
}

/// The state after a record.
#[derive(Default)]
pub struct State {
    /// All accounts.
    pub accounts: Accounts,
    /// What is sealed.
    pub cold: Arc<Cold>,
    /// Transfer id to sequence, refusals included, of what is not cold.
    pub ids: IdIndex,
    /// Every open reservation, and those that hot records resolved.
    pub pendings: Pendings,
    /// (instant, sequence) of every open reservation that can run out.
    pub expiries: BTreeSet<(u64, u64)>,
    /// The records that touch an account.
    pub postings: Postings,
    /// How many records of which kind.
    pub counts: Counts,
    /// Timestamp of the last event.
    pub last_timestamp: u64,
    /// Sequence of the last record.
    pub last_sequence: u64,
}

impl State {
    /// Find the record of a transfer id.
    #[inline]
    pub fn find(&self, id: u128, history: &impl History) -> Result<Option<Record>, Fault> {
        match self.find_hot(id, history)? {
            None => self.cold.find(id),
            found => Ok(found),
        }
    }

    /// Find the record of a transfer id that is known to be in no sealed segment.
    #[inline]
    pub fn find_hot(&self, id: u128, history: &impl History) -> Result<Option<Record>, Fault> {
        let mut found = None;
        let mut fault = None;
        self.ids
            .find(id, |sequence| match history.record(sequence) {
                Ok(record) if record.id == id => {
                    found = Some(record);
                    true
                }
                Ok(_) => false,
                Err(error) => {
                    fault = Some(error);
                    true
                }
            });
        fault.map_or(Ok(found), Err)
    }

    /// What became of a reservation, and when it runs out or ran out (0 = never).
    pub fn standing(&self, pending: &Record) -> Result<(PendingStatus, u64), Fault> {
        if let Some(found) = self.pendings.get(&pending.sequence) {
            return Ok((found.status, found.expires_at));
        }
        let resolved = self.cold.resolution(pending.sequence)?;
        let status = match resolved.map(|record| record.kind) {
            Some(Kind::Post) => PendingStatus::Posted,
            Some(Kind::Void) => PendingStatus::Voided,
            Some(Kind::Expire) => PendingStatus::Expired,
            _ => {
                let text = "a reservation is neither open nor resolved; verify the ledger";
                return Err(Fault::new(FaultKind::Corrupt, text));
            }
        };
        Ok((status, 0))
    }

    /// Posted credits minus posted debits of an account, 0 for none.
    #[inline]
    pub fn net(&self, number: u32) -> i64 {
        if number == 0 {
            0
        } else {
            self.accounts.balances(number).net()
        }
    }

    /// Take a record into the state.
    #[inline]
    pub fn absorb(&mut self, record: &Record) {
        debug_assert_eq!(record.sequence, self.last_sequence + 1);
        self.last_sequence = record.sequence;
        match record.kind {
            Kind::Account => return self.absorb_account(record),
            Kind::Refusal => self.counts.refusals += 1,
            Kind::Transfer => {
                self.counts.transfers += 1;
                movement::transfer(&mut self.accounts, record);
            }
            Kind::Pending => {
                self.counts.transfers += 1;
                self.absorb_pending(record);
            }
            Kind::Post | Kind::Void | Kind::Expire => {
                self.counts.transfers += 1;
                self.absorb_resolution(record);
            }
        }
        if record.kind != Kind::Expire {
            self.ids.insert(record.id, record.sequence);
        }
        // A refusal moved nothing: it is in the log and found by its id, but in no statement.
        if record.kind == Kind::Refusal {
            self.postings.skip();
        } else {
            let [debit, credit] = self.accounts.tails_mut(record.debit, record.credit);
            self.postings
                .append((record.debit, debit), (record.credit, credit));
        }
    }

    fn absorb_account(&mut self, record: &Record) {
        let balances = movement::newborn(record);
        let identity = Identity {
            user_data_128: record.user_data_128,
            user_data_64: record.user_data_64,
            user_data_32: record.user_data_32,
            timestamp: record.timestamp,
            sequence: record.sequence,
        };
        let number = self.accounts.add(record.id, balances, identity);
        assert_eq!(number, record.debit, "accounts are numbered without gap");
        self.postings.add_account();
        self.postings.skip();
    }

    fn absorb_pending(&mut self, record: &Record) {
        let pending = movement::reserve(&mut self.accounts, record);
        if pending.expires_at != 0 {
            self.expiries.insert((pending.expires_at, record.sequence));
        }
        self.pendings.insert(record.sequence, pending);
    }

    fn absorb_resolution(&mut self, record: &Record) {
        let pending = self
            .pendings
            .get_mut(&record.pending_sequence)
            .expect("checked before");
        assert_eq!(pending.status, PendingStatus::Open, "resolved at most once");
        pending.status = match record.kind {
            Kind::Post => PendingStatus::Posted,
            Kind::Void => PendingStatus::Voided,
            _ => PendingStatus::Expired,
        };
        let pending = *pending;
        if pending.expires_at != 0 {
            self.expiries
                .remove(&(pending.expires_at, record.pending_sequence));
        }
        movement::resolve(&mut self.accounts, &pending, record);
    }

    /// Take the newest record back out of the state (its chain broke).
    pub fn revert(&mut self, record: &Record) {
        assert_eq!(record.sequence, self.last_sequence, "newest first");
        self.last_sequence -= 1;
        match record.kind {
            Kind::Account => {
                self.postings.take_back(None);
                self.postings.remove_account();
                return self.accounts.remove_last();
            }
            Kind::Refusal => self.counts.refusals -= 1,
            Kind::Transfer => {
                self.counts.transfers -= 1;
                self.accounts.balances_mut(record.debit).debits_posted -= record.amount;
                self.accounts.balances_mut(record.credit).credits_posted -= record.amount;
            }
            Kind::Pending => {
                self.counts.transfers -= 1;
                self.revert_pending(record);
            }
            Kind::Post | Kind::Void | Kind::Expire => {
                self.counts.transfers -= 1;
                self.revert_resolution(record);
            }
        }
        if record.kind != Kind::Expire {
            self.ids.remove(record.id, record.sequence);
        }
        if record.kind == Kind::Refusal {
            self.postings.take_back(None);
        } else {
            let [debit, credit] = self.accounts.tails_mut(record.debit, record.credit);
            self.postings
                .take_back(Some([(record.debit, debit), (record.credit, credit)]));
        }
    }

    fn revert_pending(&mut self, record: &Record) {
        let pending = self
            .pendings
            .remove(&record.sequence)
            .expect("it was absorbed");
        if pending.expires_at != 0 {
            self.expiries.remove(&(pending.expires_at, record.sequence));
        }
        let debit = self.accounts.balances_mut(record.debit);
        debit.debits_pending -= record.amount;
        // A closed account takes no reservation, so it was open before this one closed it.
        if pending.closing & transfer_flags::CLOSING_DEBIT != 0 {
            debit.flags &= !account_flags::CLOSED;
        }
        let credit = self.accounts.balances_mut(record.credit);
        credit.credits_pending -= record.amount;
        if pending.closing & transfer_flags::CLOSING_CREDIT != 0 {
            credit.flags &= !account_flags::CLOSED;
        }
    }

    fn revert_resolution(&mut self, record: &Record) {
        let pending = self
            .pendings
            .get_mut(&record.pending_sequence)
            .expect("it was absorbed");
        pending.status = PendingStatus::Open;
        let pending = *pending;
        if pending.expires_at != 0 {
            self.expiries
                .insert((pending.expires_at, record.pending_sequence));
        }
        let posts = record.kind == Kind::Post;
        let debit = self.accounts.balances_mut(record.debit);
        debit.debits_pending += pending.amount;
        if posts {
            debit.debits_posted -= record.amount;
        } else if pending.closing & transfer_flags::CLOSING_DEBIT != 0 {
            debit.flags |= account_flags::CLOSED;
        }
        let credit = self.accounts.balances_mut(record.credit);
        credit.credits_pending += pending.amount;
        if posts {
            credit.credits_posted -= record.amount;
        } else if pending.closing & transfer_flags::CLOSING_CREDIT != 0 {
            credit.flags |= account_flags::CLOSED;
        }
    }
}

/// The instant at which a reservation runs out, 0 = never; `None` when it leaves the range.
pub fn expiry(timestamp: u64, timeout_s: u32) -> Option<u64> {
    if timeout_s == 0 {
        return Some(0);
    }
    let instant = timestamp.checked_add(u64::from(timeout_s).checked_mul(SECOND_NS)?)?;
    i64::try_from(instant).is_ok().then_some(instant)
}
