//! Absorbing the records of the log: each is checked against the state that those before it make.

use crate::fault::{Fault, FaultKind};
use crate::record::{Kind, Record};
use crate::state::{expiry, History, PendingStatus, State};
use crate::status::transfer::is_transient;
use crate::wire::{transfer_flags as flag, u128_at, u32_at, AMOUNT_MAX, RECORD_SIZE};

type Checked = Result<(), &'static str>;

impl State {
    /// Bring near what absorbing a record will read, for many in a row, so that the accesses
    /// overlap; tell whether its id may be cold.
    #[inline]
    pub fn prepare_replay(&self, bytes: &[u8; RECORD_SIZE]) -> bool {
        let warmed = self.ids.warm(u128_at(bytes, 16));
        let touched = [u32_at(bytes, 32), u32_at(bytes, 36)].map(|number| {
            let exists = (1..=self.accounts.last()).contains(&number);
            if exists {
                self.accounts.balances(number).credits_posted
            } else {
                0
            }
        });
        std::hint::black_box((warmed, touched));
        self.cold.may_hold(u128_at(bytes, 16))
    }

    /// Absorb a record of the log; the fault says how it contradicts the records before it.
    pub fn replay(
        &mut self,
        record: &Record,
        may_be_cold: bool,
        history: &impl History,
    ) -> Result<(), Fault> {
        let wrong = |what: &str| Fault::new(FaultKind::Corrupt, what);
        if record.sequence != self.last_sequence + 1 {
            return Err(wrong("a record's sequence does not follow"));
        }
        if record.timestamp <= self.last_timestamp {
            return Err(wrong("a record's timestamp does not increase"));
        }
        self.check(record).map_err(wrong)?;
        if !matches!(record.kind, Kind::Account | Kind::Expire) {
            let taken = match self.find_hot(record.id, history)? {
                None if may_be_cold => self.cold.find(record.id)?,
                found => found,
            };
            if taken.is_some() {
                return Err(wrong("a transfer id stands twice"));
            }
        }
        self.absorb(record);
        self.last_timestamp = record.timestamp;
        self.check_after(record).map_err(wrong)
    }

    fn check(&self, record: &Record) -> Checked {
        let known = self.accounts.last();
        if record.kind == Kind::Account {
            if record.debit != known + 1 || record.credit != 0 || record.amount != 0 {
                return Err("an account record is not the next account's");
            }
            if self.accounts.number(record.id).is_some() {
                return Err("an account id stands twice");
            }
            return Ok(());
        }
        if record.debit > known || record.credit > known {
            return Err("a record names an account that does not exist yet");
        }
        if record.kind == Kind::Refusal {
            let transient = is_transient(record.status.into());
            return transient
                .then_some(())
                .ok_or("a refusal's status burns no id");
        }
        if record.debit == 0 || record.credit == 0 || record.debit == record.credit {
            return Err("a record does not name two accounts");
        }
        if record.status != 0 {
            return Err("a record that took effect has a status");
        }
        match record.kind {
            Kind::Transfer | Kind::Pending => self.check_movement(record),
            _ => self.check_resolution(record),
        }
    }

    fn check_movement(&self, record: &Record) -> Checked {
        let debit = self.accounts.balances(record.debit);
        let credit = self.accounts.balances(record.credit);
        if debit.ledger != record.ledger || credit.ledger != record.ledger {
            return Err("a record moves money between ledgers");
        }
        if debit.is_closed() || credit.is_closed() {
            return Err("a record moves money of a closed account");
        }
        let closing = record.flags & (flag::CLOSING_DEBIT | flag::CLOSING_CREDIT) != 0;
        if closing && record.kind != Kind::Pending {
            return Err("a closing record is not pending");
        }
        let fits = |pending: u64, posted: u64| {
            u128::from(pending) + u128::from(posted) + u128::from(record.amount) <= AMOUNT_MAX
        };
        if !fits(debit.debits_pending, debit.debits_posted)
            || !fits(credit.credits_pending, credit.credits_posted)
        {
            return Err("a record's amount leaves the range of sums");
        }
        if debit.debits_exceed_credits(record.amount) || credit.credits_exceed_debits(record.amount)
        {
            return Err("a record passes the limit of an account");
        }
        if expiry(record.timestamp, record.timeout).is_none() {
            return Err("a record's time-out leaves the range");
        }
        Ok(())
    }

    fn check_resolution(&self, record: &Record) -> Checked {
        let Some(pending) = self.pendings.get(&record.pending_sequence) else {
            return Err("a record resolves what is no reservation");
        };
        if pending.status != PendingStatus::Open {
            return Err("a reservation is resolved twice");
        }
        if (pending.debit, pending.credit) != (record.debit, record.credit) {
            return Err("a record resolves a reservation of other accounts");
        }
        if record.amount > pending.amount {
            return Err("a record resolves more than was reserved");
        }
        let ran_out = pending.expires_at != 0 && pending.expires_at <= record.timestamp;
        if (record.kind == Kind::Expire) != ran_out {
            return Err("a reservation is resolved at a wrong time");
        }
        Ok(())
    }

    fn check_after(&self, record: &Record) -> Checked {
        if record.names_unknown_id() || record.kind == Kind::Account {
            return Ok(());
        }
        if self.net(record.debit) == record.debit_balance_after
            && self.net(record.credit) == record.credit_balance_after
        {
            Ok(())
        } else {
            Err("a record's balance is not what the records before it make")
        }
    }
}
