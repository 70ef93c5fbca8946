//! One record of the log: 128 bytes, of which the first 118 are hashed.
//!
//! Source: docs/reference/ledger-format.md, section 2.

use crate::status::transfer as status;
use crate::wire::{u128_at, u16_at, u32_at, u64_at, AMOUNT_ALL, RECORD_SIZE};

/// Bytes that the Merkle leaf covers.
pub const BODY_SIZE: usize = 118;
const SPARE_AT: usize = 114;
const CRC_AT: usize = 118;
const TAIL_AT: usize = 122;
const _: () = assert!(CRC_AT == BODY_SIZE && TAIL_AT + 6 == RECORD_SIZE);

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// An account was created.
    Account = 1,
    /// Money moved.
    Transfer = 2,
    /// Money was reserved.
    Pending = 3,
    /// A reservation was used.
    Post = 4,
    /// A reservation was released.
    Void = 5,
    /// A reservation ran out.
    Expire = 6,
    /// A transfer was refused for a transient reason; its id is burnt.
    Refusal = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Account,
            2 => Self::Transfer,
            3 => Self::Pending,
            4 => Self::Post,
            5 => Self::Void,
            6 => Self::Expire,
            7 => Self::Refusal,
            _ => return None,
        })
    }
}

/// A record, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// 1, 2, 3 ... over the whole ledger.
    pub sequence: u64,
    /// Nanoseconds UTC, strictly increasing.
    pub timestamp: u64,
    /// Of the account or transfer; 0 in an expiry.
    pub id: u128,
    /// Dense account number, 0 = none.
    pub debit: u32,
    /// Dense account number, 0 = none.
    pub credit: u32,
    /// Minor units.
    pub amount: u64,
    /// The record of the pending transfer that this one resolves.
    pub pending_sequence: u64,
    /// The caller's own.
    pub user_data_128: u128,
    /// The caller's own.
    pub user_data_64: u64,
    /// The caller's own.
    pub user_data_32: u32,
    /// Seconds.
    pub timeout: u32,
    /// Which book.
    pub ledger: u32,
    /// Kind of account or reason of transfer.
    pub code: u16,
    /// As the caller gave them.
    pub flags: u16,
    /// What the record says.
    pub kind: Kind,
    /// The status of a refusal, else 0.
    pub status: u8,
    /// Posted credits minus posted debits of the debit account after this record; together with
    /// the next field the unknown id of a refusal that names one.
    pub debit_balance_after: i64,
    /// The same of the credit account.
    pub credit_balance_after: i64,
}

impl Record {
    /// Whether the balance fields hold an unknown id instead.
    pub fn names_unknown_id(&self) -> bool {
        self.kind == Kind::Refusal
            && matches!(
                u32::from(self.status),
                status::DEBIT_ACCOUNT_NOT_FOUND
                    | status::CREDIT_ACCOUNT_NOT_FOUND
                    | status::PENDING_TRANSFER_NOT_FOUND
            )
    }

    /// The unknown id of a refusal that names one.
    pub fn unknown_id(&self) -> Option<u128> {
        self.names_unknown_id().then(|| {
            u128::from(self.debit_balance_after.cast_unsigned())
                | u128::from(self.credit_balance_after.cast_unsigned()) << 64
        })
    }

    /// Put the unknown id where the balances would stand.
    pub fn set_unknown_id(&mut self, id: u128) {
        // Truncation is the point: the two halves.
        #[allow(clippy::cast_possible_truncation)]
        let (low, high) = (id as u64, (id >> 64) as u64);
        self.debit_balance_after = low.cast_signed();
        self.credit_balance_after = high.cast_signed();
    }

    /// The amount as the caller reads it: a saturated one was "all" or beyond every sum.
    pub fn wire_amount(&self) -> u128 {
        if self.amount == u64::MAX {
            AMOUNT_ALL
        } else {
            u128::from(self.amount)
        }
    }

    /// Write the 128 bytes.
    #[inline]
    pub fn encode(&self, bytes: &mut [u8; RECORD_SIZE]) {
        bytes[0..8].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.id.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.debit.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.credit.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.amount.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.pending_sequence.to_le_bytes());
        bytes[56..72].copy_from_slice(&self.user_data_128.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.user_data_64.to_le_bytes());
        bytes[80..84].copy_from_slice(&self.user_data_32.to_le_bytes());
        bytes[84..88].copy_from_slice(&self.timeout.to_le_bytes());
        bytes[88..92].copy_from_slice(&self.ledger.to_le_bytes());
        bytes[92..94].copy_from_slice(&self.code.to_le_bytes());
        bytes[94..96].copy_from_slice(&self.flags.to_le_bytes());
        bytes[96] = self.kind as u8;
        bytes[97] = self.status;
        bytes[98..106].copy_from_slice(&self.debit_balance_after.to_le_bytes());
        bytes[106..114].copy_from_slice(&self.credit_balance_after.to_le_bytes());
        bytes[SPARE_AT..CRC_AT].fill(0);
        let crc = crc32fast::hash(&bytes[..BODY_SIZE]);
        bytes[CRC_AT..TAIL_AT].copy_from_slice(&crc.to_le_bytes());
        bytes[TAIL_AT..].fill(0);
    }

    /// Read 128 bytes whose checksum is known to be good; `None` when no record looks like that.
    #[inline]
    pub fn decode(bytes: &[u8; RECORD_SIZE]) -> Option<Self> {
        Some(Self {
            sequence: u64_at(bytes, 0),
            timestamp: u64_at(bytes, 8),
            id: u128_at(bytes, 16),
            debit: u32_at(bytes, 32),
            credit: u32_at(bytes, 36),
            amount: u64_at(bytes, 40),
            pending_sequence: u64_at(bytes, 48),
            user_data_128: u128_at(bytes, 56),
            user_data_64: u64_at(bytes, 72),
            user_data_32: u32_at(bytes, 80),
            timeout: u32_at(bytes, 84),
            ledger: u32_at(bytes, 88),
            code: u16_at(bytes, 92),
            flags: u16_at(bytes, 94),
            kind: Kind::from_byte(bytes[96])?,
            status: bytes[97],
            debit_balance_after: u64_at(bytes, 98).cast_signed(),
            credit_balance_after: u64_at(bytes, 106).cast_signed(),
        })
    }

    /// Read 128 bytes, checking checksum and zero bytes; the error says what is wrong.
    pub fn check(bytes: &[u8; RECORD_SIZE]) -> Result<Self, &'static str> {
        if u32_at(bytes, CRC_AT) != crc32fast::hash(&bytes[..BODY_SIZE]) {
            return Err("a record's checksum is wrong");
        }
        if bytes[SPARE_AT..CRC_AT]
            .iter()
            .chain(&bytes[TAIL_AT..])
            .any(|byte| *byte != 0)
        {
            return Err("a record's spare bytes are not zero");
        }
        Self::decode(bytes).ok_or("a record is of an unknown kind")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record {
            sequence: 7,
            timestamp: 1_767_574_800_000_000_000,
            id: u128::MAX / 3,
            debit: 3,
            credit: 9,
            amount: 1_500_000,
            pending_sequence: 5,
            user_data_128: 11 << 70,
            user_data_64: 12,
            user_data_32: 13,
            timeout: 14,
            ledger: 15,
            code: 16,
            flags: 17,
            kind: Kind::Refusal,
            status: 21,
            debit_balance_after: -2,
            credit_balance_after: 8,
        }
    }

    #[test]
    fn a_record_survives_its_bytes_and_every_flipped_bit_is_noticed() {
        let mut bytes = [0xFFu8; RECORD_SIZE];
        sample().encode(&mut bytes);
        assert_eq!(Record::check(&bytes), Ok(sample()));
        for bit in 0..RECORD_SIZE * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::check(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn an_unknown_id_stands_where_the_balances_stood() {
        let mut record = sample();
        record.set_unknown_id(0x1234 << 64 | 0xABCD);
        assert_eq!(record.unknown_id(), Some(0x1234 << 64 | 0xABCD));
        record.status = 54;
        assert_eq!(record.unknown_id(), None);
    }
}
