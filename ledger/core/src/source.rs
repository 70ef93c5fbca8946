//! What reads read from: the running engine, or a walk through a log that another process writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use std::collections::VecDeque;

use crate::accounts::Balances;
use crate::cold::Cold;
use crate::engine::{hold, Engine};
use crate::fault::Fault;
use crate::record::Record;
use crate::scan::{Extent, Scan};
use crate::segments::{FramePlace, SegmentReader};
use crate::state::{History, State};
use crate::superblock::read_durable_superblock;
use crate::verify::Belief;

/// Where reads read from.
pub trait Source {
    /// Look at the state; what lies behind the sequence given is not durable.
    fn look<T>(&self, look: impl FnOnce(&State, u64) -> T) -> T;
    /// Look at the state and the durable balances, by number less 1.
    fn look_at_balances<T>(&self, look: impl FnOnce(&State, &[Balances]) -> T) -> T;
    /// Give a durable record.
    fn durable_record(&self, sequence: u64) -> Result<Record, Fault>;
    /// Look at what is sealed, where the frames behind it stand, and the last sequence.
    fn look_at_places<T>(
        &self,
        look: impl FnOnce(&Arc<Cold>, &VecDeque<FramePlace>, u64) -> T,
    ) -> T;
    /// Reads the segments.
    fn segments(&self) -> &SegmentReader;
    /// What the log must say when it is read again.
    fn belief(&self) -> Belief;
}

impl Source for Engine {
    fn look<T>(&self, look: impl FnOnce(&State, u64) -> T) -> T {
        let state = hold(&self.applied);
        let sequence = hold(&self.durable).sequence;
        look(&state, sequence)
    }

    fn look_at_balances<T>(&self, look: impl FnOnce(&State, &[Balances]) -> T) -> T {
        let state = hold(&self.applied);
        look(&state, &hold(&self.durable).balances)
    }

    fn durable_record(&self, sequence: u64) -> Result<Record, Fault> {
        self.record(sequence)
    }

    fn look_at_places<T>(
        &self,
        look: impl FnOnce(&Arc<Cold>, &VecDeque<FramePlace>, u64) -> T,
    ) -> T {
        let durable = hold(&self.durable);
        look(&durable.cold, &durable.places, durable.sequence)
    }

    fn segments(&self) -> &SegmentReader {
        self.reader()
    }

    fn belief(&self) -> Belief {
        let durable = hold(&self.durable);
        Belief {
            frame: durable.frame,
            sequence: durable.sequence,
            root: durable.frontier.root(),
            chain_head: durable.chain_head,
            balances: durable.balances.clone(),
        }
    }
}

/// A ledger opened for reading: a walk to the end of what was durable when it was last refreshed.
pub struct Walked {
    reader: Arc<SegmentReader>,
    closed: AtomicBool,
    inner: Mutex<Walk>,
}

struct Walk {
    scan: Scan<State>,
    balances: Vec<Balances>,
}

impl Walked {
    /// Read from a walk.
    pub fn new(scan: Scan<State>) -> Self {
        let reader = Arc::clone(scan.reader());
        let mut walk = Walk {
            scan,
            balances: Vec::new(),
        };
        walk.copy_balances();
        Self {
            reader,
            closed: AtomicBool::new(false),
            inner: Mutex::new(walk),
        }
    }

    /// Say why nothing can be asked any more, if so.
    pub fn check(&self) -> Result<(), Fault> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Fault::closed(self.reader.storage().location()));
        }
        Ok(())
    }

    /// Close the files. Idempotent.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.reader.close();
    }

    /// Walk on to what the writer has made durable meanwhile.
    pub fn refresh(&self) -> Result<(), Fault> {
        let mark = read_durable_superblock(&**self.reader.storage())?.mark;
        let mut walk = hold(&self.inner);
        if let Some(mark) = mark.filter(|mark| mark.frame > walk.scan.frame) {
            walk.scan.take_over_sealed()?;
            walk.scan.advance(Extent::Durable(mark.frame), Some(mark))?;
            walk.copy_balances();
        }
        Ok(())
    }
}

impl Walk {
    fn copy_balances(&mut self) {
        self.balances = self.scan.taker.accounts.all_balances().copied().collect();
    }
}

impl Source for Walked {
    fn look<T>(&self, look: impl FnOnce(&State, u64) -> T) -> T {
        let state = &hold(&self.inner).scan.taker;
        look(state, state.last_sequence)
    }

    fn look_at_balances<T>(&self, look: impl FnOnce(&State, &[Balances]) -> T) -> T {
        let walk = hold(&self.inner);
        look(&walk.scan.taker, &walk.balances)
    }

    fn durable_record(&self, sequence: u64) -> Result<Record, Fault> {
        let mut walk = hold(&self.inner);
        walk.scan.record(sequence).or_else(|fault| {
            // Sealed in the meantime, its raw segment may be gone.
            if walk.scan.take_over_sealed()? {
                walk.scan.record(sequence)
            } else {
                Err(fault)
            }
        })
    }

    fn look_at_places<T>(
        &self,
        look: impl FnOnce(&Arc<Cold>, &VecDeque<FramePlace>, u64) -> T,
    ) -> T {
        let scan = &hold(&self.inner).scan;
        look(&scan.cold, &scan.places, scan.taker.last_sequence)
    }

    fn segments(&self) -> &SegmentReader {
        &self.reader
    }

    fn belief(&self) -> Belief {
        let walk = hold(&self.inner);
        Belief {
            frame: walk.scan.frame,
            sequence: walk.scan.taker.last_sequence,
            root: walk.scan.frontier.root(),
            chain_head: walk.scan.chain_head,
            balances: walk.balances.clone(),
        }
    }
}

/// An open ledger, for writing or for reading.
pub enum Handle {
    /// The one writer of its directory.
    Writer(Arc<Engine>),
    /// One of any number of readers.
    Reader(Box<Walked>),
}

impl Source for Handle {
    fn look<T>(&self, look: impl FnOnce(&State, u64) -> T) -> T {
        match self {
            Self::Writer(engine) => engine.look(look),
            Self::Reader(walked) => walked.look(look),
        }
    }

    fn look_at_balances<T>(&self, look: impl FnOnce(&State, &[Balances]) -> T) -> T {
        match self {
            Self::Writer(engine) => engine.look_at_balances(look),
            Self::Reader(walked) => walked.look_at_balances(look),
        }
    }

    fn durable_record(&self, sequence: u64) -> Result<Record, Fault> {
        match self {
            Self::Writer(engine) => engine.durable_record(sequence),
            Self::Reader(walked) => walked.durable_record(sequence),
        }
    }

    fn look_at_places<T>(
        &self,
        look: impl FnOnce(&Arc<Cold>, &VecDeque<FramePlace>, u64) -> T,
    ) -> T {
        match self {
            Self::Writer(engine) => engine.look_at_places(look),
            Self::Reader(walked) => walked.look_at_places(look),
        }
    }

    fn segments(&self) -> &SegmentReader {
        match self {
            Self::Writer(engine) => engine.segments(),
            Self::Reader(walked) => walked.segments(),
        }
    }

    fn belief(&self) -> Belief {
        match self {
            Self::Writer(engine) => engine.belief(),
            Self::Reader(walked) => walked.belief(),
        }
    }
}
