//! Snapshots: what is hot after a segment's last record, so that opening need not read what is cold.
//!
//! Source: docs/reference/ledger-format.md, section 10.

use crate::accounts::{Balances, Identity as AccountIdentity};
use crate::merkle::Frontier;
use crate::pages::Nonce;
use crate::record::{Kind, Record};
use crate::sha::Hash;
use crate::state::expiry;
use crate::wire::{u32_at, u64_at, WireAccount, AMOUNT_MAX, RECORD_SIZE};

const MAGIC: [u8; 6] = *b"LMBSNP";
const VERSION: u16 = 1;
const HEADER: usize = 144;
/// Bytes of an account: its layout, and the sequence of its record.
const ACCOUNT: usize = RECORD_SIZE + 8;

/// The fixed part of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPage {
    /// Of the ledger.
    pub uuid: Nonce,
    /// The sealed segment after whose last record this is.
    pub segment: u64,
    /// Of that record.
    pub sequence: u64,
    /// Of that record.
    pub timestamp: u64,
    /// Number of the last frame.
    pub frame: u64,
    /// How many accounts there are.
    pub accounts: u64,
    /// How many reservations are open.
    pub pendings: u64,
    /// Hash of the last frame.
    pub chain_head: Hash,
    /// The Merkle root.
    pub root: Hash,
}

/// An account as a snapshot says it.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotAccount {
    /// The caller's id.
    pub id: u128,
    /// What it has.
    pub balances: Balances,
    /// The rest of it.
    pub identity: AccountIdentity,
}

/// A snapshot that was read, sound in itself.
pub struct Snapshot {
    /// The fixed part.
    pub page: SnapshotPage,
    /// In order of their numbers.
    pub accounts: Vec<SnapshotAccount>,
    /// Open reservations, by sequence.
    pub pendings: Vec<Record>,
    /// The Merkle tree.
    pub frontier: Frontier,
}

impl SnapshotPage {
    /// Write the fixed part.
    pub fn pack(&self) -> [u8; HEADER] {
        let mut page = [0u8; HEADER];
        page[..6].copy_from_slice(&MAGIC);
        page[6..8].copy_from_slice(&VERSION.to_le_bytes());
        page[8..24].copy_from_slice(&self.uuid);
        let numbers = [
            self.segment,
            self.sequence,
            self.timestamp,
            self.frame,
            self.accounts,
            self.pendings,
        ];
        for (place, number) in numbers.iter().enumerate() {
            page[24 + 8 * place..32 + 8 * place].copy_from_slice(&number.to_le_bytes());
        }
        page[72..76].copy_from_slice(&self.sequence.count_ones().to_le_bytes());
        page[80..112].copy_from_slice(&self.chain_head);
        page[112..144].copy_from_slice(&self.root);
        page
    }

    /// Read the fixed part, and see that so many bytes are what it says follows.
    fn unpack(bytes: &[u8]) -> Option<Self> {
        let page = bytes.get(..HEADER)?;
        if page[..6] != MAGIC || page[6..8] != VERSION.to_le_bytes() || u32_at(page, 76) != 0 {
            return None;
        }
        let found = Self {
            uuid: page[8..24].try_into().expect("16 bytes"),
            segment: u64_at(page, 24),
            sequence: u64_at(page, 32),
            timestamp: u64_at(page, 40),
            frame: u64_at(page, 48),
            accounts: u64_at(page, 56),
            pendings: u64_at(page, 64),
            chain_head: page[80..112].try_into().expect("32 bytes"),
            root: page[112..144].try_into().expect("32 bytes"),
        };
        let roots = found.sequence.count_ones();
        let length = (ACCOUNT as u64)
            .checked_mul(found.accounts)?
            .checked_add((RECORD_SIZE as u64).checked_mul(found.pendings)?)?
            .checked_add(HEADER as u64 + 32 * u64::from(roots) + 32)?;
        (u32_at(page, 72) == roots && length == bytes.len() as u64).then_some(found)
    }
}

impl Snapshot {
    /// Read a snapshot; `None` when anything about it is wrong.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        let page = SnapshotPage::unpack(bytes)?;
        let (content, digest) = bytes.split_at(bytes.len() - 32);
        if digest != crate::sha::sha256(content) {
            return None;
        }
        let count = usize::try_from(page.accounts).ok()?;
        let (accounts, rest) = content[HEADER..].split_at(RECORD_SIZE * count);
        let (sequences, rest) = rest.split_at(8 * count);
        let (pendings, roots) = rest.split_at(RECORD_SIZE * usize::try_from(page.pendings).ok()?);
        let roots = roots.chunks_exact(32);
        let roots = roots
            .map(|root| root.try_into().expect("32 bytes"))
            .collect();
        let frontier = Frontier::from_parts(page.sequence, roots)?;
        if frontier.root() != page.root {
            return None;
        }
        let found = Self {
            page,
            accounts: unpack_accounts(accounts, sequences, page.sequence)?,
            pendings: unpack_pendings(pendings, &page)?,
            frontier,
        };
        Some(found)
    }
}

fn unpack_accounts(packed: &[u8], sequences: &[u8], last: u64) -> Option<Vec<SnapshotAccount>> {
    let (packed, _) = packed.as_chunks::<RECORD_SIZE>();
    let mut before = 0;
    let mut accounts = Vec::with_capacity(packed.len());
    for (packed, sequence) in packed.iter().zip(sequences.chunks_exact(8)) {
        let wire = WireAccount::unpack(packed);
        let sequence = u64_at(sequence, 0);
        if sequence <= before || sequence > last || wire.reserved != 0 {
            return None;
        }
        before = sequence;
        let sum = |sum: u128| u64::try_from(sum).ok().filter(|_| sum <= AMOUNT_MAX);
        accounts.push(SnapshotAccount {
            id: wire.id,
            balances: Balances {
                debits_pending: sum(wire.debits_pending)?,
                debits_posted: sum(wire.debits_posted)?,
                credits_pending: sum(wire.credits_pending)?,
                credits_posted: sum(wire.credits_posted)?,
                ledger: wire.ledger,
                code: wire.code,
                flags: wire.flags,
            },
            identity: AccountIdentity {
                user_data_128: wire.user_data_128,
                user_data_64: wire.user_data_64,
                user_data_32: wire.user_data_32,
                timestamp: wire.timestamp,
                sequence,
            },
        });
    }
    Some(accounts)
}

fn unpack_pendings(packed: &[u8], page: &SnapshotPage) -> Option<Vec<Record>> {
    let (packed, _) = packed.as_chunks::<RECORD_SIZE>();
    let mut before = 0;
    let mut pendings = Vec::with_capacity(packed.len());
    for packed in packed {
        let record = Record::check(packed).ok()?;
        let known = 1..=page.accounts;
        let is_sound = record.kind == Kind::Pending
            && record.sequence > before
            && record.sequence <= page.sequence
            && known.contains(&record.debit.into())
            && known.contains(&record.credit.into())
            && record.debit != record.credit
            && expiry(record.timestamp, record.timeout).is_some();
        if !is_sound {
            return None;
        }
        before = record.sequence;
        pendings.push(record);
    }
    Some(pendings)
}
