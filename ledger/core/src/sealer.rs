//! Sealing closed segments, in order, beside the commits.
//!
//! The sealer walks through the log once more with books of its own, so a snapshot needs nothing
//! of the running state, and every record is checked a second time before its raw segment goes.
//! Source: docs/reference/ledger-format.md, sections 9 and 10.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::absorb::Shadow;
use crate::cold::Cold;
use crate::fault::{Fault, FaultKind};
use crate::limits::{SEAL_CHUNK_BYTES, SEAL_PAUSE_US};
use crate::pages::{segment_name, BLOCK, BLOCK_U64};
use crate::scan::{Found, Position, Scan};
use crate::seal_page::SealPage;
use crate::sealed::SealedSegment;
use crate::sealing::{checksum_bytes, BlockSink, Sealing};
use crate::segments::{list, sealed_name, snapshot_name};
use crate::snapshot_writer::{AccountsOf, Moment, SnapshotWriter, SNAPSHOTS_KEPT};
use crate::storage::{path_of, read_fully, Access, Shared, StoredFile};

/// The name of a half-made sealed segment.
pub const SEAL_TEMPORARY: &str = "seal.tmp";
/// Whether the sealer takes its time, so that commits keep the disk and the processor.
#[derive(Default)]
pub struct Pace {
    hurry: AtomicBool,
}

impl Pace {
    /// Say whether there is haste: many segments wait, or the ledger is being closed.
    pub fn set_hurry(&self, hurry: bool) {
        self.hurry.store(hurry, Ordering::Relaxed);
    }

    fn pause(&self) {
        if !self.hurry.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_micros(SEAL_PAUSE_US));
        }
    }
}

/// A file that is written in chunks, each synced by itself.
struct FileSink {
    file: Box<dyn StoredFile>,
    offset: u64,
    unsynced: usize,
    pace: Arc<Pace>,
}

impl BlockSink for FileSink {
    fn take(&mut self, blocks: &[u8]) -> io::Result<()> {
        self.file.write_at(blocks, self.offset)?;
        self.offset += blocks.len() as u64;
        self.unsynced += blocks.len();
        if self.unsynced >= SEAL_CHUNK_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
            self.pace.pause();
        }
        Ok(())
    }
}

/// Seals one segment after another.
pub struct Sealer {
    storage: Shared,
    scan: Scan<Shadow>,
    pace: Arc<Pace>,
    /// The sequence of the newest snapshot, 0 without one.
    snapshot_sequence: u64,
    /// Segments before this one get no snapshot: they were closed when the ledger was opened.
    snapshot_from: u64,
    /// Whether the newest sealed segment was raw, so that its snapshot is due.
    was_raw: bool,
}

impl Sealer {
    /// Go on from where the raw segments start.
    pub fn new(
        storage: Shared,
        scan: Scan<Shadow>,
        pace: Arc<Pace>,
        snapshot_sequence: u64,
        snapshot_from: u64,
    ) -> Self {
        Self {
            storage,
            scan,
            pace,
            snapshot_sequence,
            snapshot_from,
            was_raw: false,
        }
    }

    /// The number of the next segment to seal.
    pub fn next(&self) -> u64 {
        self.scan.cold.last_number() + 1
    }

    /// Everything that is sealed.
    pub fn cold(&self) -> &Arc<Cold> {
        &self.scan.cold
    }

    /// Seal the next segment, which has a successor; its raw file stays until `remove_raw`.
    /// After a fault the raw segment is in force, and sealing it can be tried again.
    pub fn seal(&mut self) -> Result<Arc<SealedSegment>, Fault> {
        let number = self.next();
        let before = Position {
            taker: self.scan.taker.clone(),
            frontier: self.scan.frontier.clone(),
            chain_head: self.scan.chain_head,
            frame: self.scan.frame,
            segment: number - 1,
        };
        let sealed = self.walk(number);
        if sealed.is_err() {
            let (identity, reader) = (self.scan.identity, Arc::clone(&self.scan.reader));
            self.scan = Scan::new(identity, reader, Arc::clone(&self.scan.cold), before);
        }
        sealed
    }

    fn walk(&mut self, number: u64) -> Result<Arc<SealedSegment>, Fault> {
        if list(&*self.storage)?.is_sealed(number) {
            // It was sealed before, behind a raw one that could not be removed.
            self.was_raw = false;
            self.scan.take_sealed(number, None, u64::MAX)?;
            let sealed = self.scan.cold.segments().last().expect("taken just now");
            sealed.keep_fingerprints()?;
            return Ok(Arc::clone(sealed));
        }
        let fault = |error: io::Error| {
            let path = path_of(&*self.storage, SEAL_TEMPORARY);
            Fault::from_io(&path, "cannot seal a segment", &error)
        };
        let header = self.scan.enter(number)?;
        self.storage.create(SEAL_TEMPORARY).map_err(fault)?;
        let file = self.storage.open(SEAL_TEMPORARY, Access::Write);
        let sink = FileSink {
            file: file.map_err(fault)?,
            offset: BLOCK_U64,
            unsynced: 0,
            pace: Arc::clone(&self.pace),
        };
        self.scan.notes = Some(Sealing::new(header, Box::new(sink)));
        while matches!(self.scan.next_frame(None)?, Found::Good) {
            self.scan.places.clear();
        }
        self.scan.leave()?;
        let notes = self.scan.notes.take().expect("set above");
        let made = notes.finish(&self.scan.frontier, self.scan.chain_head);
        let (page, checksums) = made.map_err(fault)?;
        // What the next segment's header page states is what was found here, or damage.
        self.scan.check_successor(number + 1)?;
        self.complete(&page, &checksums).map_err(fault)?;
        self.check_copy(&page, &checksums)?;
        let named = self.storage.rename(SEAL_TEMPORARY, &sealed_name(number));
        named
            .and_then(|()| self.storage.sync_directory())
            .map_err(fault)?;
        let sealed = Arc::new(SealedSegment::open(&self.scan.reader, number)?);
        sealed.keep_fingerprints()?;
        self.scan.cold = Arc::new(self.scan.cold.with(Arc::clone(&sealed)));
        self.was_raw = true;
        Ok(sealed)
    }

    /// Put the header page and the checksums where they belong, and make the file durable.
    fn complete(&self, page: &SealPage, checksums: &[u32]) -> io::Result<()> {
        let file = self.storage.open(SEAL_TEMPORARY, Access::Write)?;
        file.write_at(&page.pack(), 0)?;
        file.write_at(&checksum_bytes(checksums), page.layout().checksums)?;
        file.sync()
    }

    /// Read the file back: it must be what was meant to be written.
    fn check_copy(&self, page: &SealPage, checksums: &[u32]) -> Result<(), Fault> {
        let path = path_of(&*self.storage, SEAL_TEMPORARY);
        let failed = |error: io::Error| Fault::from_io(&path, "cannot read back", &error);
        let file = self
            .storage
            .open(SEAL_TEMPORARY, Access::Read)
            .map_err(failed)?;
        let differs = || {
            let text = format!(
                "{}: was not written as it was meant; check the disk",
                path.display()
            );
            Fault::new(FaultKind::Disk, text)
        };
        let mut expected = page.pack().to_vec();
        expected.extend(checksum_bytes(checksums));
        let mut found = vec![0u8; expected.len()];
        let (head, tail) = found.split_at_mut(BLOCK);
        read_fully(&*file, head, 0).map_err(failed)?;
        read_fully(&*file, tail, page.layout().checksums).map_err(failed)?;
        if found != expected || file.length().map_err(failed)? != page.layout().end {
            return Err(differs());
        }
        let mut chunk = vec![0u8; SEAL_CHUNK_BYTES];
        for (place, wanted) in checksums.chunks(SEAL_CHUNK_BYTES / BLOCK).enumerate() {
            let bytes = &mut chunk[..BLOCK * wanted.len()];
            let offset = BLOCK_U64 + (SEAL_CHUNK_BYTES * place) as u64;
            read_fully(&*file, bytes, offset).map_err(failed)?;
            if !bytes
                .chunks_exact(BLOCK)
                .map(crc32fast::hash)
                .eq(wanted.iter().copied())
            {
                return Err(differs());
            }
            self.pace.pause();
        }
        Ok(())
    }

    /// Remove the raw files of sealed segments, which nobody looks for any more.
    pub fn remove_raw(&self) -> Result<(), Fault> {
        for number in list(&*self.storage)?.raw {
            if number > self.scan.cold.last_number() {
                break;
            }
            let name = segment_name(number);
            self.scan.reader.forget(number);
            let removed = self.storage.remove(&name);
            let path = path_of(&*self.storage, &name);
            removed.map_err(|error| Fault::from_io(&path, "cannot remove", &error))?;
        }
        Ok(())
    }

    /// Write the snapshot after the newest sealed segment, if one is due; tell whether it was.
    pub fn snapshot(&mut self, accounts_of: AccountsOf<'_>) -> Result<bool, Fault> {
        let shadow = &self.scan.taker;
        let segment = self.scan.cold.last_number();
        let hot = shadow.balances.len() as u64 + shadow.open.len() as u64;
        let sequence = shadow.last_sequence;
        let is_new = self.was_raw && segment >= self.snapshot_from;
        if !is_new || sequence - self.snapshot_sequence < hot {
            return Ok(false);
        }
        let written = self
            .write_snapshot(segment, accounts_of)
            .and_then(|()| self.remove_old_snapshots());
        written?;
        self.snapshot_sequence = sequence;
        Ok(true)
    }

    fn write_snapshot(&self, segment: u64, accounts_of: AccountsOf<'_>) -> Result<(), Fault> {
        let path = path_of(&*self.storage, &snapshot_name(segment));
        let failed = |error: io::Error| Fault::from_io(&path, "cannot write a snapshot", &error);
        let moment = Moment {
            uuid: self.scan.identity.uuid,
            segment,
            frame: self.scan.frame,
            chain_head: self.scan.chain_head,
            frontier: &self.scan.frontier,
            shadow: &self.scan.taker,
            cold: &self.scan.cold,
            accounts_of,
        };
        let mut writer = SnapshotWriter::new(&*self.storage).map_err(failed)?;
        moment.write(&mut |bytes| writer.put(bytes).map_err(failed))?;
        writer.finish(&snapshot_name(segment)).map_err(failed)
    }

    /// Keep the newest three.
    fn remove_old_snapshots(&self) -> Result<(), Fault> {
        let numbers = list(&*self.storage)?.snapshots;
        let old = numbers.len().saturating_sub(SNAPSHOTS_KEPT);
        for number in numbers.into_iter().take(old) {
            let name = snapshot_name(number);
            let removed = self.storage.remove(&name);
            let path = path_of(&*self.storage, &name);
            removed.map_err(|error| Fault::from_io(&path, "cannot remove", &error))?;
        }
        Ok(())
    }
}
