//! What a snapshot says at a moment between two segments, and the file that it goes to.
//!
//! Source: docs/reference/ledger-format.md, section 10.

use std::io;

use sha2::{Digest, Sha256};

use crate::absorb::Shadow;
use crate::accounts::Identity as AccountIdentity;
use crate::cold::Cold;
use crate::fault::Fault;
use crate::merkle::Frontier;
use crate::pages::Nonce;
use crate::sha::Hash;
use crate::snapshot::SnapshotPage;
use crate::storage::{Access, Storage, StoredFile};
use crate::wire::WireAccount;

/// The name of a half-made snapshot.
pub const SNAPSHOT_TEMPORARY: &str = "snapshot.tmp";
/// So many of them are kept.
pub const SNAPSHOTS_KEPT: usize = 3;
/// Bytes that wait before they are written.
const CHUNK: usize = 256 << 10;
/// Accounts that are asked for at once.
const ACCOUNTS_AT_ONCE: usize = 256;

/// Gives the id and the unchanging rest of accounts, by number less 1 and count.
pub type AccountsOf<'a> = &'a dyn Fn(usize, usize) -> Vec<(u128, AccountIdentity)>;

/// The state after a segment's last record.
pub struct Moment<'a> {
    /// Of the ledger.
    pub uuid: Nonce,
    /// The segment.
    pub segment: u64,
    /// Number of its last frame.
    pub frame: u64,
    /// Hash of that frame.
    pub chain_head: Hash,
    /// The Merkle tree.
    pub frontier: &'a Frontier,
    /// Balances and open reservations.
    pub shadow: &'a Shadow,
    /// Everything up to here is sealed.
    pub cold: &'a Cold,
    /// The rest of the accounts.
    pub accounts_of: AccountsOf<'a>,
}

impl Moment<'_> {
    /// Say it piece by piece, all but the digest at the end.
    pub fn write(&self, put: &mut dyn FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        let shadow = self.shadow;
        let page = SnapshotPage {
            uuid: self.uuid,
            segment: self.segment,
            sequence: shadow.last_sequence,
            timestamp: shadow.last_timestamp,
            frame: self.frame,
            accounts: shadow.balances.len() as u64,
            pendings: shadow.open.len() as u64,
            chain_head: self.chain_head,
            root: self.frontier.root(),
        };
        put(&page.pack())?;
        let mut sequences = Vec::with_capacity(8 * shadow.balances.len());
        for (run, balances) in shadow.balances.chunks(ACCOUNTS_AT_ONCE).enumerate() {
            let known = (self.accounts_of)(ACCOUNTS_AT_ONCE * run, balances.len());
            assert_eq!(known.len(), balances.len(), "accounts are never removed");
            for ((id, identity), balances) in known.iter().zip(balances) {
                sequences.extend_from_slice(&identity.sequence.to_le_bytes());
                put(&WireAccount::of(*id, balances, identity).pack())?;
            }
        }
        put(&sequences)?;
        let mut open: Vec<u64> = shadow.open.keys().copied().collect();
        open.sort_unstable();
        for sequence in open {
            put(&self.cold.segment_of(sequence).record_bytes(sequence, 1)?)?;
        }
        for root in self.frontier.roots() {
            put(root)?;
        }
        Ok(())
    }
}

/// Writes a snapshot piece by piece.
pub struct SnapshotWriter<'a> {
    storage: &'a dyn Storage,
    file: Box<dyn StoredFile>,
    waiting: Vec<u8>,
    offset: u64,
    hasher: Sha256,
}

impl<'a> SnapshotWriter<'a> {
    /// Start an empty one.
    pub fn new(storage: &'a dyn Storage) -> io::Result<Self> {
        storage.create(SNAPSHOT_TEMPORARY)?;
        Ok(Self {
            storage,
            file: storage.open(SNAPSHOT_TEMPORARY, Access::Write)?,
            waiting: Vec::with_capacity(2 * CHUNK),
            offset: 0,
            hasher: Sha256::new(),
        })
    }

    /// Append bytes.
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.waiting, self.offset)?;
        // Synced piece by piece, so that no commit waits behind the whole in the device's queue.
        self.file.sync()?;
        self.offset += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Close it with its digest and give it its name.
    pub fn finish(mut self, name: &str) -> io::Result<()> {
        let digest: Hash = self.hasher.clone().finalize().into();
        self.waiting.extend_from_slice(&digest);
        self.flush()?;
        drop(self.file);
        self.storage.rename(SNAPSHOT_TEMPORARY, name)?;
        self.storage.sync_directory()
    }
}
