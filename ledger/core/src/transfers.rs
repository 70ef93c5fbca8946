//! Which record a transfer event makes, or why it is refused: checks in order of precedence.
//!
//! Source: ledger.md 1.2 (`TigerBeetle`'s documented semantics); docs/reference/transfer.md.

use crate::fault::Fault;
use crate::forms::{
    balanced_amount, check_accounts, check_form, check_open, check_overflow, check_resolution_form,
    check_transfer_form, refuse, Checked, Refused,
};
use crate::record::{Kind, Record};
use crate::repeats;
use crate::state::{expiry, History, PendingStatus, State};
use crate::status::transfer as status;
use crate::wire::{transfer_flags as flag, u128_at, WireTransfer, AMOUNT_ALL, RECORD_SIZE};

/// What is decided about one event.
pub enum Decision {
    /// It takes effect as this record.
    Take(Record),
    /// It is refused for a transient reason: this record burns its id.
    Burn(Record),
    /// It makes no record.
    Answer {
        /// That of the original where it exists; else of the event, or 0 for an account.
        timestamp: u64,
        /// Why.
        status: u32,
    },
}

/// The accounts that an event names, where they exist.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parties {
    /// Dense number.
    pub debit: Option<u32>,
    /// Dense number.
    pub credit: Option<u32>,
    /// Whether the transfer's own id may be in a sealed segment.
    pub is_cold: bool,
}

impl State {
    /// Find the accounts of an event, and bring near what deciding about it will read.
    #[inline]
    pub fn prepare_transfer(&self, event: &[u8; RECORD_SIZE]) -> Parties {
        std::hint::black_box(self.ids.warm(u128_at(event, 0)));
        Parties {
            debit: self.accounts.number(u128_at(event, 16)),
            credit: self.accounts.number(u128_at(event, 32)),
            is_cold: self.cold.may_hold(u128_at(event, 0)),
        }
    }

    /// Decide about one transfer event that would take effect at `timestamp`.
    pub fn decide_transfer(
        &self,
        event: &WireTransfer,
        parties: Parties,
        timestamp: u64,
        history: &impl History,
    ) -> Result<Decision, Fault> {
        if let Err(Refused(status)) = check_form(event) {
            return Ok(Decision::Answer { timestamp, status });
        }
        let original = match self.find_hot(event.id, history)? {
            None if parties.is_cold => self.cold.find(event.id)?,
            found => found,
        };
        if let Some(original) = original {
            let status = repeats::compare(self, event, &original, history)?;
            let same = status == status::EXISTS;
            let timestamp = if same { original.timestamp } else { timestamp };
            return Ok(Decision::Answer { timestamp, status });
        }
        let resolves = event.flags & (flag::POST_PENDING | flag::VOID_PENDING) != 0;
        let mut pending = None;
        let decided = if resolves {
            match check_resolution_form(event) {
                Ok(()) => {
                    // A burnt id is no transfer.
                    let found = self.find(event.pending_id, history)?;
                    pending = found.filter(|record| record.kind != Kind::Refusal);
                    let standing = match &pending {
                        Some(record) if record.kind == Kind::Pending => self.standing(record)?,
                        _ => (PendingStatus::Open, 0),
                    };
                    self.resolve(event, timestamp, pending.as_ref(), standing)
                }
                Err(refused) => Err(refused),
            }
        } else {
            self.transfer(event, parties, timestamp)
        };
        Ok(match decided {
            Ok(record) => Decision::Take(record),
            Err(Refused(status)) if status::is_transient(status) => {
                Decision::Burn(self.refusal(event, parties, (timestamp, status), pending.as_ref()))
            }
            Err(Refused(status)) => Decision::Answer { timestamp, status },
        })
    }

    fn transfer(&self, event: &WireTransfer, parties: Parties, timestamp: u64) -> Checked<Record> {
        check_transfer_form(event)?;
        let Some(debit_number) = parties.debit else {
            return refuse(status::DEBIT_ACCOUNT_NOT_FOUND);
        };
        let Some(credit_number) = parties.credit else {
            return refuse(status::CREDIT_ACCOUNT_NOT_FOUND);
        };
        let debit = self.accounts.balances(debit_number);
        let credit = self.accounts.balances(credit_number);
        check_accounts(event, debit, credit)?;
        let amount = balanced_amount(event, debit, credit);
        let is_pending = event.flags & flag::PENDING != 0;
        check_overflow(debit, credit, amount, is_pending)?;
        if expiry(timestamp, event.timeout).is_none() {
            return refuse(status::OVERFLOWS_TIMEOUT);
        }
        let amount = u64::try_from(amount).expect("checked against the largest sum");
        if debit.debits_exceed_credits(amount) {
            return refuse(status::EXCEEDS_CREDITS);
        }
        if credit.credits_exceed_debits(amount) {
            return refuse(status::EXCEEDS_DEBITS);
        }
        let moved = if is_pending { 0 } else { amount.cast_signed() };
        Ok(Record {
            debit: debit_number,
            credit: credit_number,
            amount,
            kind: if is_pending {
                Kind::Pending
            } else {
                Kind::Transfer
            },
            debit_balance_after: debit.net() - moved,
            credit_balance_after: credit.net() + moved,
            ..self.blank(event, timestamp)
        })
    }

    fn resolve(
        &self,
        event: &WireTransfer,
        timestamp: u64,
        pending: Option<&Record>,
        (standing, expires_at): (PendingStatus, u64),
    ) -> Checked<Record> {
        let Some(pending) = pending else {
            return refuse(status::PENDING_TRANSFER_NOT_FOUND);
        };
        if pending.kind != Kind::Pending {
            return refuse(status::PENDING_TRANSFER_NOT_PENDING);
        }
        self.check_same_as_pending(event, pending)?;
        let posts = event.flags & flag::POST_PENDING != 0;
        let reserved = u128::from(pending.amount);
        let inherits = event.amount == if posts { AMOUNT_ALL } else { 0 };
        let amount = if inherits { reserved } else { event.amount };
        if amount > reserved {
            return refuse(status::EXCEEDS_PENDING_TRANSFER_AMOUNT);
        }
        if !posts && amount < reserved {
            return refuse(status::PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT);
        }
        check_open(standing, expires_at, timestamp)?;
        if posts && self.accounts.balances(pending.debit).is_closed() {
            return refuse(status::DEBIT_ACCOUNT_ALREADY_CLOSED);
        }
        if posts && self.accounts.balances(pending.credit).is_closed() {
            return refuse(status::CREDIT_ACCOUNT_ALREADY_CLOSED);
        }
        let amount = u64::try_from(amount).expect("at most what was reserved");
        let kind = if posts { Kind::Post } else { Kind::Void };
        let moved = if posts { amount } else { 0 };
        let mut record = self.resolution(kind, pending, timestamp, moved);
        record.amount = amount;
        record.id = event.id;
        record.flags = event.flags;
        inherit_user_data(&mut record, event);
        Ok(record)
    }

    fn check_same_as_pending(&self, event: &WireTransfer, pending: &Record) -> Checked<()> {
        let debit_id = self.accounts.id(pending.debit);
        if event.debit_account_id != 0 && event.debit_account_id != debit_id {
            return refuse(status::PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID);
        }
        let credit_id = self.accounts.id(pending.credit);
        if event.credit_account_id != 0 && event.credit_account_id != credit_id {
            return refuse(status::PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID);
        }
        if event.ledger != 0 && event.ledger != pending.ledger {
            return refuse(status::PENDING_TRANSFER_HAS_DIFFERENT_LEDGER);
        }
        if event.code != 0 && event.code != pending.code {
            return refuse(status::PENDING_TRANSFER_HAS_DIFFERENT_CODE);
        }
        Ok(())
    }

    /// The record that resolves a reservation, moving `moved`.
    fn resolution(&self, kind: Kind, pending: &Record, timestamp: u64, moved: u64) -> Record {
        Record {
            sequence: self.last_sequence + 1,
            timestamp,
            pending_sequence: pending.sequence,
            timeout: 0,
            kind,
            status: 0,
            debit_balance_after: self.net(pending.debit) - moved.cast_signed(),
            credit_balance_after: self.net(pending.credit) + moved.cast_signed(),
            ..*pending
        }
    }

    /// The record that says that a reservation ran out.
    pub fn expiration(&self, pending: &Record, timestamp: u64) -> Record {
        Record {
            id: 0,
            flags: flag::VOID_PENDING,
            ..self.resolution(Kind::Expire, pending, timestamp, 0)
        }
    }

    /// The record that burns the id of a refused event.
    fn refusal(
        &self,
        event: &WireTransfer,
        parties: Parties,
        (timestamp, status): (u64, u32),
        pending: Option<&Record>,
    ) -> Record {
        let debit = parties.debit.unwrap_or(0);
        let credit = parties.credit.unwrap_or(0);
        let mut record = Record {
            debit,
            credit,
            amount: u64::try_from(event.amount).unwrap_or(u64::MAX),
            pending_sequence: pending.map_or(0, |found| found.sequence),
            kind: Kind::Refusal,
            status: u8::try_from(status).expect("transient statuses are small"),
            debit_balance_after: self.net(debit),
            credit_balance_after: self.net(credit),
            ..self.blank(event, timestamp)
        };
        match status {
            status::DEBIT_ACCOUNT_NOT_FOUND => record.set_unknown_id(event.debit_account_id),
            status::CREDIT_ACCOUNT_NOT_FOUND => record.set_unknown_id(event.credit_account_id),
            status::PENDING_TRANSFER_NOT_FOUND => record.set_unknown_id(event.pending_id),
            _ => {}
        }
        record
    }

    /// What a record takes over from its event.
    #[inline]
    fn blank(&self, event: &WireTransfer, timestamp: u64) -> Record {
        Record {
            sequence: self.last_sequence + 1,
            timestamp,
            id: event.id,
            debit: 0,
            credit: 0,
            amount: 0,
            pending_sequence: 0,
            user_data_128: event.user_data_128,
            user_data_64: event.user_data_64,
            user_data_32: event.user_data_32,
            timeout: event.timeout,
            ledger: event.ledger,
            code: event.code,
            flags: event.flags,
            kind: Kind::Transfer,
            status: 0,
            debit_balance_after: 0,
            credit_balance_after: 0,
        }
    }
}

/// User data that the caller gave replaces that of the reservation.
fn inherit_user_data(record: &mut Record, event: &WireTransfer) {
    if event.user_data_128 != 0 {
        record.user_data_128 = event.user_data_128;
    }
    if event.user_data_64 != 0 {
        record.user_data_64 = event.user_data_64;
    }
    if event.user_data_32 != 0 {
        record.user_data_32 = event.user_data_32;
    }
}
