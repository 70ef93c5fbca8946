//! One group from the queue to its answers: taken, applied, built, written, published.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;

use crate::accounts::Balances;
use crate::engine::{hold, Engine, Turn};
use crate::execute::{due_expiries, Group};
use crate::fault::{Fault, FaultKind};
use crate::frames::Frame;
use crate::limits::{GROUP_EXPIRIES_MAX, SPLIT_RECORDS_MIN};
use crate::merkle::Frontier;
use crate::pages::frame_bytes;
use crate::queue::{Answer, Request};
use crate::sha::Hash;
use crate::state::State;
use crate::wire::{u32_at, RECORD_SIZE, RESULT_SIZE};
use crate::writer::Writer;

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

impl Engine {
    /// Take the next group and see it through: apply, build, write, publish, answer.
    ///
    /// After a fault or a panic the engine is poisoned before any lock is given back, so that no
    /// other thread builds or writes on top of what was left half done.
    pub fn process<'a>(&'a self, turn: MutexGuard<'a, Turn>) {
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
        drop(held);
        self.seal_inline();
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
        let digests = hash(&built.frame, &mut turn.frontier);
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
        let in_use = u64::from(place.segment);
        let has_closed = in_use != self.segment_in_use.load(Ordering::Relaxed);
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
        self.marking.note();
        if has_closed {
            self.segment_closed(in_use);
        }
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
                drop(writer);
                self.wait_for_sealer();
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
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        let buffer = recent.take_buffer();
        drop(recent);
        let mut state = hold(&self.applied);
        let limit = self.expiries_max(events);
        let base = now.max(state.last_timestamp);
        let due = due_expiries(&state, base, limit).count();
        let mut frame = Frame::new(state.last_sequence + 1, events + due, buffer);
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

/// Append a frame's records to the tree; give the digests of its payload.
///
/// A large frame is hashed by two threads, one for the payload and one for the tree: hashing is a
/// third of what a large batch costs.
fn hash(frame: &Frame, frontier: &mut Frontier) -> (Hash, u32) {
    let grow = |frontier: &mut Frontier| frame.leaves().for_each(|leaf| frontier.push(leaf));
    if frame.count() < SPLIT_RECORDS_MIN {
        grow(frontier);
        return frame.digests();
    }
    thread::scope(|scope| {
        let helper = thread::Builder::new().spawn_scoped(scope, || frame.digests());
        grow(frontier);
        match helper {
            Ok(helper) => helper.join().expect("it hashes and nothing else"),
            // No thread to be had: it takes a little longer.
            Err(_) => frame.digests(),
        }
    })
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
