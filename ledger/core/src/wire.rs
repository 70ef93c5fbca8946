//! `TigerBeetle`'s 128-byte account and transfer, as they come in and go out.
//!
//! Little-endian, unsigned, without padding (`ledger/structures.py` holds the same layout).

/// Bytes of one event, and of one record of the log.
pub const RECORD_SIZE: usize = 128;
/// Bytes of one packed result: timestamp u64, status u32, reserved u32.
pub const RESULT_SIZE: usize = 16;
/// The largest amount that is moved (design decision 2).
pub const AMOUNT_MAX: u128 = (1 << 63) - 1;
/// "All there is": for post-pending and balancing transfers.
pub const AMOUNT_ALL: u128 = u128::MAX;

/// Bits of an account.
pub mod account_flags {
    /// Debits, pending ones included, stay within posted credits.
    pub const DEBITS_MUST_NOT_EXCEED_CREDITS: u16 = 1 << 1;
    /// The mirror.
    pub const CREDITS_MUST_NOT_EXCEED_DEBITS: u16 = 1 << 2;
    /// Refused as reserved.
    pub const HISTORY: u16 = 1 << 3;
    /// Refused as reserved.
    pub const IMPORTED: u16 = 1 << 4;
    /// Takes nothing but voids.
    pub const CLOSED: u16 = 1 << 5;
}

/// Bits of a transfer.
pub mod transfer_flags {
    /// Ends with the next event that does not carry it: all or nothing.
    pub const LINKED: u16 = 1 << 0;
    /// Reserves instead of moving.
    pub const PENDING: u16 = 1 << 1;
    /// Moves what a pending transfer reserved.
    pub const POST_PENDING: u16 = 1 << 2;
    /// Releases what a pending transfer reserved.
    pub const VOID_PENDING: u16 = 1 << 3;
    /// Moves at most what the debit account has.
    pub const BALANCING_DEBIT: u16 = 1 << 4;
    /// Moves at most what the credit account owes.
    pub const BALANCING_CREDIT: u16 = 1 << 5;
    /// Closes the debit account until voided.
    pub const CLOSING_DEBIT: u16 = 1 << 6;
    /// Closes the credit account until voided.
    pub const CLOSING_CREDIT: u16 = 1 << 7;
    /// Refused as reserved.
    pub const IMPORTED: u16 = 1 << 8;
}

/// An account event, or an account as read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireAccount {
    /// The caller's id.
    pub id: u128,
    /// Reserved debits.
    pub debits_pending: u128,
    /// Moved debits.
    pub debits_posted: u128,
    /// Reserved credits.
    pub credits_pending: u128,
    /// Moved credits.
    pub credits_posted: u128,
    /// The caller's own.
    pub user_data_128: u128,
    /// The caller's own.
    pub user_data_64: u64,
    /// The caller's own.
    pub user_data_32: u32,
    /// 0.
    pub reserved: u32,
    /// Which book the account belongs to.
    pub ledger: u32,
    /// What kind of account it is.
    pub code: u16,
    /// See `account_flags`.
    pub flags: u16,
    /// Nanoseconds UTC of the creation.
    pub timestamp: u64,
}

/// A transfer event, or a transfer as read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireTransfer {
    /// The caller's id: the idempotency key.
    pub id: u128,
    /// Whose money moves.
    pub debit_account_id: u128,
    /// Whither.
    pub credit_account_id: u128,
    /// Minor units.
    pub amount: u128,
    /// The pending transfer that this one resolves.
    pub pending_id: u128,
    /// The caller's own.
    pub user_data_128: u128,
    /// The caller's own.
    pub user_data_64: u64,
    /// The caller's own.
    pub user_data_32: u32,
    /// Seconds; only of pending transfers.
    pub timeout: u32,
    /// Which book.
    pub ledger: u32,
    /// The reason of the movement.
    pub code: u16,
    /// See `transfer_flags`.
    pub flags: u16,
    /// Nanoseconds UTC of the posting.
    pub timestamp: u64,
}

/// Read a little-endian u128 at `offset`.
#[inline]
pub fn u128_at(bytes: &[u8], offset: usize) -> u128 {
    u128::from_le_bytes(bytes[offset..offset + 16].try_into().expect("16 bytes"))
}

/// Read a little-endian u64 at `offset`.
#[inline]
pub fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("8 bytes"))
}

/// Read a little-endian u32 at `offset`.
#[inline]
pub fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("4 bytes"))
}

/// Read a little-endian u16 at `offset`.
#[inline]
pub fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(bytes[offset..offset + 2].try_into().expect("2 bytes"))
}

impl WireAccount {
    /// Read an account from its 128 bytes.
    pub fn unpack(bytes: &[u8; RECORD_SIZE]) -> Self {
        Self {
            id: u128_at(bytes, 0),
            debits_pending: u128_at(bytes, 16),
            debits_posted: u128_at(bytes, 32),
            credits_pending: u128_at(bytes, 48),
            credits_posted: u128_at(bytes, 64),
            user_data_128: u128_at(bytes, 80),
            user_data_64: u64_at(bytes, 96),
            user_data_32: u32_at(bytes, 104),
            reserved: u32_at(bytes, 108),
            ledger: u32_at(bytes, 112),
            code: u16_at(bytes, 116),
            flags: u16_at(bytes, 118),
            timestamp: u64_at(bytes, 120),
        }
    }

    /// Write the account as 128 bytes.
    pub fn pack(&self) -> [u8; RECORD_SIZE] {
        let mut bytes = [0u8; RECORD_SIZE];
        bytes[0..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.debits_pending.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.debits_posted.to_le_bytes());
        bytes[48..64].copy_from_slice(&self.credits_pending.to_le_bytes());
        bytes[64..80].copy_from_slice(&self.credits_posted.to_le_bytes());
        bytes[80..96].copy_from_slice(&self.user_data_128.to_le_bytes());
        bytes[96..104].copy_from_slice(&self.user_data_64.to_le_bytes());
        bytes[104..108].copy_from_slice(&self.user_data_32.to_le_bytes());
        bytes[108..112].copy_from_slice(&self.reserved.to_le_bytes());
        bytes[112..116].copy_from_slice(&self.ledger.to_le_bytes());
        bytes[116..118].copy_from_slice(&self.code.to_le_bytes());
        bytes[118..120].copy_from_slice(&self.flags.to_le_bytes());
        bytes[120..128].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes
    }
}

impl WireTransfer {
    /// Read a transfer from its 128 bytes.
    #[inline]
    pub fn unpack(bytes: &[u8; RECORD_SIZE]) -> Self {
        Self {
            id: u128_at(bytes, 0),
            debit_account_id: u128_at(bytes, 16),
            credit_account_id: u128_at(bytes, 32),
            amount: u128_at(bytes, 48),
            pending_id: u128_at(bytes, 64),
            user_data_128: u128_at(bytes, 80),
            user_data_64: u64_at(bytes, 96),
            user_data_32: u32_at(bytes, 104),
            timeout: u32_at(bytes, 108),
            ledger: u32_at(bytes, 112),
            code: u16_at(bytes, 116),
            flags: u16_at(bytes, 118),
            timestamp: u64_at(bytes, 120),
        }
    }

    /// Write the transfer as 128 bytes.
    pub fn pack(&self) -> [u8; RECORD_SIZE] {
        let mut bytes = [0u8; RECORD_SIZE];
        bytes[0..16].copy_from_slice(&self.id.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.debit_account_id.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.credit_account_id.to_le_bytes());
        bytes[48..64].copy_from_slice(&self.amount.to_le_bytes());
        bytes[64..80].copy_from_slice(&self.pending_id.to_le_bytes());
        bytes[80..96].copy_from_slice(&self.user_data_128.to_le_bytes());
        bytes[96..104].copy_from_slice(&self.user_data_64.to_le_bytes());
        bytes[104..108].copy_from_slice(&self.user_data_32.to_le_bytes());
        bytes[108..112].copy_from_slice(&self.timeout.to_le_bytes());
        bytes[112..116].copy_from_slice(&self.ledger.to_le_bytes());
        bytes[116..118].copy_from_slice(&self.code.to_le_bytes());
        bytes[118..120].copy_from_slice(&self.flags.to_le_bytes());
        bytes[120..128].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_unpack_and_pack() {
        let mut bytes = [0u8; RECORD_SIZE];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(at).expect("below 128") ^ 0xA5;
        }
        assert_eq!(WireAccount::unpack(&bytes).pack(), bytes);
        assert_eq!(WireTransfer::unpack(&bytes).pack(), bytes);
    }
}
