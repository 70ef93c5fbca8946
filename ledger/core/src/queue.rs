//! What waits for a commit group, and how the answers find their way back.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::execute::EventKind;
use crate::fault::{Fault, FaultKind};
use crate::limits::QUEUE_EVENTS_MAX;
use crate::wire::{RECORD_SIZE, RESULT_SIZE};

/// The results of one request: a part of its group's.
#[derive(Clone)]
pub struct Answer {
    results: Arc<Vec<u8>>,
    start: usize,
    length: usize,
}

impl Answer {
    /// Cut a request's results out of its group's.
    pub fn new(results: Arc<Vec<u8>>, start: usize, length: usize) -> Self {
        assert!(start + length <= results.len() && length.is_multiple_of(RESULT_SIZE));
        Self {
            results,
            start,
            length,
        }
    }

    /// 16 bytes for each event.
    pub fn bytes(&self) -> &[u8] {
        &self.results[self.start..self.start + self.length]
    }
}

/// What a request is told in the end.
pub type Outcome = Result<Answer, Fault>;

/// A thread that waits for its answer.
#[derive(Default)]
pub struct Waiter {
    outcome: Mutex<Option<Outcome>>,
    told: Condvar,
}

impl Waiter {
    /// Wait for the answer.
    pub fn wait(&self) -> Outcome {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outcome = self
            .told
            .wait_while(outcome, |outcome| outcome.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        outcome.take().expect("waited until there is one")
    }
}

struct Letters {
    waiting: Vec<(u64, Outcome)>,
    rung: bool,
}

/// Answers for one event loop, and the bell that wakes it: one ring for all that lie there, and no
/// lock of the interpreter needed to ring it.
pub struct Mailbox {
    letters: Mutex<Letters>,
    bell: UnixStream,
    ear: UnixStream,
}

impl Mailbox {
    /// Make a mailbox with a bell.
    pub fn new() -> io::Result<Self> {
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        let letters = Mutex::new(Letters {
            waiting: Vec::new(),
            rung: false,
        });
        Ok(Self { letters, bell, ear })
    }

    /// The end that becomes readable when there are answers.
    pub fn ear(&self) -> &UnixStream {
        &self.ear
    }

    /// Take all answers that lie there.
    pub fn collect(&self) -> Vec<(u64, Outcome)> {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        if letters.rung {
            letters.rung = false;
            // One byte was written for one ring; nothing else is ever in the pipe.
            let mut byte = [0u8];
            let read = (&self.ear).read(&mut byte);
            debug_assert!(matches!(read, Ok(1)));
        }
        std::mem::take(&mut letters.waiting)
    }

    fn put(&self, token: u64, outcome: Outcome) {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.waiting.push((token, outcome));
        if !letters.rung {
            letters.rung = true;
            // It cannot be full, holding at most this byte; with its reader gone nobody listens.
            let rung = (&self.bell).write(&[1]);
            debug_assert!(rung.is_ok());
        }
    }
}

/// Where an answer goes. Dropped unanswered, it says that the ledger stopped: nobody may wait for
/// an answer that cannot come.
pub struct ReplyTo(Option<Address>);

enum Address {
    Waiter(Arc<Waiter>),
    Mail(Arc<Mailbox>, u64),
}

impl ReplyTo {
    /// A thread waits.
    pub fn waiter(waiter: Arc<Waiter>) -> Self {
        Self(Some(Address::Waiter(waiter)))
    }

    /// An event loop waits; the token says which of its futures.
    pub fn mail(mailbox: Arc<Mailbox>, token: u64) -> Self {
        Self(Some(Address::Mail(mailbox, token)))
    }

    /// The request never got in: its caller hears that at once.
    pub fn forget(mut self) {
        self.0 = None;
    }

    /// Give the answer.
    pub fn tell(mut self, outcome: Outcome) {
        self.deliver(outcome);
    }

    fn deliver(&mut self, outcome: Outcome) {
        match self.0.take() {
            Some(Address::Waiter(waiter)) => {
                *waiter
                    .outcome
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                waiter.told.notify_one();
            }
            Some(Address::Mail(mailbox, token)) => mailbox.put(token, outcome),
            None => {}
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        let text = "the ledger stopped inside a group; what was outstanding is indeterminate \
                    until it is reopened";
        self.deliver(Err(Fault::new(FaultKind::Poisoned, text)));
    }
}

/// The bytes of a request's events.
pub enum Events {
    /// One event, without an allocation of its own.
    One([u8; RECORD_SIZE]),
    /// Any number.
    Many(Vec<u8>),
}

impl Events {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::One(event) => event,
            Self::Many(events) => events,
        }
    }

    /// How many events.
    pub fn count(&self) -> usize {
        self.bytes().len() / RECORD_SIZE
    }
}

/// Events of one kind that commit together.
pub struct Request {
    /// Accounts or transfers.
    pub kind: EventKind,
    /// Their bytes.
    pub events: Events,
    /// The caller's clock when it asked, nanoseconds UTC.
    pub now: u64,
    /// On the same clock: do not submit from then on.
    pub deadline: Option<u64>,
    /// Where the answer goes.
    pub reply: ReplyTo,
}

impl Request {
    /// What it counts in the bounded queue: one at least, so that pulses are bounded too.
    fn weight(&self) -> usize {
        self.events.count().max(1)
    }
}

/// The bounded queue in front of the writer.
#[derive(Default)]
pub struct Queue {
    requests: VecDeque<Request>,
    events: usize,
}

impl Queue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Add a request, unless too many events wait already.
    pub fn push(&mut self, request: Request) -> Result<(), (Box<Request>, Fault)> {
        let count = request.weight();
        if self.events + count > QUEUE_EVENTS_MAX {
            let text = format!(
                "{} transfers wait already, the bound is {QUEUE_EVENTS_MAX}; nothing was \
                 submitted, try again",
                self.events
            );
            return Err((Box::new(request), Fault::new(FaultKind::Busy, text)));
        }
        self.events += count;
        self.requests.push_back(request);
        Ok(())
    }

    /// Take the next group: the first request always, more while all together stay within `limit`.
    pub fn take_group(&mut self, limit: usize) -> Vec<Request> {
        let mut taken = 0;
        let mut events = 0;
        for request in &self.requests {
            let with = events + request.events.count();
            if taken > 0 && with > limit {
                break;
            }
            events = with;
            taken += 1;
        }
        let group: Vec<Request> = self.requests.drain(..taken).collect();
        self.events -= group.iter().map(Request::weight).sum::<usize>();
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(events: usize, reply: ReplyTo) -> Request {
        let events = Events::Many(vec![0; RECORD_SIZE * events]);
        Request {
            kind: EventKind::Transfers,
            events,
            now: 0,
            deadline: None,
            reply,
        }
    }

    fn nobody() -> ReplyTo {
        ReplyTo(None)
    }

    #[test]
    fn a_group_takes_the_first_request_always_and_more_while_they_fit() {
        let mut queue = Queue::default();
        for events in [5, 3, 0, 2, 9] {
            assert!(queue.push(request(events, nobody())).is_ok());
        }
        let sizes = |group: Vec<Request>| -> Vec<usize> {
            group.iter().map(|request| request.events.count()).collect()
        };
        assert_eq!(sizes(queue.take_group(8)), [5, 3, 0]);
        assert_eq!(sizes(queue.take_group(8)), [2]);
        assert_eq!(sizes(queue.take_group(8)), [9]);
        assert!(queue.take_group(8).is_empty() && queue.is_empty());
    }

    #[test]
    fn a_full_queue_is_busy_and_has_room_again_after_a_group_was_taken() {
        let mut queue = Queue::default();
        assert!(queue.push(request(QUEUE_EVENTS_MAX, nobody())).is_ok());
        let (_, fault) = queue.push(request(1, nobody())).expect_err("it is full");
        assert_eq!(fault.kind, FaultKind::Busy);
        assert_eq!(queue.take_group(1).len(), 1);
        assert!(queue.push(request(1, nobody())).is_ok());
    }

    #[test]
    fn an_answer_that_cannot_come_is_told_and_a_forgotten_one_is_not() {
        let mailbox = Arc::new(Mailbox::new().expect("a socket pair"));
        drop(request(1, ReplyTo::mail(Arc::clone(&mailbox), 7)));
        request(1, ReplyTo::mail(Arc::clone(&mailbox), 8))
            .reply
            .forget();
        let letters = mailbox.collect();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].0, 7);
        let told = letters[0].1.as_ref().err().map(|fault| fault.kind);
        assert_eq!(told, Some(FaultKind::Poisoned));
        assert!(mailbox.collect().is_empty());
    }
}
