//! The next segment, made ahead of its need so that no commit waits for the file system.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::disk::AlignedBuffer;
use crate::fault::Fault;
use crate::limits::{SPARE_PAUSE_US, ZERO_CHUNK_BYTES};
use crate::pages::BLOCK;
use crate::storage::{path_of, read_fully, Access, Schedule, Shared as Files, Storage};

/// The spare's name.
pub const SPARE: &str = "spare.seg";
/// The name of a half-made spare.
pub const SPARE_TEMPORARY: &str = "spare.tmp";

enum Stage {
    Absent,
    Making,
    Ready,
    Failed(Fault),
}

/// How the making of a spare stands; others may look at it.
pub struct Shared {
    storage: Files,
    schedule: Schedule,
    segment_size: u64,
    stage: Mutex<Stage>,
    changed: Condvar,
    /// Whether somebody waits for it: no pauses then.
    is_awaited: AtomicBool,
}

/// The spare segment of one ledger.
pub struct Spare {
    shared: Arc<Shared>,
    maker: Option<JoinHandle<()>>,
}

impl Spare {
    /// Take over the spare that an earlier run left, when it is whole and unused.
    pub fn adopt(storage: Files, schedule: Schedule, segment_size: u64) -> Self {
        let whole = is_whole(&*storage, segment_size).unwrap_or(false);
        let shared = Shared {
            storage,
            schedule,
            segment_size,
            stage: Mutex::new(if whole { Stage::Ready } else { Stage::Absent }),
            changed: Condvar::new(),
            is_awaited: AtomicBool::new(schedule == Schedule::Inline),
        };
        Self {
            shared: Arc::new(shared),
            maker: None,
        }
    }

    /// To look at how the making stands.
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Start to make a spare unless there is one or one is being made.
    pub fn prepare(&mut self) {
        let mut stage = self
            .shared
            .stage
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if matches!(*stage, Stage::Ready | Stage::Making) {
            return;
        }
        *stage = Stage::Making;
        let at_once = self.shared.schedule == Schedule::Inline;
        self.shared.is_awaited.store(at_once, Ordering::Relaxed);
        drop(stage);
        self.join();
        let shared = Arc::clone(&self.shared);
        self.maker = self.shared.schedule.start(move || shared.make());
    }

    /// Wait until there is a spare, trying once more where making it failed before.
    pub fn wait(&mut self) -> Result<(), Fault> {
        self.prepare();
        self.shared.is_awaited.store(true, Ordering::Relaxed);
        let stage = self
            .shared
            .stage
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let stage = self
            .shared
            .changed
            .wait_while(stage, |stage| matches!(stage, Stage::Making))
            .unwrap_or_else(PoisonError::into_inner);
        match &*stage {
            Stage::Failed(fault) => Err(fault.clone()),
            _ => Ok(()),
        }
    }

    /// Note that the spare was taken.
    pub fn take(&mut self) {
        *self
            .shared
            .stage
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Stage::Absent;
    }

    /// Wait for the maker to end.
    pub fn join(&mut self) {
        if let Some(maker) = self.maker.take() {
            // A maker that panicked left its stage at "making": say that it failed.
            if maker.join().is_err() {
                let fault = Fault::from_io(
                    self.shared.storage.location(),
                    "cannot make a spare segment",
                    &io::ErrorKind::Other.into(),
                );
                self.shared.settle(Stage::Failed(fault));
            }
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // Nobody writes to the directory once its ledger is closed.
        self.join();
    }
}

impl Shared {
    /// Why there is no spare, if making it failed.
    pub fn trouble(&self) -> Option<Fault> {
        match &*self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Failed(fault) => Some(fault.clone()),
            _ => None,
        }
    }

    fn make(&self) {
        let made = self.write_zeros().and_then(|()| {
            self.storage.rename(SPARE_TEMPORARY, SPARE)?;
            self.storage.sync_directory()
        });
        self.settle(match made {
            Ok(()) => Stage::Ready,
            Err(error) => Stage::Failed(self.give_up(&error)),
        });
    }

    /// Give back the room that a half-made spare took; say what went wrong.
    fn give_up(&self, error: &io::Error) -> Fault {
        let doing = "no room for another segment: nothing was submitted";
        let mut fault = Fault::from_io(self.storage.location(), doing, error);
        if let Err(error) = self.storage.remove(SPARE_TEMPORARY) {
            if error.kind() != io::ErrorKind::NotFound {
                let half_made = path_of(&*self.storage, SPARE_TEMPORARY);
                let also = Fault::from_io(&half_made, "cannot remove", &error);
                fault.text = format!("{fault}; {also}");
            }
        }
        fault
    }

    fn settle(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.changed.notify_all();
    }

    /// Really written zeros: later writes need no new extent. Each chunk is synced by itself, so
    /// that a commit never waits behind a whole segment in the device's queue.
    fn write_zeros(&self) -> io::Result<()> {
        self.storage.create(SPARE_TEMPORARY)?;
        let file = self.storage.open(SPARE_TEMPORARY, Access::Direct)?;
        let mut zeros = AlignedBuffer::default();
        let mut offset = 0;
        while offset < self.segment_size {
            let left = usize::try_from(self.segment_size - offset).unwrap_or(ZERO_CHUNK_BYTES);
            let length = left.min(ZERO_CHUNK_BYTES);
            file.write_at(zeros.reset(length), offset)?;
            file.sync()?;
            offset += length as u64;
            if !self.is_awaited.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_micros(SPARE_PAUSE_US));
            }
        }
        Ok(())
    }
}

fn is_whole(storage: &dyn Storage, segment_size: u64) -> io::Result<bool> {
    let file = storage.open(SPARE, Access::Read)?;
    let mut page = vec![0u8; BLOCK];
    let read = read_fully(&*file, &mut page, 0)?;
    let is_zero = page.iter().all(|byte| *byte == 0);
    Ok(read == BLOCK && is_zero && file.length()? == segment_size)
}
