//! Which record an account event makes, or why it is refused: checks in order of precedence.

use crate::accounts::{Accounts, Balances, Identity};
use crate::record::{Kind, Record};
use crate::state::State;
use crate::status::account as status;
use crate::transfers::Decision;
use crate::wire::{account_flags as flag, WireAccount};

impl State {
    /// Decide about one account event that would take effect at `timestamp`.
    pub fn decide_account(&self, event: &WireAccount, timestamp: u64) -> Decision {
        if let Some(status) = check_form(event) {
            return Decision::Answer {
                timestamp: 0,
                status,
            };
        }
        if let Some(number) = self.accounts.number(event.id) {
            let (timestamp, status) = compare(event, &self.accounts, number);
            return Decision::Answer { timestamp, status };
        }
        if let Some(status) = check_fields(event) {
            return Decision::Answer {
                timestamp: 0,
                status,
            };
        }
        let known = self.accounts.last();
        Decision::Take(Record {
            sequence: self.last_sequence + 1,
            timestamp,
            id: event.id,
            debit: known + 1,
            credit: 0,
            amount: 0,
            pending_sequence: 0,
            user_data_128: event.user_data_128,
            user_data_64: event.user_data_64,
            user_data_32: event.user_data_32,
            timeout: 0,
            ledger: event.ledger,
            code: event.code,
            flags: event.flags,
            kind: Kind::Account,
            status: 0,
            debit_balance_after: 0,
            credit_balance_after: 0,
        })
    }
}

fn check_form(event: &WireAccount) -> Option<u32> {
    const KNOWN: u16 = (flag::CLOSED << 1) - 1;
    if event.timestamp != 0 {
        Some(status::TIMESTAMP_MUST_BE_ZERO)
    } else if event.reserved != 0 {
        Some(status::RESERVED_FIELD)
    } else if event.flags & (flag::HISTORY | flag::IMPORTED | !KNOWN) != 0 {
        Some(status::RESERVED_FLAG)
    } else if event.id == 0 {
        Some(status::ID_MUST_NOT_BE_ZERO)
    } else if event.id == u128::MAX {
        Some(status::ID_MUST_NOT_BE_INT_MAX)
    } else {
        None
    }
}

fn check_fields(event: &WireAccount) -> Option<u32> {
    let limits = flag::DEBITS_MUST_NOT_EXCEED_CREDITS | flag::CREDITS_MUST_NOT_EXCEED_DEBITS;
    let checks = [
        (
            event.flags & limits == limits,
            status::FLAGS_ARE_MUTUALLY_EXCLUSIVE,
        ),
        (
            event.debits_pending != 0,
            status::DEBITS_PENDING_MUST_BE_ZERO,
        ),
        (event.debits_posted != 0, status::DEBITS_POSTED_MUST_BE_ZERO),
        (
            event.credits_pending != 0,
            status::CREDITS_PENDING_MUST_BE_ZERO,
        ),
        (
            event.credits_posted != 0,
            status::CREDITS_POSTED_MUST_BE_ZERO,
        ),
        (event.ledger == 0, status::LEDGER_MUST_NOT_BE_ZERO),
        (event.code == 0, status::CODE_MUST_NOT_BE_ZERO),
    ];
    checks
        .into_iter()
        .find_map(|(wrong, status)| wrong.then_some(status))
}

fn compare(event: &WireAccount, accounts: &Accounts, number: u32) -> (u64, u32) {
    let (balances, identity): (&Balances, &Identity) =
        (accounts.balances(number), accounts.identity(number));
    let checks = [
        (
            event.flags != balances.flags,
            status::EXISTS_WITH_DIFFERENT_FLAGS,
        ),
        (
            event.user_data_128 != identity.user_data_128,
            status::EXISTS_WITH_DIFFERENT_USER_DATA_128,
        ),
        (
            event.user_data_64 != identity.user_data_64,
            status::EXISTS_WITH_DIFFERENT_USER_DATA_64,
        ),
        (
            event.user_data_32 != identity.user_data_32,
            status::EXISTS_WITH_DIFFERENT_USER_DATA_32,
        ),
        (
            event.ledger != balances.ledger,
            status::EXISTS_WITH_DIFFERENT_LEDGER,
        ),
        (
            event.code != balances.code,
            status::EXISTS_WITH_DIFFERENT_CODE,
        ),
    ];
    match checks
        .into_iter()
        .find_map(|(differs, status)| differs.then_some(status))
    {
        Some(status) => (0, status),
        None => (identity.timestamp, status::EXISTS),
    }
}
