//! `TigerBeetle`'s status numbers (`ledger/statuses.py` documents them) as the engine names them.

/// The answer to one account event, where it differs from that to a transfer.
pub mod account {
    /// The server sets the time.
    pub const TIMESTAMP_MUST_BE_ZERO: u32 = 3;
    /// A reserved field is not 0.
    pub const RESERVED_FIELD: u32 = 4;
    /// A reserved flag is set.
    pub const RESERVED_FLAG: u32 = 5;
    /// Id 0.
    pub const ID_MUST_NOT_BE_ZERO: u32 = 6;
    /// Id 2^128-1.
    pub const ID_MUST_NOT_BE_INT_MAX: u32 = 7;
    /// Two flags exclude each other.
    pub const FLAGS_ARE_MUTUALLY_EXCLUSIVE: u32 = 8;
    /// A balance is not 0.
    pub const DEBITS_PENDING_MUST_BE_ZERO: u32 = 9;
    /// A balance is not 0.
    pub const DEBITS_POSTED_MUST_BE_ZERO: u32 = 10;
    /// A balance is not 0.
    pub const CREDITS_PENDING_MUST_BE_ZERO: u32 = 11;
    /// A balance is not 0.
    pub const CREDITS_POSTED_MUST_BE_ZERO: u32 = 12;
    /// Ledger 0.
    pub const LEDGER_MUST_NOT_BE_ZERO: u32 = 13;
    /// Code 0.
    pub const CODE_MUST_NOT_BE_ZERO: u32 = 14;
    /// The id is taken by another account.
    pub const EXISTS_WITH_DIFFERENT_FLAGS: u32 = 15;
    /// The id is taken by another account.
    pub const EXISTS_WITH_DIFFERENT_USER_DATA_128: u32 = 16;
    /// The id is taken by another account.
    pub const EXISTS_WITH_DIFFERENT_USER_DATA_64: u32 = 17;
    /// The id is taken by another account.
    pub const EXISTS_WITH_DIFFERENT_USER_DATA_32: u32 = 18;
    /// The id is taken by another account.
    pub const EXISTS_WITH_DIFFERENT_LEDGER: u32 = 19;
    /// The id is taken by another account.
    pub const EXISTS_WITH_DIFFERENT_CODE: u32 = 20;
    /// The very same account was created before.
    pub const EXISTS: u32 = 21;
}

/// The answer to one transfer event.
pub mod transfer {
    /// The event took effect.
    pub const CREATED: u32 = u32::MAX;
    /// Another event of its chain was refused.
    pub const LINKED_EVENT_FAILED: u32 = 1;
    /// The last event of a request still carries `linked`.
    pub const LINKED_EVENT_CHAIN_OPEN: u32 = 2;
    /// The server sets the time.
    pub const TIMESTAMP_MUST_BE_ZERO: u32 = 3;
    /// A reserved flag is set.
    pub const RESERVED_FLAG: u32 = 4;
    /// Id 0.
    pub const ID_MUST_NOT_BE_ZERO: u32 = 5;
    /// Id 2^128-1.
    pub const ID_MUST_NOT_BE_INT_MAX: u32 = 6;
    /// Two flags exclude each other.
    pub const FLAGS_ARE_MUTUALLY_EXCLUSIVE: u32 = 7;
    /// Account id 0.
    pub const DEBIT_ACCOUNT_ID_MUST_NOT_BE_ZERO: u32 = 8;
    /// Account id 2^128-1.
    pub const DEBIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX: u32 = 9;
    /// Account id 0.
    pub const CREDIT_ACCOUNT_ID_MUST_NOT_BE_ZERO: u32 = 10;
    /// Account id 2^128-1.
    pub const CREDIT_ACCOUNT_ID_MUST_NOT_BE_INT_MAX: u32 = 11;
    /// Both sides are one account.
    pub const ACCOUNTS_MUST_BE_DIFFERENT: u32 = 12;
    /// Only post and void name a pending transfer.
    pub const PENDING_ID_MUST_BE_ZERO: u32 = 13;
    /// Post and void name a pending transfer.
    pub const PENDING_ID_MUST_NOT_BE_ZERO: u32 = 14;
    /// Pending id 2^128-1.
    pub const PENDING_ID_MUST_NOT_BE_INT_MAX: u32 = 15;
    /// A transfer cannot resolve itself.
    pub const PENDING_ID_MUST_BE_DIFFERENT: u32 = 16;
    /// Only pending transfers time out.
    pub const TIMEOUT_RESERVED_FOR_PENDING_TRANSFER: u32 = 17;
    /// Ledger 0.
    pub const LEDGER_MUST_NOT_BE_ZERO: u32 = 19;
    /// Code 0.
    pub const CODE_MUST_NOT_BE_ZERO: u32 = 20;
    /// Transient.
    pub const DEBIT_ACCOUNT_NOT_FOUND: u32 = 21;
    /// Transient.
    pub const CREDIT_ACCOUNT_NOT_FOUND: u32 = 22;
    /// The accounts are of two books.
    pub const ACCOUNTS_MUST_HAVE_THE_SAME_LEDGER: u32 = 23;
    /// The transfer names another book.
    pub const TRANSFER_MUST_HAVE_THE_SAME_LEDGER_AS_ACCOUNTS: u32 = 24;
    /// Transient.
    pub const PENDING_TRANSFER_NOT_FOUND: u32 = 25;
    /// The named transfer was not pending.
    pub const PENDING_TRANSFER_NOT_PENDING: u32 = 26;
    /// Differs from the pending transfer.
    pub const PENDING_TRANSFER_HAS_DIFFERENT_DEBIT_ACCOUNT_ID: u32 = 27;
    /// Differs from the pending transfer.
    pub const PENDING_TRANSFER_HAS_DIFFERENT_CREDIT_ACCOUNT_ID: u32 = 28;
    /// Differs from the pending transfer.
    pub const PENDING_TRANSFER_HAS_DIFFERENT_LEDGER: u32 = 29;
    /// Differs from the pending transfer.
    pub const PENDING_TRANSFER_HAS_DIFFERENT_CODE: u32 = 30;
    /// More than was reserved.
    pub const EXCEEDS_PENDING_TRANSFER_AMOUNT: u32 = 31;
    /// A void releases the whole amount.
    pub const PENDING_TRANSFER_HAS_DIFFERENT_AMOUNT: u32 = 32;
    /// Resolved before.
    pub const PENDING_TRANSFER_ALREADY_POSTED: u32 = 33;
    /// Resolved before.
    pub const PENDING_TRANSFER_ALREADY_VOIDED: u32 = 34;
    /// Resolved before.
    pub const PENDING_TRANSFER_EXPIRED: u32 = 35;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_FLAGS: u32 = 36;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_DEBIT_ACCOUNT_ID: u32 = 37;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_CREDIT_ACCOUNT_ID: u32 = 38;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_AMOUNT: u32 = 39;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_PENDING_ID: u32 = 40;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_USER_DATA_128: u32 = 41;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_USER_DATA_64: u32 = 42;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_USER_DATA_32: u32 = 43;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_TIMEOUT: u32 = 44;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_CODE: u32 = 45;
    /// The very same transfer was posted before.
    pub const EXISTS: u32 = 46;
    /// A sum leaves the range.
    pub const OVERFLOWS_DEBITS_PENDING: u32 = 47;
    /// A sum leaves the range.
    pub const OVERFLOWS_CREDITS_PENDING: u32 = 48;
    /// A sum leaves the range.
    pub const OVERFLOWS_DEBITS_POSTED: u32 = 49;
    /// A sum leaves the range.
    pub const OVERFLOWS_CREDITS_POSTED: u32 = 50;
    /// A sum leaves the range.
    pub const OVERFLOWS_DEBITS: u32 = 51;
    /// A sum leaves the range.
    pub const OVERFLOWS_CREDITS: u32 = 52;
    /// The expiry leaves the range.
    pub const OVERFLOWS_TIMEOUT: u32 = 53;
    /// Transient: the debit account has not got it.
    pub const EXCEEDS_CREDITS: u32 = 54;
    /// Transient: the credit account does not owe it.
    pub const EXCEEDS_DEBITS: u32 = 55;
    /// Closing is undone by a void, so it must be pending.
    pub const CLOSING_TRANSFER_MUST_BE_PENDING: u32 = 64;
    /// Transient.
    pub const DEBIT_ACCOUNT_ALREADY_CLOSED: u32 = 65;
    /// Transient.
    pub const CREDIT_ACCOUNT_ALREADY_CLOSED: u32 = 66;
    /// The id is taken by another transfer.
    pub const EXISTS_WITH_DIFFERENT_LEDGER: u32 = 67;
    /// The id was burnt by a transient refusal.
    pub const ID_ALREADY_FAILED: u32 = 68;

    /// Whether the refusal depends on the state of the ledger: it is recorded and burns the id.
    #[inline]
    pub fn is_transient(status: u32) -> bool {
        matches!(
            status,
            DEBIT_ACCOUNT_NOT_FOUND
                | CREDIT_ACCOUNT_NOT_FOUND
                | PENDING_TRANSFER_NOT_FOUND
                | EXCEEDS_CREDITS
                | EXCEEDS_DEBITS
                | DEBIT_ACCOUNT_ALREADY_CLOSED
                | CREDIT_ACCOUNT_ALREADY_CLOSED
        )
    }
}
