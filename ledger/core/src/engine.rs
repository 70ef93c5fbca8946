//! The running ledger: group commit without timers, one frame applied while the one before it is
//! being written, answers only after durability.
//!
//! Whoever holds the *turn* forms a group, applies it and builds its frame; whoever holds the
//! *writer* writes it. A thread gives the turn away only when it has the writer, so frames are
//! written in the order in which they were built, and at most one is built ahead. A blocking caller
//! takes the turn itself and pays for no change of thread; coroutines are served by two threads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use crate::durable::Durable;
use crate::fault::{Fault, FaultKind};
use crate::frames::RecentFrames;
use crate::limits::{BATCH_EVENTS_MAX, FRAME_RECORDS_MAX};
use crate::marking::Marking;
use crate::merkle::Frontier;
use crate::opening::OpenedWriter;
use crate::pages::{frame_bytes, HEADER};
use crate::queue::{Outcome, Queue, ReplyTo, Request, Waiter};
use crate::record::Record;
use crate::sealer::{Pace, Sealer};
use crate::sealing_thread::SealingThread;
use crate::segments::{place_of, SegmentReader};
use crate::state::{History, State};
use crate::storage::Schedule;
use crate::wire::RECORD_SIZE;
use crate::writer::Writer;

/// Threads that serve coroutines: one applies while the other writes.
const SERVING_THREADS: usize = 2;

/// Take a lock. A thread that panicked while it held one has poisoned the engine on its way out,
/// which every caller checks, so the state behind the lock is not relied upon after that.
pub fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What forming and building needs: held by whoever has the turn.
pub struct Turn {
    /// The tree over all frames built so far.
    pub frontier: Frontier,
    /// Bytes left in the segment in use after all frames built so far; 0 when that is not sure.
    pub room: u64,
}

/// An open ledger that can be written.
pub struct Engine {
    reader: Arc<SegmentReader>,
    /// What waits for a group.
    pub queue: Mutex<Queue>,
    arrived: Condvar,
    turn: Mutex<Turn>,
    /// Everything applied, durable or not; held while a group is applied and, for a moment, by
    /// readers. Whoever holds it may take `durable` or `recent` too, never the other way round.
    pub applied: Mutex<State>,
    /// The frames that were built last.
    pub recent: RwLock<RecentFrames>,
    /// The log's durable end.
    pub writer: Mutex<Writer>,
    /// What is durable; held for moments only.
    pub durable: Mutex<Durable>,
    /// The most records of one frame.
    pub records_max: usize,
    /// The segment that frames are written to.
    pub segment_in_use: AtomicU64,
    /// Seals the segments behind it; whoever holds it may take any other lock.
    pub sealer: Mutex<Sealer>,
    pub(crate) sealing: SealingThread,
    pub(crate) marking: Marking,
    pub(crate) spare: Arc<crate::spare::Shared>,
    stopping: AtomicBool,
    poisoned: AtomicBool,
    poison: Mutex<Option<Fault>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Records of frames that were built before: in memory, or on the disk.
impl History for Engine {
    fn record(&self, sequence: u64) -> Result<Record, Fault> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = recent.record(sequence) {
            return Ok(record);
        }
        drop(recent);
        let read = {
            let durable = hold(&self.durable);
            match place_of(&durable.places, sequence) {
                Some(place) if sequence > durable.cold.end() => Ok(*place),
                _ => Err(Arc::clone(&durable.cold)),
            }
        };
        let cold = match read {
            Err(cold) => cold,
            Ok(place) => match self.reader.record(&place, sequence) {
                Ok(record) => return Ok(record),
                Err(fault) => {
                    // Sealed in the meantime, its raw segment may be gone.
                    let cold = Arc::clone(&hold(&self.durable).cold);
                    if cold.end() < sequence {
                        return Err(fault);
                    }
                    cold
                }
            },
        };
        cold.record(sequence)
    }
}

impl Engine {
    /// Start an engine on a directory that was opened for writing.
    pub fn start(opened: OpenedWriter) -> Arc<Self> {
        let OpenedWriter {
            scan,
            writer,
            reader,
            sealing,
            snapshot_sequence,
            schedule,
            ..
        } = opened;
        let segment_size = scan.identity.segment_size;
        let whole = usize::try_from(segment_size).expect("bounded") - frame_bytes(1);
        let records_max = FRAME_RECORDS_MAX.min((whole - HEADER) / RECORD_SIZE);
        let turn = Turn {
            frontier: scan.frontier.clone(),
            room: segment_size - scan.offset,
        };
        let segment = scan.segment;
        let pace = Arc::new(Pace::default());
        pace.set_hurry(schedule == Schedule::Inline);
        let storage = Arc::clone(reader.storage());
        let sealer = Sealer::new(
            storage,
            sealing,
            Arc::clone(&pace),
            snapshot_sequence,
            segment - 1,
        );
        let (durable, state) = Durable::from_scan(scan);
        let engine = Arc::new(Self {
            reader,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            turn: Mutex::new(turn),
            applied: Mutex::new(state),
            recent: RwLock::default(),
            spare: writer.spare(),
            writer: Mutex::new(writer),
            durable: Mutex::new(durable),
            records_max,
            stopping: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
            poison: Mutex::new(None),
            threads: Mutex::default(),
            segment_in_use: AtomicU64::new(segment),
            sealer: Mutex::new(sealer),
            sealing: SealingThread::new(schedule, pace),
            marking: Marking::default(),
        });
        engine.start_sealing();
        engine.start_marking(schedule);
        engine
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.reader.storage().location()
    }

    /// Reads segments.
    pub fn reader(&self) -> &Arc<SegmentReader> {
        &self.reader
    }

    /// The most events of one request.
    pub fn events_max(&self) -> usize {
        BATCH_EVENTS_MAX.min(self.records_max)
    }

    /// Say why nothing can be asked any more, if so.
    pub fn check(&self) -> Result<(), Fault> {
        if self.poisoned.load(Ordering::Acquire) {
            let cause = hold(&self.poison).clone();
            let cause = cause.map_or_else(|| "a bug".to_owned(), |fault| fault.text);
            let text = format!(
                "{}: the writer stopped ({cause}); what was outstanding is indeterminate until the \
                 ledger is reopened",
                self.directory().display()
            );
            return Err(Fault::new(FaultKind::Poisoned, text));
        }
        if self.stopping.load(Ordering::Acquire) {
            return Err(Fault::closed(self.directory()));
        }
        Ok(())
    }

    /// Whether it was stopped for good.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Whether it is being closed.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Stop for good: from now on every caller is told.
    pub fn poison(&self, fault: Fault) {
        hold(&self.poison).get_or_insert(fault);
        self.poisoned.store(true, Ordering::Release);
    }

    /// Queue a request, whose answer goes where it says.
    fn enqueue(&self, request: Request) -> Result<(), Fault> {
        let admitted = self.check().and_then(|()| self.check_size(&request));
        if let Err(fault) = admitted {
            request.reply.forget();
            return Err(fault);
        }
        hold(&self.queue).push(request).map_err(|(request, fault)| {
            request.reply.forget();
            fault
        })
    }

    fn check_size(&self, request: &Request) -> Result<(), Fault> {
        let (count, most) = (request.events.count(), self.events_max());
        if count <= most {
            return Ok(());
        }
        let text = format!("a batch of {count} events; this ledger takes {most} at most");
        Err(Fault::new(FaultKind::Batch, text))
    }

    /// Commit a request and wait for its durability, writing for others too.
    pub fn execute(&self, make: impl FnOnce(ReplyTo) -> Request) -> Outcome {
        let waiter = Arc::new(Waiter::default());
        self.enqueue(make(ReplyTo::waiter(Arc::clone(&waiter))))?;
        // Either this turn takes the request, or another thread's turn before it did.
        self.process(hold(&self.turn));
        waiter.wait().map_err(|fault| self.with_cause(fault))
    }

    /// A fault that says only that the ledger stopped, with what stopped it.
    pub fn with_cause(&self, fault: Fault) -> Fault {
        match self.check() {
            Err(cause) if fault.kind == FaultKind::Poisoned => cause,
            _ => fault,
        }
    }

    /// Queue a request for the serving threads, who hear of it by `announce`.
    pub fn submit(&self, request: Request) -> Result<(), Fault> {
        self.enqueue(request)
    }

    /// Wake a serving thread for what was submitted, or do it where one thread does everything.
    pub fn announce(&self) {
        match self.sealing.schedule() {
            Schedule::Threads => self.arrived.notify_one(),
            Schedule::Inline => self.process_queued(),
        }
    }

    /// Start the threads that serve coroutines, once.
    pub fn serve(self: &Arc<Self>) {
        if self.sealing.schedule() == Schedule::Inline {
            return;
        }
        let mut threads = hold(&self.threads);
        if threads.is_empty() {
            for _ in 0..SERVING_THREADS {
                let engine = Arc::clone(self);
                threads.push(thread::spawn(move || engine.run()));
            }
        }
    }

    fn run(&self) {
        loop {
            let queue = hold(&self.queue);
            let idle =
                |queue: &mut Queue| queue.is_empty() && !self.stopping.load(Ordering::Acquire);
            let queue = self
                .arrived
                .wait_while(queue, idle)
                .unwrap_or_else(PoisonError::into_inner);
            if queue.is_empty() {
                return;
            }
            drop(queue);
            self.process(hold(&self.turn));
        }
    }

    fn process_queued(&self) {
        while !hold(&self.queue).is_empty() {
            self.process(hold(&self.turn));
        }
    }

    /// Finish what is queued, make the last mark durable, release the lock. Idempotent.
    pub fn close(&self) -> Result<(), Fault> {
        let first = {
            // Under the queue's lock, so that no thread goes to sleep between test and notice.
            let _queue = hold(&self.queue);
            !self.stopping.swap(true, Ordering::AcqRel)
        };
        self.arrived.notify_all();
        for thread in std::mem::take(&mut *hold(&self.threads)) {
            // A thread that panicked has poisoned the engine and told everybody.
            drop(thread.join());
        }
        if !first {
            return Ok(());
        }
        self.process_queued();
        self.marking.finish();
        let sealed = self.finish_sealing();
        let _turn = hold(&self.turn);
        let mut writer = hold(&self.writer);
        let finished = writer.finish().and(sealed);
        writer.close();
        self.reader.close();
        self.reader.storage().unlock();
        if self.poisoned.load(Ordering::Acquire) {
            return Ok(());
        }
        finished
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
