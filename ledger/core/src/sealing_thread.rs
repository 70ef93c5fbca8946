//! The sealer at work beside the commits: when it starts, what it tells the engine, when it ends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::cold::Cold;
use crate::engine::{hold, Engine};
use crate::fault::{Fault, FaultKind};
use crate::limits::{SEAL_BACKLOG_MAX, SEAL_WAITING_MAX};
use crate::sealed::SealedSegment;
use crate::sealer::Pace;
use crate::storage::Schedule;

/// What the sealing thread waits for.
#[derive(Default)]
struct Wanted {
    is_due: bool,
    is_over: bool,
}

/// How far the sealing is.
#[derive(Default)]
struct Progress {
    /// The segment to be sealed next.
    next: u64,
    /// The last attempt failed, or the engine stopped: nothing is worth waiting for.
    has_failed: bool,
}

/// The thread that seals, or none where one thread does everything.
pub struct SealingThread {
    schedule: Schedule,
    pace: Arc<Pace>,
    wanted: Mutex<Wanted>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
    progress: Mutex<Progress>,
    progressed: Condvar,
    /// What kept the last segment from being sealed.
    trouble: Mutex<Option<Fault>>,
}

impl SealingThread {
    /// Not started yet.
    pub fn new(schedule: Schedule, pace: Arc<Pace>) -> Self {
        Self {
            schedule,
            pace,
            wanted: Mutex::default(),
            changed: Condvar::new(),
            thread: Mutex::new(None),
            progress: Mutex::default(),
            progressed: Condvar::new(),
            trouble: Mutex::new(None),
        }
    }

    /// When the work beside the commits is done.
    pub fn schedule(&self) -> Schedule {
        self.schedule
    }
}

impl Engine {
    /// Seal what an earlier run left raw, and from now on each segment that is closed.
    pub fn start_sealing(self: &Arc<Self>) {
        if self.sealing.schedule == Schedule::Inline {
            return self.seal_due();
        }
        hold(&self.sealing.progress).next = hold(&self.sealer).next();
        // Held weakly: an engine that nobody holds any more is dropped, and that ends the thread.
        let engine = Arc::downgrade(self);
        hold(&self.sealing.wanted).is_due = true;
        let thread = thread::spawn(move || {
            while let Some(engine) = engine.upgrade() {
                if !engine.wait_and_seal() {
                    return;
                }
            }
        });
        *hold(&self.sealing.thread) = Some(thread);
    }

    fn wait_and_seal(&self) -> bool {
        let wanted = hold(&self.sealing.wanted);
        let nothing = |wanted: &mut Wanted| !wanted.is_due && !wanted.is_over;
        let mut wanted = self
            .sealing
            .changed
            .wait_while(wanted, nothing)
            .unwrap_or_else(PoisonError::into_inner);
        if wanted.is_over {
            return false;
        }
        wanted.is_due = false;
        drop(wanted);
        self.seal_due();
        true
    }

    /// Note that a segment was closed: it is sealed soon, or at once.
    pub fn segment_closed(&self, in_use: u64) {
        self.segment_in_use.store(in_use, Ordering::Release);
        if self.sealing.schedule == Schedule::Threads {
            hold(&self.sealing.wanted).is_due = true;
            self.sealing.changed.notify_all();
        }
    }

    /// Where one thread does everything, it seals now, holding no lock.
    pub fn seal_inline(&self) {
        if self.sealing.schedule == Schedule::Inline {
            self.seal_due();
        }
    }

    /// Seal every closed segment. An error of the disk leaves it raw, to be tried again with the
    /// next one; damage stops the engine.
    fn seal_due(&self) {
        let sealed = self.seal_closed();
        let trouble = sealed.is_err();
        *hold(&self.sealing.trouble) = sealed.as_ref().err().cloned();
        if let Err(fault) = sealed {
            if fault.kind == FaultKind::Corrupt {
                self.poison(fault);
            }
        }
        hold(&self.sealing.progress).has_failed = trouble || self.is_poisoned();
        self.sealing.progressed.notify_all();
    }

    /// Wait while so many closed segments wait for sealing that memory would grow beyond its bound.
    ///
    /// Not while the disk refuses to seal: commits do not depend on it. The caller may hold the
    /// turn, and nothing that the sealer takes.
    pub fn wait_for_sealer(&self) {
        if self.sealing.schedule == Schedule::Inline {
            return;
        }
        let in_use = self.segment_in_use.load(Ordering::Acquire);
        let is_behind = |progress: &mut Progress| {
            !progress.has_failed && in_use.saturating_sub(progress.next) > SEAL_WAITING_MAX
        };
        let progress = hold(&self.sealing.progress);
        let waited = self.sealing.progressed.wait_while(progress, is_behind);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// What kept a segment from being sealed or prepared, or a snapshot from being written.
    pub fn trouble(&self) -> Option<Fault> {
        let sealing = hold(&self.sealing.trouble).clone();
        sealing.or_else(|| self.spare.trouble())
    }

    fn seal_closed(&self) -> Result<(), Fault> {
        let mut sealer = hold(&self.sealer);
        loop {
            let in_use = self.segment_in_use.load(Ordering::Acquire);
            let waiting = in_use - sealer.next();
            if self.is_poisoned() {
                return Ok(());
            }
            if waiting == 0 {
                return sealer.remove_raw();
            }
            if self.sealing.schedule == Schedule::Threads && !self.is_stopping() {
                self.sealing.pace.set_hurry(waiting > SEAL_BACKLOG_MAX);
            }
            let newest = sealer.seal()?;
            self.cool(sealer.cold(), &newest)?;
            hold(&self.sealing.progress).next = sealer.next();
            self.sealing.progressed.notify_all();
            sealer.remove_raw()?;
            sealer.snapshot(&|start, count| self.known_accounts(start, count))?;
        }
    }

    /// What was sealed is cold from now on: it leaves the memory step by step.
    fn cool(&self, cold: &Arc<Cold>, sealed: &SealedSegment) -> Result<(), Fault> {
        let resolved = sealed.resolved()?;
        let links = {
            let mut state = hold(&self.applied);
            hold(&self.durable).cool(Arc::clone(cold));
            state.begin_cooling(Arc::clone(cold))
        };
        drop(links);
        let mut step = 0;
        while hold(&self.applied).cool_step(step, cold.end(), &resolved) {
            step += 1;
            thread::yield_now();
        }
        Ok(())
    }

    fn known_accounts(&self, start: usize, count: usize) -> Vec<(u128, crate::accounts::Identity)> {
        let state = hold(&self.applied);
        let number = |place: usize| u32::try_from(place + 1).expect("fewer than 2^32 accounts");
        (start..start + count)
            .map(|place| {
                let number = number(place);
                (state.accounts.id(number), *state.accounts.identity(number))
            })
            .collect()
    }

    /// Finish the sealing that is under way and what is left of it; then the thread has ended.
    pub fn finish_sealing(&self) -> Result<(), Fault> {
        self.sealing.pace.set_hurry(true);
        hold(&self.sealing.wanted).is_over = true;
        self.sealing.changed.notify_all();
        if let Some(thread) = hold(&self.sealing.thread).take() {
            // The last owner of an engine may be that thread itself.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
        match self.seal_closed() {
            Err(fault) if fault.kind == FaultKind::Corrupt => Err(fault),
            // The raw segments are in force, and are sealed when there is room again.
            _ => Ok(()),
        }
    }
}
