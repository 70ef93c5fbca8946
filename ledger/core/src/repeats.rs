//! What a transfer with an id that is taken is told: the very same, or what differs first.
//!
//! Source: ledger.md 1.2, rule 3; flags are compared first because they change the meaning of the rest.

use crate::fault::Fault;
use crate::record::{Kind, Record};
use crate::state::{History, State};
use crate::status::transfer as status;
use crate::wire::{transfer_flags as flag, WireTransfer, AMOUNT_ALL};

/// Give the status of an event whose id is that of `original`.
pub fn compare(
    state: &State,
    event: &WireTransfer,
    original: &Record,
    history: &impl History,
) -> Result<u32, Fault> {
    if original.kind == Kind::Refusal {
        return Ok(status::ID_ALREADY_FAILED);
    }
    let resolves = matches!(original.kind, Kind::Post | Kind::Void);
    let pending = if resolves {
        Some(history.record(original.pending_sequence)?)
    } else {
        None
    };
    let pending_id = pending.map_or(0, |record| record.id);
    let difference = if event.flags != original.flags {
        Some(status::EXISTS_WITH_DIFFERENT_FLAGS)
    } else if event.pending_id != pending_id {
        Some(status::EXISTS_WITH_DIFFERENT_PENDING_ID)
    } else if event.timeout != original.timeout {
        Some(status::EXISTS_WITH_DIFFERENT_TIMEOUT)
    } else {
        let accounts = [
            state.accounts.id(original.debit),
            state.accounts.id(original.credit),
        ];
        match pending {
            Some(pending) => compare_resolution(event, original, &pending, accounts),
            None => compare_transfer(event, original, accounts),
        }
    };
    Ok(difference.unwrap_or(status::EXISTS))
}

fn compare_transfer(event: &WireTransfer, original: &Record, accounts: [u128; 2]) -> Option<u32> {
    let moved = u128::from(original.amount);
    let balancing = event.flags & (flag::BALANCING_DEBIT | flag::BALANCING_CREDIT) != 0;
    // A balancing amount is an upper bound: what was moved once does not change.
    let amount_differs = if balancing {
        event.amount < moved
    } else {
        event.amount != moved
    };
    first_difference([
        (
            event.debit_account_id != accounts[0],
            status::EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID,
        ),
        (
            event.credit_account_id != accounts[1],
            status::EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID,
        ),
        (amount_differs, status::EXISTS_WITH_DIFFERENT_AMOUNT),
        (
            event.user_data_128 != original.user_data_128,
            status::EXISTS_WITH_DIFFERENT_USER_DATA_128,
        ),
        (
            event.user_data_64 != original.user_data_64,
            status::EXISTS_WITH_DIFFERENT_USER_DATA_64,
        ),
        (
            event.user_data_32 != original.user_data_32,
            status::EXISTS_WITH_DIFFERENT_USER_DATA_32,
        ),
        (
            event.ledger != original.ledger,
            status::EXISTS_WITH_DIFFERENT_LEDGER,
        ),
        (
            event.code != original.code,
            status::EXISTS_WITH_DIFFERENT_CODE,
        ),
    ])
}

/// 0 (and "all" for the amount of a post) means: as the pending transfer.
fn compare_resolution(
    event: &WireTransfer,
    original: &Record,
    pending: &Record,
    accounts: [u128; 2],
) -> Option<u32> {
    let inherited = if original.kind == Kind::Post {
        AMOUNT_ALL
    } else {
        0
    };
    let asked = if event.amount == inherited {
        u128::from(pending.amount)
    } else {
        event.amount
    };
    let differs = |given: u128, stored: u128| given != 0 && given != stored;
    let data_differs = |given: u128, stored: u128, inherited: u128| {
        stored != if given == 0 { inherited } else { given }
    };
    first_difference([
        (
            differs(event.debit_account_id, accounts[0]),
            status::EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID,
        ),
        (
            differs(event.credit_account_id, accounts[1]),
            status::EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID,
        ),
        (
            asked != u128::from(original.amount),
            status::EXISTS_WITH_DIFFERENT_AMOUNT,
        ),
        (
            data_differs(
                event.user_data_128,
                original.user_data_128,
                pending.user_data_128,
            ),
            status::EXISTS_WITH_DIFFERENT_USER_DATA_128,
        ),
        (
            data_differs(
                event.user_data_64.into(),
                original.user_data_64.into(),
                pending.user_data_64.into(),
            ),
            status::EXISTS_WITH_DIFFERENT_USER_DATA_64,
        ),
        (
            data_differs(
                event.user_data_32.into(),
                original.user_data_32.into(),
                pending.user_data_32.into(),
            ),
            status::EXISTS_WITH_DIFFERENT_USER_DATA_32,
        ),
        (
            differs(event.ledger.into(), original.ledger.into()),
            status::EXISTS_WITH_DIFFERENT_LEDGER,
        ),
        (
            differs(event.code.into(), original.code.into()),
            status::EXISTS_WITH_DIFFERENT_CODE,
        ),
    ])
}

fn first_difference(checks: [(bool, u32); 8]) -> Option<u32> {
    checks
        .into_iter()
        .find_map(|(differs, status)| differs.then_some(status))
}
