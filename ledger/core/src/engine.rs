//! The running ledger: group commit without timers, one frame applied while the one before it is
//! being written, answers only after durability.
//!
//! Whoever holds the *turn* forms a group, applies it and builds its frame; whoever holds the
//! *writer* writes it. A thread gives the turn away only when it has the writer, so frames are
//! written in the order in which they were built, and at most one is built ahead. A blocking caller
//! takes the turn itself and pays for no change of thread; coroutines are served by two threads.

use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use crate::accounts::Balances;
use crate::durable::Durable;
use crate::execute::{due_expiries, Group};
use crate::fault::{Fault, FaultKind};
use crate::frames::{Frame, RecentFrames};
use crate::limits::{BATCH_EVENTS_MAX, FRAME_RECORDS_MAX, GROUP_EXPIRIES_MAX};
use crate::merkle::Frontier;
use crate::opening::OpenedWriter;
use crate::pages::{frame_bytes, HEADER};
use crate::queue::{Answer, Outcome, Queue, ReplyTo, Request, Waiter};
use crate::record::Record;
use crate::segments::{place_of, SegmentReader};
use crate::state::{History, State};
use crate::wire::{u32_at, RECORD_SIZE, RESULT_SIZE};
use crate::writer::Writer;

/// Threads that serve coroutines: one applies while the other writes.
const SERVING_THREADS: usize = 2;

/// Take a lock. A thread that panicked while it held one has poisoned the engine on its way out,
/// which every caller checks, so the state behind the lock is not relied upon after that.
pub fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What forming and building needs: held by whoever has the turn.
struct Turn {
    frontier: Frontier,
    /// Bytes left in the segment in use after all frames built so far; 0 when that is not sure.
    room: u64,
}

/// The locks of a thread that sees a group through.
struct Held<'a> {
    turn: Option<MutexGuard<'a, Turn>>,
    writer: Option<MutexGuard<'a, Writer>>,
}

/// A group that was applied, and what is left to do for it.
struct Built {
    group: Vec<Request>,
    results: Arc<Vec<u8>>,
    frame: Frame,
    touched: Vec<(u32, Balances)>,
    accounts: usize,
}

/// An open ledger that can be written.
pub struct Engine {
    directory: PathBuf,
    reader: Arc<SegmentReader>,
    queue: Mutex<Queue>,
    arrived: Condvar,
    turn: Mutex<Turn>,
    /// Everything applied, durable or not; held while a group is applied and, for a moment, by
    /// readers. Whoever holds it may take `durable` or `recent` too, never the other way round.
    pub applied: Mutex<State>,
    recent: RwLock<RecentFrames>,
    writer: Mutex<Writer>,
    /// What is durable; held for moments only.
    pub durable: Mutex<Durable>,
    records_max: usize,
    stopping: AtomicBool,
    poisoned: AtomicBool,
    poison: Mutex<Option<Fault>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<File>>,
}

/// Records of frames that were built before: in memory, or on the disk.
impl History for Engine {
    fn record(&self, sequence: u64) -> Result<Record, Fault> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = recent.record(sequence) {
            return Ok(record);
        }
        drop(recent);
        let place = *place_of(&hold(&self.durable).places, sequence);
        self.reader.record(&place, sequence)
    }
}

impl Engine {
    /// Start an engine on a directory that was opened for writing.
    pub fn start(opened: OpenedWriter) -> Arc<Self> {
        let OpenedWriter {
            scan,
            writer,
            lock,
            reader,
            ..
        } = opened;
        let segment_size = scan.identity.segment_size;
        let whole = usize::try_from(segment_size).expect("bounded") - frame_bytes(1);
        let records_max = FRAME_RECORDS_MAX.min((whole - HEADER) / RECORD_SIZE);
        let turn = Turn {
            frontier: scan.frontier.clone(),
            room: segment_size - scan.offset,
        };
        let (durable, state) = Durable::from_scan(scan);
        Arc::new(Self {
            directory: reader.directory().to_path_buf(),
            reader,
            queue: Mutex::default(),
            arrived: Condvar::new(),
            turn: Mutex::new(turn),
            applied: Mutex::new(state),
            recent: RwLock::default(),
            writer: Mutex::new(writer),
            durable: Mutex::new(durable),
            records_max,
            stopping: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
            poison: Mutex::new(None),
            threads: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads segments.
    pub fn reader(&self) -> &SegmentReader {
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
                "{}: a write failed ({cause}); what was outstanding is indeterminate until the \
                 ledger is reopened",
                self.directory.display()
            );
            return Err(Fault::new(FaultKind::Poisoned, text));
        }
        if self.stopping.load(Ordering::Acquire) {
            let text = format!(
                "{}: the ledger is closed; open it again",
                self.directory.display()
            );
            return Err(Fault::new(FaultKind::Closed, text));
        }
        Ok(())
    }

    fn poison(&self, fault: Fault) {
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
        waiter.wait()
    }

    /// Queue a request for the serving threads, who hear of it by `announce`.
    pub fn submit(&self, request: Request) -> Result<(), Fault> {
        self.enqueue(request)
    }

    /// Wake a serving thread for what was submitted.
    pub fn announce(&self) {
        self.arrived.notify_one();
    }

    /// Start the threads that serve coroutines, once.
    pub fn serve(self: &Arc<Self>) {
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

    /// Take the next group and see it through: apply, build, write, publish, answer.
    ///
    /// After a fault or a panic the engine is poisoned before any lock is given back, so that no
    /// other thread builds or writes on top of what was left half done.
    fn process<'a>(&'a self, turn: MutexGuard<'a, Turn>) {
        let group = hold(&self.queue).take_group(self.events_max());
        if group.is_empty() {
            return;
        }
        if let Err(fault) = self.check_poison() {
            return tell_all(group, &fault);
        }
        let mut held = Held {
            turn: Some(turn),
            writer: None,
        };
        match panic::catch_unwind(AssertUnwindSafe(|| self.commit(&mut held, group))) {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => self.poison(fault),
            Err(bug) => {
                let text = "the writer stopped inside a group";
                self.poison(Fault::new(FaultKind::Poisoned, text));
                drop(held);
                panic::resume_unwind(bug);
            }
        }
    }

    fn check_poison(&self) -> Result<(), Fault> {
        match self.check() {
            Err(fault) if fault.kind == FaultKind::Poisoned => Err(fault),
            _ => Ok(()),
        }
    }

    fn commit<'a>(&'a self, held: &mut Held<'a>, group: Vec<Request>) -> Result<(), Fault> {
        let now = group
            .iter()
            .map(|request| request.now)
            .max()
            .expect("a group is not empty");
        let turn = held.turn.as_mut().expect("taken before");
        let Some(group) = self.make_room(turn, admit(group, now)) else {
            return Ok(());
        };
        let mut built = self.apply(group, now)?;
        let digests = built.frame.digests();
        for leaf in built.frame.leaves() {
            turn.frontier.push(leaf);
        }
        let frontier = turn.frontier.clone();
        // Wait until the frame before this one is durable: also a group without a record, since
        // what it says may rest on that frame.
        let writer = held.writer.insert(hold(&self.writer));
        self.check_poison()?;
        if built.frame.count() == 0 {
            held.turn = None;
            built.answer();
            return Ok(());
        }
        let root = || hold(&self.durable).frontier.root();
        let place = writer.place(&mut built.frame, digests, root)?;
        turn.room = writer.room();
        let frame = Arc::new(std::mem::replace(&mut built.frame, Frame::empty()));
        self.recent
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&frame));
        held.turn = None;
        writer.write(&frame, &place)?;
        let (touched, accounts) = (&built.touched, built.accounts);
        hold(&self.durable).publish(&frame, place, touched, accounts, frontier, writer.tip());
        writer.write_mark()?;
        built.answer();
        Ok(())
    }

    /// Refuse the group up front unless its largest frame has room; nothing is applied then.
    fn make_room(&self, turn: &mut Turn, group: Vec<Request>) -> Option<Vec<Request>> {
        if group.is_empty() {
            return None;
        }
        let events: usize = group.iter().map(|request| request.events.count()).sum();
        let waiting = hold(&self.applied).expiries.len();
        let largest = events + waiting.min(self.expiries_max(events));
        if frame_bytes(largest) as u64 > turn.room {
            let mut writer = hold(&self.writer);
            if !writer.fits(largest) {
                if let Err(fault) = writer.wait_for_spare() {
                    drop(writer);
                    tell_all(group, &Fault::new(FaultKind::Full, fault.text));
                    return None;
                }
            }
        }
        Some(group)
    }

    fn expiries_max(&self, events: usize) -> usize {
        GROUP_EXPIRIES_MAX.min(self.records_max - events)
    }

    fn apply(&self, group: Vec<Request>, now: u64) -> Result<Built, Fault> {
        let events: usize = group.iter().map(|request| request.events.count()).sum();
        let mut results = Vec::with_capacity(RESULT_SIZE * events);
        let mut state = hold(&self.applied);
        let limit = self.expiries_max(events);
        let base = now.max(state.last_timestamp);
        let due = due_expiries(&state, base, limit).count();
        let mut frame = Frame::new(state.last_sequence + 1, events + due);
        let mut running = Group::new(&mut state, &mut frame, self, now);
        running.expire(limit)?;
        for request in &group {
            running.run(request.kind, request.events.bytes(), &mut results)?;
        }
        let touched = touched(&state, &frame);
        let accounts = state.accounts.len();
        drop(state);
        Ok(Built {
            group,
            results: Arc::new(results),
            frame,
            touched,
            accounts,
        })
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
        while !hold(&self.queue).is_empty() {
            self.process(hold(&self.turn));
        }
        let _turn = hold(&self.turn);
        let mut writer = hold(&self.writer);
        let finished = writer.finish();
        *hold(&self.lock) = None;
        if self.poisoned.load(Ordering::Acquire) {
            return Ok(());
        }
        finished
    }
}

impl Built {
    /// Tell every request its part of the results.
    fn answer(self) {
        let mut start = 0;
        for request in self.group {
            let length = RESULT_SIZE * request.events.count();
            let answer = Answer::new(Arc::clone(&self.results), start, length);
            start += length;
            request.reply.tell(Ok(answer));
        }
    }
}

/// Tell those whose deadline has passed; give the others.
fn admit(group: Vec<Request>, now: u64) -> Vec<Request> {
    if group.iter().all(|request| request.deadline.is_none()) {
        return group;
    }
    let is_late = |request: &Request| request.deadline.is_some_and(|deadline| now >= deadline);
    let (late, group): (Vec<Request>, Vec<Request>) = group.into_iter().partition(is_late);
    let text = "the deadline passed before submission: nothing was submitted, try again";
    tell_all(late, &Fault::new(FaultKind::Deadline, text));
    group
}

fn tell_all(group: Vec<Request>, fault: &Fault) {
    for request in group {
        request.reply.tell(Err(fault.clone()));
    }
}

/// The balances after a frame of every account that it names.
fn touched(state: &State, frame: &Frame) -> Vec<(u32, Balances)> {
    let mut touched = Vec::with_capacity(2 * frame.count());
    for record in frame.payload().chunks_exact(RECORD_SIZE) {
        for number in [u32_at(record, 32), u32_at(record, 36)] {
            if number != 0 {
                touched.push((number, *state.accounts.balances(number)));
            }
        }
    }
    touched
}
