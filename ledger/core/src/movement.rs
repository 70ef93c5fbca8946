//! What a record does to balances: the one place where money moves, for the live state and for the
//! sealer's own books alike.

use std::collections::HashMap;

use crate::accounts::{Accounts, Balances};
use crate::record::Record;
use crate::state::{expiry, Pending, PendingStatus};
use crate::wire::{account_flags, transfer_flags};

/// Reservations by the sequence of their records.
pub type Pendings = HashMap<u64, Pending>;

/// Balances by account number.
pub trait Books {
    /// The balances of an account, to be changed.
    fn of(&mut self, number: u32) -> &mut Balances;
}

impl Books for Accounts {
    #[inline]
    fn of(&mut self, number: u32) -> &mut Balances {
        self.balances_mut(number)
    }
}

impl Books for Vec<Balances> {
    fn of(&mut self, number: u32) -> &mut Balances {
        &mut self[number as usize - 1]
    }
}

/// The balances of the account that a record creates.
pub fn newborn(record: &Record) -> Balances {
    Balances {
        ledger: record.ledger,
        code: record.code,
        flags: record.flags,
        ..Balances::default()
    }
}

/// Move money.
#[inline]
pub fn transfer(books: &mut impl Books, record: &Record) {
    books.of(record.debit).debits_posted += record.amount;
    books.of(record.credit).credits_posted += record.amount;
}

/// Reserve money.
pub fn reserve(books: &mut impl Books, record: &Record) -> Pending {
    let closing = record.flags & (transfer_flags::CLOSING_DEBIT | transfer_flags::CLOSING_CREDIT);
    let debit = books.of(record.debit);
    debit.debits_pending += record.amount;
    if closing & transfer_flags::CLOSING_DEBIT != 0 {
        debit.flags |= account_flags::CLOSED;
    }
    let credit = books.of(record.credit);
    credit.credits_pending += record.amount;
    if closing & transfer_flags::CLOSING_CREDIT != 0 {
        credit.flags |= account_flags::CLOSED;
    }
    open_pending(record)
}

/// The reservation that a record makes, without its effect on the balances.
pub fn open_pending(record: &Record) -> Pending {
    Pending {
        status: PendingStatus::Open,
        closing: record.flags & (transfer_flags::CLOSING_DEBIT | transfer_flags::CLOSING_CREDIT),
        debit: record.debit,
        credit: record.credit,
        amount: record.amount,
        expires_at: expiry(record.timestamp, record.timeout).expect("checked before"),
    }
}

/// Use or release what was reserved.
pub fn resolve(books: &mut impl Books, pending: &Pending, record: &Record) {
    let posts = record.kind == crate::record::Kind::Post;
    let debit = books.of(record.debit);
    debit.debits_pending -= pending.amount;
    if posts {
        debit.debits_posted += record.amount;
    } else if pending.closing & transfer_flags::CLOSING_DEBIT != 0 {
        debit.flags &= !account_flags::CLOSED;
    }
    let credit = books.of(record.credit);
    credit.credits_pending -= pending.amount;
    if posts {
        credit.credits_posted += record.amount;
    } else if pending.closing & transfer_flags::CLOSING_CREDIT != 0 {
        credit.flags &= !account_flags::CLOSED;
    }
}
