//! Checks of a transfer event that need no other record: its form, and the range of sums.
//!
//! Source: ledger.md 1.2, rule 5 (order of checks).

use crate::accounts::Balances;
use crate::state::PendingStatus;
use crate::status::transfer as status;
use crate::wire::{transfer_flags as flag, WireTransfer, AMOUNT_MAX};

/// A refusal, before it is known whether it burns the id.
pub struct Refused(pub u32);

/// What a check gives.
pub type Checked<T> = Result<T, Refused>;

/// Refuse with a status.
pub fn refuse<T>(status: u32) -> Checked<T> {
    Err(Refused(status))
}

/// What is wrong with an event whatever the state.
pub fn check_form(event: &WireTransfer) -> Checked<()> {
    const KNOWN: u16 = (flag::IMPORTED << 1) - 1;
    if event.timestamp != 0 {
        return refuse(status::TIMESTAMP_MUST_BE_ZERO);
    }
    if event.flags & (flag::IMPORTED | !KNOWN) != 0 {
        return refuse(status::RESERVED_FLAG);
    }
    match event.id {
        0 => refuse(status::ID_MUST_NOT_BE_ZERO),
        u128::MAX => refuse(status::ID_MUST_NOT_BE_INT_MAX),
        _ => Ok(()),
    }
}

/// What is wrong with a post or void whatever the state.
pub fn check_resolution_form(event: &WireTransfer) -> Checked<()> {
    const EXCLUSIVE: u16 = flag::PENDING
        | flag::BALANCING_DEBIT
        | flag::BALANCING_CREDIT
        | flag::CLOSING_DEBIT
        | flag::CLOSING_CREDIT;
    let both = flag::POST_PENDING | flag::VOID_PENDING;
    if event.flags & both == both || event.flags & EXCLUSIVE != 0 {
        return refuse(status::FLAGS_ARE_MUTUALLY_EXCLUSIVE);
    }
    match event.pending_id {
        0 => return refuse(status::PENDING_ID_MUST_NOT_BE_ZERO),
        u128::MAX => return refuse(status::PENDING_ID_MUST_NOT_BE_INT_MAX),
        id if id == event.id => return refuse(status::PENDING_ID_MUST_BE_DIFFERENT),
        _ => {}
    }
    if event.timeout != 0 {
        return refuse(status::TIMEOUT_RESERVED_FOR_PENDING_TRANSFER);
    }
    Ok(())
}

/// What is wrong with a movement or reservation whatever the state.
pub fn check_transfer_form(event: &WireTransfer) -> Checked<()> {
    match event.debit_account_id {
        0 => return refuse(status::DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO),
        u128::MAX => return refuse(status::DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX),
        _ => {}
    }
    match event.credit_account_id {
        0 => return refuse(status::CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO),
        u128::MAX => return refuse(status::CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX),
        id if id == event.debit_account_id => return refuse(status::ACCOUNTS_MUST_BE_DIFFERENT),
        _ => {}
    }
    if event.pending_id != 0 {
        return refuse(status::PENDING_ID_MUST_BE_ZERO);
    }
    if event.flags & flag::PENDING == 0 {
        if event.timeout != 0 {
            return refuse(status::TIMEOUT_RESERVED_FOR_PENDING_TRANSFER);
        }
        if event.flags & (flag::CLOSING_DEBIT | flag::CLOSING_CREDIT) != 0 {
            return refuse(status::CLOSING_TRANSFER_MUST_BE_PENDING);
        }
    }
    if event.ledger == 0 {
        return refuse(status::LEDGER_MUST_NOT_BE_ZERO);
    }
    if event.code == 0 {
        return refuse(status::CODE_MUST_NOT_BE_ZERO);
    }
    Ok(())
}

/// No sum of an account may pass `AMOUNT_MAX`.
#[inline]
pub fn check_overflow(
    debit: &Balances,
    credit: &Balances,
    amount: u128,
    is_pending: bool,
) -> Checked<()> {
    let over = |sum: u64| u128::from(sum).saturating_add(amount) > AMOUNT_MAX;
    if is_pending && over(debit.debits_pending) {
        return refuse(status::OVERFLOWS_DEBITS_PENDING);
    }
    if is_pending && over(credit.credits_pending) {
        return refuse(status::OVERFLOWS_CREDITS_PENDING);
    }
    if over(debit.debits_posted) {
        return refuse(status::OVERFLOWS_DEBITS_POSTED);
    }
    if over(credit.credits_posted) {
        return refuse(status::OVERFLOWS_CREDITS_POSTED);
    }
    // Each sum is at most 2^63-1, so the two of a side fit 64 bits.
    if over(debit.debits_pending + debit.debits_posted) {
        return refuse(status::OVERFLOWS_DEBITS);
    }
    if over(credit.credits_pending + credit.credits_posted) {
        return refuse(status::OVERFLOWS_CREDITS);
    }
    Ok(())
}

/// What is wrong with the accounts of a movement or reservation.
#[inline]
pub fn check_accounts(event: &WireTransfer, debit: &Balances, credit: &Balances) -> Checked<()> {
    if debit.ledger != credit.ledger {
        return refuse(status::ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER);
    }
    if event.ledger != debit.ledger {
        return refuse(status::TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS);
    }
    if debit.is_closed() {
        return refuse(status::DEBIT_ACCOUNT_ALREADY_CLOSED);
    }
    if credit.is_closed() {
        return refuse(status::CREDIT_ACCOUNT_ALREADY_CLOSED);
    }
    Ok(())
}

/// How much a transfer moves: a balancing one at most what keeps the balance from crossing 0.
#[inline]
pub fn balanced_amount(event: &WireTransfer, debit: &Balances, credit: &Balances) -> u128 {
    let mut amount = event.amount;
    if event.flags & flag::BALANCING_DEBIT != 0 {
        let taken = u128::from(debit.debits_posted) + u128::from(debit.debits_pending);
        amount = amount.min(u128::from(debit.credits_posted).saturating_sub(taken));
    }
    if event.flags & flag::BALANCING_CREDIT != 0 {
        let taken = u128::from(credit.credits_posted) + u128::from(credit.credits_pending);
        amount = amount.min(u128::from(credit.debits_posted).saturating_sub(taken));
    }
    amount
}

/// Whether a reservation can still be resolved; `expires_at` 0 is never.
pub fn check_open(status: PendingStatus, expires_at: u64, timestamp: u64) -> Checked<()> {
    match status {
        PendingStatus::Posted => refuse(status::PENDING_TRANSFER_ALREADY_POSTED),
        PendingStatus::Voided => refuse(status::PENDING_TRANSFER_ALREADY_VOIDED),
        PendingStatus::Expired => refuse(status::PENDING_TRANSFER_EXPIRED),
        PendingStatus::Open if expires_at != 0 && expires_at <= timestamp => {
            refuse(status::PENDING_TRANSFER_EXPIRED)
        }
        PendingStatus::Open => Ok(()),
    }
}
