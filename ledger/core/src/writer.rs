//! The log's durable end: one frame at a time into pre-zeroed segments.
//!
//! Source: docs/reference/ledger-format.md, sections 3 to 5.

use std::io;

use crate::disk::AlignedBuffer;
use crate::fault::Fault;
use crate::frames::Frame;
use crate::pages::{
    frame_bytes, segment_name, CommitMark, Identity, Nonce, SegmentHeader, BLOCK, BLOCK_U64,
    MARK_OFFSETS,
};
use crate::segments::FramePlace;
use crate::sha::Hash;
use crate::spare::{Spare, SPARE};
use crate::storage::{path_of, Access, Schedule, Shared, StoredFile};
use crate::superblock::SUPERBLOCK;
use crate::wire::u64_at;

/// Where random bytes come from: 16 for each segment that is activated.
pub type Entropy = Box<dyn FnMut() -> Result<Nonce, Fault> + Send>;

/// Where the log ends.
#[derive(Clone, Copy, Debug)]
pub struct Tip {
    /// Number of the last frame.
    pub frame: u64,
    /// Its hash.
    pub chain_head: Hash,
    /// The segment that holds it.
    pub frame_segment: u64,
    /// Sequence of the last record.
    pub sequence: u64,
    /// The segment in use.
    pub segment: u64,
    /// Its epoch nonce.
    pub nonce: Nonce,
    /// Where in it the next frame goes.
    pub offset: u64,
}

/// Writes frames.
pub struct Writer {
    storage: Shared,
    identity: Identity,
    tip: Tip,
    file: Option<Box<dyn StoredFile>>,
    superblock: Option<Box<dyn StoredFile>>,
    spare: Spare,
    entropy: Entropy,
}

impl Writer {
    /// Continue a log at its tip; the segment in use and the superblock are opened by need.
    pub fn new(
        storage: Shared,
        schedule: Schedule,
        identity: Identity,
        tip: Tip,
        entropy: Entropy,
    ) -> Self {
        let spare = Spare::adopt(storage.clone(), schedule, identity.segment_size);
        Self {
            storage,
            identity,
            tip,
            file: None,
            superblock: None,
            spare,
            entropy,
        }
    }

    /// Give the source of random bytes back.
    pub fn into_entropy(mut self) -> Entropy {
        self.spare.join();
        self.entropy
    }

    /// Where the log ends.
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Whether a frame of `count` records goes into the segment in use.
    pub fn fits(&self, count: usize) -> bool {
        self.tip.offset + frame_bytes(count) as u64 <= self.identity.segment_size
    }

    /// Bytes left in the segment in use.
    pub fn room(&self) -> u64 {
        self.identity.segment_size - self.tip.offset
    }

    /// To look at how the making of the spare stands.
    pub fn spare(&self) -> std::sync::Arc<crate::spare::Shared> {
        self.spare.shared()
    }

    /// Start to make a spare unless there is one.
    pub fn prepare_spare(&mut self) {
        self.spare.prepare();
    }

    /// Wait until there is a spare.
    pub fn wait_for_spare(&mut self) -> Result<(), Fault> {
        self.spare.wait()
    }

    /// Turn the spare into the next segment; `root` is the Merkle root over all records so far.
    pub fn activate(&mut self, root: Hash) -> Result<(), Fault> {
        let (segment, nonce) = (self.tip.segment + 1, (self.entropy)()?);
        let header = SegmentHeader {
            uuid: self.identity.uuid,
            number: segment,
            nonce,
            first_sequence: self.tip.sequence + 1,
            first_frame: self.tip.frame + 1,
            root,
            previous: self.tip.chain_head,
            segment_size: self.identity.segment_size,
        };
        let named = segment_name(segment);
        let mut page = AlignedBuffer::default();
        page.reset(BLOCK).copy_from_slice(&header.pack());
        let activated = self.storage.open(SPARE, Access::Direct).and_then(|file| {
            file.write_at(page.bytes(), 0)?;
            file.sync()?;
            self.storage.rename(SPARE, &named)?;
            self.storage.sync_directory()
        });
        activated.map_err(|error| {
            let path = path_of(&*self.storage, &named);
            Fault::from_io(&path, "cannot activate the segment", &error)
        })?;
        self.spare.take();
        // It is opened anew under its name.
        self.file = None;
        self.tip = Tip {
            segment,
            nonce,
            offset: BLOCK_U64,
            ..self.tip
        };
        self.spare.prepare();
        Ok(())
    }

    /// Give a frame its place, activating the next segment where it does not fit, and its header.
    pub fn place(
        &mut self,
        frame: &mut Frame,
        digests: (Hash, u32),
        root: impl FnOnce() -> Hash,
    ) -> Result<FramePlace, Fault> {
        assert_eq!(
            frame.first_sequence(),
            self.tip.sequence + 1,
            "frames are written in order"
        );
        if !self.fits(frame.count()) {
            self.wait_for_spare()?;
            self.activate(root())?;
        }
        let place = FramePlace {
            first_sequence: frame.first_sequence(),
            first_timestamp: u64_at(frame.payload(), 8),
            segment: u32::try_from(self.tip.segment).expect("a segment number has 8 digits"),
            block: u32::try_from(self.tip.offset / BLOCK_U64).expect("bounded by the segment"),
        };
        frame.trim();
        let tip = &mut self.tip;
        tip.frame += 1;
        tip.frame_segment = tip.segment;
        tip.chain_head = frame.seal(tip.frame, tip.nonce, tip.chain_head, digests);
        tip.sequence = frame.end_sequence() - 1;
        tip.offset += frame.buffer().bytes().len() as u64;
        Ok(place)
    }

    /// Write a frame to its place; when this returns, its records are durable.
    pub fn write(&mut self, frame: &Frame, place: &FramePlace) -> Result<(), Fault> {
        let name = segment_name(place.segment.into());
        let written = self.file(&name).and_then(|file| {
            file.write_at(frame.buffer().bytes(), u64::from(place.block) * BLOCK_U64)?;
            file.sync()
        });
        written.map_err(|error| {
            Fault::from_io(&path_of(&*self.storage, &name), "cannot write", &error)
        })
    }

    fn file(&mut self, name: &str) -> io::Result<&dyn StoredFile> {
        if self.file.is_none() {
            self.file = Some(self.storage.open(name, Access::Direct)?);
        }
        Ok(&**self.file.as_ref().expect("opened above"))
    }

    /// Write that everything up to the tip is durable; it need not be synced.
    pub fn write_mark(&mut self) -> Result<(), Fault> {
        if self.tip.frame == 0 {
            return Ok(());
        }
        let mark = self.mark();
        self.write_slot(mark.offset(), &mark.pack())
    }

    /// Write the mark of the tip into both slots, zero where there is no frame; not yet synced.
    ///
    /// Whatever a slot held, damage too, is gone for good: a repair of one slot alone could stand in
    /// a cache only, and damage would come back with the next power cut.
    pub fn write_marks(&mut self) -> Result<(), Fault> {
        let page = if self.tip.frame == 0 {
            [0; BLOCK]
        } else {
            self.mark().pack()
        };
        MARK_OFFSETS
            .iter()
            .try_for_each(|offset| self.write_slot(*offset, &page))
    }

    fn mark(&self) -> CommitMark {
        CommitMark {
            frame: self.tip.frame,
            sequence: self.tip.sequence,
            segment: self.tip.frame_segment,
            hash: self.tip.chain_head,
        }
    }

    fn write_slot(&mut self, offset: u64, page: &[u8; BLOCK]) -> Result<(), Fault> {
        let written = self
            .superblock()
            .and_then(|file| file.write_at(page, offset));
        written.map_err(|error| self.superblock_fault("cannot write", &error))
    }

    /// Make the last commit mark durable and wait for the spare's maker.
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.spare.join();
        let synced = self.superblock().and_then(StoredFile::sync);
        synced.map_err(|error| self.superblock_fault("cannot sync", &error))
    }

    /// Close the files.
    pub fn close(&mut self) {
        self.file = None;
        self.superblock = None;
    }

    fn superblock_fault(&self, doing: &str, error: &io::Error) -> Fault {
        Fault::from_io(&path_of(&*self.storage, SUPERBLOCK), doing, error)
    }

    fn superblock(&mut self) -> io::Result<&dyn StoredFile> {
        if self.superblock.is_none() {
            self.superblock = Some(self.storage.open(SUPERBLOCK, Access::Write)?);
        }
        Ok(&**self.superblock.as_ref().expect("opened above"))
    }
}
