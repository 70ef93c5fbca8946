//! Texts of an answer that are functions of a record: the twins of `switch.approval` and
//! `programme.slip_code`.

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Digits and capitals without I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What the ledger says of a posted transfer.
pub struct Record {
    pub sequence: u64,
    pub transfer_id: u128,
    pub timestamp: u64,
    pub amount: u128,
    pub debit_balance_after: i64,
    pub credit_balance_after: i64,
}

/// Give DE38 of a posted transfer: the first 30 bits of its id in base 32.
pub fn approval_code(transfer_id: u128) -> String {
    let letter = |place: u32| {
        let bits = (transfer_id >> (128 - 5 * (place + 1))) & 0x1F;
        char::from(ALPHABET[usize::try_from(bits).expect("five bits")])
    };
    (0..6).map(letter).collect()
}

/// Give the code on a slip that ties it to its record.
pub fn slip_code(record: &Record) -> String {
    let text = format!(
        "lumbung/slip/1\x1f{}\x1f{:032x}\x1f{}\x1f{}\x1f{}\x1f{}",
        record.sequence,
        record.transfer_id,
        record.timestamp,
        record.amount,
        record.debit_balance_after,
        record.credit_balance_after
    );
    let digest = Sha256::digest(text.as_bytes());
    let mut code = String::with_capacity(14);
    for (place, byte) in digest[..6].iter().enumerate() {
        if place == 2 || place == 4 {
            code.push('-');
        }
        write!(code, "{byte:02X}").expect("a string takes what is written");
    }
    code
}
