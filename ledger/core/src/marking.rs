//! The last commit mark made durable in idle moments, so that rot of the last frame is not taken for
//! a torn tail.
//!
//! A commit writes its mark and does not wait for it. When nothing was committed for ten
//! milliseconds, a thread of its own syncs the superblock; a busy ledger never pays for it.
//! Source: docs/reference/ledger-format.md, section 4.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::engine::{hold, Engine};
use crate::fault::Fault;
use crate::limits::IDLE_BEFORE_MARK;
use crate::storage::{path_of, Access, Schedule};
use crate::superblock::SUPERBLOCK;

/// Watches for idle moments.
#[derive(Default)]
pub struct Marking {
    /// Marks written so far.
    written: AtomicU64,
    /// Whether the thread looks at that number by itself, and need not be woken.
    is_watching: AtomicBool,
    is_over: Mutex<bool>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Marking {
    /// Note that a mark was written.
    pub fn note(&self) {
        self.written.fetch_add(1, Ordering::SeqCst);
        if !self.is_watching.load(Ordering::SeqCst) {
            // Under the lock, so that the thread does not fall asleep between test and notice.
            drop(hold(&self.is_over));
            self.changed.notify_one();
        }
    }

    /// Wait until a mark is there that was not synced; `None` when it is over.
    fn wait_for_mark(&self, synced: u64) -> Option<()> {
        self.is_watching.store(false, Ordering::SeqCst);
        let nothing = |over: &mut bool| !*over && self.written.load(Ordering::SeqCst) == synced;
        let over = self
            .changed
            .wait_while(hold(&self.is_over), nothing)
            .unwrap_or_else(PoisonError::into_inner);
        self.is_watching.store(true, Ordering::SeqCst);
        (!*over).then_some(())
    }

    /// Wait until no mark was written for a while; give the number of the last, `None` when it is
    /// over.
    fn wait_for_idleness(&self) -> Option<u64> {
        let mut over = hold(&self.is_over);
        loop {
            let written = self.written.load(Ordering::SeqCst);
            (over, _) = self
                .changed
                .wait_timeout(over, IDLE_BEFORE_MARK)
                .unwrap_or_else(PoisonError::into_inner);
            if *over {
                return None;
            }
            if self.written.load(Ordering::SeqCst) == written {
                return Some(written);
            }
        }
    }

    /// End the thread.
    pub fn finish(&self) {
        *hold(&self.is_over) = true;
        self.changed.notify_all();
        if let Some(thread) = hold(&self.thread).take() {
            drop(thread.join());
        }
    }
}

impl Engine {
    /// Start to watch for idle moments; where one thread does everything, closing syncs the mark.
    pub fn start_marking(self: &Arc<Self>, schedule: Schedule) {
        if schedule == Schedule::Inline {
            return;
        }
        let engine = Arc::clone(self);
        let thread = thread::spawn(move || {
            if let Err(fault) = engine.mark_when_idle() {
                engine.poison(fault);
            }
        });
        *hold(&self.marking.thread) = Some(thread);
    }

    fn mark_when_idle(&self) -> Result<(), Fault> {
        let storage = self.reader().storage();
        let mut synced = 0;
        while self.marking.wait_for_mark(synced).is_some() {
            let Some(written) = self.marking.wait_for_idleness() else {
                return Ok(());
            };
            let file = storage.open(SUPERBLOCK, Access::Write);
            file.and_then(|file| file.sync()).map_err(|error| {
                Fault::from_io(&path_of(&**storage, SUPERBLOCK), "cannot sync", &error)
            })?;
            synced = written;
        }
        Ok(())
    }
}
