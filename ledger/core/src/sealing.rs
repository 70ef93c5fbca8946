//! Making a sealed segment: what is noted record by record, and the file that comes of it.
//!
//! The same code checks a sealed segment: made again from its records, it must come out with the
//! same checksums. Source: docs/reference/ledger-format.md, section 9.

use std::io;

use crate::filter::Filter;
use crate::index::fingerprint;
use crate::merkle::Frontier;
use crate::pages::{SegmentHeader, BLOCK};
use crate::record::{Kind, Record};
use crate::seal_page::{Counts, SealPage, NODE_LEVEL_MIN};
use crate::sha::Hash;
use crate::wire::RECORD_SIZE;

const PART_ALIGNMENT: usize = 64;

/// Takes the file's blocks from the second on, in order.
pub trait BlockSink {
    /// Take whole blocks.
    fn take(&mut self, blocks: &[u8]) -> io::Result<()>;
}

/// Takes them nowhere: only their checksums are wanted.
pub struct Nowhere;

impl BlockSink for Nowhere {
    fn take(&mut self, _blocks: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes on their way to a sink: cut to blocks, with the checksum of each.
struct Blocks {
    sink: Box<dyn BlockSink + Send>,
    waiting: Vec<u8>,
    checksums: Vec<u32>,
}

/// Bytes that wait before they go to the sink.
const CHUNK: usize = 256 << 10;

impl Blocks {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= CHUNK {
            self.flush()?;
        }
        Ok(())
    }

    fn align(&mut self, alignment: usize) {
        let length = self.waiting.len().next_multiple_of(alignment);
        self.waiting.resize(length, 0);
    }

    fn flush(&mut self) -> io::Result<()> {
        let whole = self.waiting.len() / BLOCK * BLOCK;
        let blocks = self.waiting[..whole].chunks_exact(BLOCK);
        self.checksums.extend(blocks.map(crc32fast::hash));
        self.sink.take(&self.waiting[..whole])?;
        self.waiting.drain(..whole);
        Ok(())
    }
}

/// A sealed segment in the making.
pub struct Sealing {
    header: SegmentHeader,
    blocks: Blocks,
    records: u32,
    frame_counts: Vec<u16>,
    /// (fingerprint, ordinal).
    ids: Vec<(u64, u32)>,
    id_least: u128,
    id_greatest: u128,
    /// (account, ordinal).
    postings: Vec<(u32, u32)>,
    /// (resolved sequence, ordinal).
    resolutions: Vec<(u64, u32)>,
    /// By level less the least one kept.
    nodes: Vec<Vec<Hash>>,
    timestamp_first: u64,
    timestamp_last: u64,
}

impl Sealing {
    /// Start with a segment's header.
    pub fn new(header: SegmentHeader, sink: Box<dyn BlockSink + Send>) -> Self {
        Self {
            header,
            blocks: Blocks {
                sink,
                waiting: Vec::with_capacity(2 * CHUNK),
                checksums: Vec::new(),
            },
            records: 0,
            frame_counts: Vec::new(),
            ids: Vec::new(),
            id_least: u128::MAX,
            id_greatest: 0,
            postings: Vec::new(),
            resolutions: Vec::new(),
            nodes: Vec::new(),
            timestamp_first: 0,
            timestamp_last: 0,
        }
    }

    /// Take the records of a frame.
    pub fn frame(&mut self, payload: &[u8]) -> io::Result<()> {
        let count = payload.len() / RECORD_SIZE;
        let count = u16::try_from(count).expect("a frame has fewer than 65,536 records");
        self.frame_counts.push(count);
        self.blocks.put(payload)
    }

    /// Note a record; they come in order.
    pub fn record(&mut self, record: &Record) {
        let ordinal = self.records;
        self.records += 1;
        if ordinal == 0 {
            self.timestamp_first = record.timestamp;
        }
        self.timestamp_last = record.timestamp;
        let has_id = !matches!(record.kind, Kind::Account | Kind::Expire);
        if has_id {
            self.ids.push((fingerprint(record.id), ordinal));
            self.id_least = self.id_least.min(record.id);
            self.id_greatest = self.id_greatest.max(record.id);
        }
        if !matches!(record.kind, Kind::Account | Kind::Refusal) {
            self.postings.push((record.debit, ordinal));
            self.postings.push((record.credit, ordinal));
        }
        if matches!(record.kind, Kind::Post | Kind::Void | Kind::Expire) {
            self.resolutions.push((record.pending_sequence, ordinal));
        }
    }

    /// Note a subtree that became complete with the newest record.
    pub fn node(&mut self, level: u32, root: Hash) {
        if level < NODE_LEVEL_MIN {
            return;
        }
        let place = (level - NODE_LEVEL_MIN) as usize;
        if self.nodes.len() <= place {
            self.nodes.resize(place + 1, Vec::new());
        }
        self.nodes[place].push(root);
    }

    /// Put the index behind the records; give the header page and the checksums.
    pub fn finish(
        mut self,
        frontier: &Frontier,
        chain_head: Hash,
    ) -> io::Result<(SealPage, Vec<u32>)> {
        self.ids.sort_unstable();
        self.postings.sort_unstable();
        self.resolutions.sort_unstable();
        let mut accounts: Vec<(u32, u32)> = Vec::new();
        for (place, (account, _)) in self.postings.iter().enumerate() {
            let end = u32::try_from(place + 1).expect("fewer than 2^32 postings");
            match accounts.last_mut() {
                Some((last, last_end)) if last == account => *last_end = end,
                _ => accounts.push((*account, end)),
            }
        }
        let count = |length: usize| u32::try_from(length).expect("bounded by a segment");
        let counts = Counts {
            records: self.records,
            frames: count(self.frame_counts.len()),
            ids: count(self.ids.len()),
            accounts: count(accounts.len()),
            postings: count(self.postings.len()),
            resolutions: count(self.resolutions.len()),
            nodes: count(self.nodes.iter().map(Vec::len).sum()),
        };
        self.write_index(&accounts)?;
        let checksums = self.blocks.checksums;
        let page = SealPage {
            segment: self.header,
            counts,
            timestamp_first: self.timestamp_first,
            timestamp_last: self.timestamp_last,
            id_least: if counts.ids == 0 { 0 } else { self.id_least },
            id_greatest: self.id_greatest,
            chain_head,
            root: frontier.root(),
            checksums_crc: crc32fast::hash(&checksum_bytes(&checksums)),
        };
        assert_eq!(
            checksums.len(),
            page.layout().blocks(),
            "every part is where the layout says"
        );
        Ok((page, checksums))
    }

    fn write_index(&mut self, accounts: &[(u32, u32)]) -> io::Result<()> {
        let mut filter = Filter::new(self.ids.len());
        for (fingerprint, _) in &self.ids {
            filter.insert(*fingerprint);
        }
        let blocks = &mut self.blocks;
        blocks.align(PART_ALIGNMENT);
        part(blocks, [filter.pack()])?;
        part(blocks, self.ids.iter().map(|(id, _)| id.to_le_bytes()))?;
        part(blocks, self.ids.iter().map(|(_, at)| at.to_le_bytes()))?;
        part(
            blocks,
            accounts.iter().map(|(number, _)| number.to_le_bytes()),
        )?;
        part(blocks, accounts.iter().map(|(_, end)| end.to_le_bytes()))?;
        part(blocks, self.postings.iter().map(|(_, at)| at.to_le_bytes()))?;
        part(
            blocks,
            self.resolutions.iter().map(|(of, _)| of.to_le_bytes()),
        )?;
        part(
            blocks,
            self.resolutions.iter().map(|(_, at)| at.to_le_bytes()),
        )?;
        part(blocks, self.nodes.iter().flatten())?;
        part(
            blocks,
            self.frame_counts.iter().map(|count| count.to_le_bytes()),
        )?;
        blocks.align(BLOCK);
        blocks.flush()
    }
}

fn part<B: AsRef<[u8]>>(blocks: &mut Blocks, items: impl IntoIterator<Item = B>) -> io::Result<()> {
    for item in items {
        blocks.put(item.as_ref())?;
    }
    blocks.align(PART_ALIGNMENT);
    Ok(())
}

/// The checksums as they stand at the end of the file.
pub fn checksum_bytes(checksums: &[u32]) -> Vec<u8> {
    checksums.iter().flat_map(|crc| crc.to_le_bytes()).collect()
}
