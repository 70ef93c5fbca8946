//! The log's durable end: one frame at a time into pre-zeroed segments.
//!
//! Source: docs/reference/ledger-format.md, sections 3 to 5.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk::{sync_directory, AlignedBuffer, DurableFile};
use crate::fault::Fault;
use crate::frames::Frame;
use crate::pages::{
    frame_bytes, segment_name, CommitMark, Identity, Nonce, SegmentHeader, BLOCK, BLOCK_U64,
};
use crate::segments::{FramePlace, SUPERBLOCK};
use crate::sha::Hash;
use crate::spare::{Spare, SPARE};

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
    directory: PathBuf,
    identity: Identity,
    tip: Tip,
    file: Option<DurableFile>,
    superblock: Option<File>,
    spare: Spare,
    entropy: Entropy,
}

impl Writer {
    /// Continue a log at its tip; the segment in use and the superblock are opened by need.
    pub fn new(directory: &Path, identity: Identity, tip: Tip, entropy: Entropy) -> Self {
        let spare = Spare::adopt(directory, identity.segment_size);
        Self {
            directory: directory.to_path_buf(),
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
        let (spare, named) = (
            self.directory.join(SPARE),
            self.directory.join(segment_name(segment)),
        );
        let mut page = AlignedBuffer::default();
        page.reset(BLOCK).copy_from_slice(&header.pack());
        let activated = DurableFile::open(&spare).and_then(|file| {
            file.write_durably(&page, 0)?;
            fs::rename(&spare, &named)?;
            sync_directory(&self.directory)?;
            Ok(file)
        });
        let file = activated
            .map_err(|error| Fault::from_io(&named, "cannot activate the segment", &error))?;
        self.spare.take();
        self.file = Some(file);
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
        let path = self.directory.join(segment_name(place.segment.into()));
        let fault = |error| Fault::from_io(&path, "cannot write", &error);
        if self.file.is_none() {
            self.file = Some(DurableFile::open(&path).map_err(fault)?);
        }
        let file = self.file.as_ref().expect("opened above");
        file.write_durably(frame.buffer(), u64::from(place.block) * BLOCK_U64)
            .map_err(fault)
    }

    /// Write that everything up to the tip is durable; it need not be synced.
    pub fn write_mark(&mut self) -> Result<(), Fault> {
        if self.tip.frame == 0 {
            return Ok(());
        }
        let tip = &self.tip;
        let mark = CommitMark {
            frame: tip.frame,
            sequence: tip.sequence,
            segment: tip.frame_segment,
            hash: tip.chain_head,
        };
        let path = self.directory.join(SUPERBLOCK);
        let written = self
            .superblock()
            .and_then(|file| file.write_all_at(&mark.pack(), mark.offset()));
        written.map_err(|error| Fault::from_io(&path, "cannot write", &error))
    }

    /// Make the last commit mark durable and wait for the spare's maker.
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.spare.join();
        let path = self.directory.join(SUPERBLOCK);
        let synced = self.superblock().and_then(File::sync_data);
        synced.map_err(|error| Fault::from_io(&path, "cannot sync", &error))
    }

    fn superblock(&mut self) -> std::io::Result<&File> {
        if self.superblock.is_none() {
            let path = self.directory.join(SUPERBLOCK);
            self.superblock = Some(OpenOptions::new().read(true).write(true).open(path)?);
        }
        Ok(self.superblock.as_ref().expect("opened above"))
    }
}
