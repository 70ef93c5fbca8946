//! One commit group: expiries first, then its requests one by one, linked chains whole or not at all.
//!
//! Source: docs/reference/ledger-format.md, section 7; ledger.md 1.2, rules 1, 2, 4 and 7.

use crate::fault::Fault;
use crate::frames::Frame;
use crate::limits::GROUP_EXPIRIES_MAX;
use crate::record::Record;
use crate::state::{History, State};
use crate::status::transfer as status;
use crate::transfers::{Decision, Parties};
use crate::wire::{transfer_flags, u16_at, WireAccount, WireTransfer, RECORD_SIZE, RESULT_SIZE};

/// Events whose accounts and id slots are looked up before the first of them is decided, so that
/// the memory accesses overlap. Transfers create no account, so what was found stays true.
const AHEAD: usize = 32;

/// What the events of a request are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Accounts to be created.
    Accounts,
    /// Transfers to be posted.
    Transfers,
}

/// The frame under construction, in front of everything that was written before.
struct Ahead<'a, H> {
    frame: &'a Frame,
    before: &'a H,
}

impl<H: History> History for Ahead<'_, H> {
    #[inline]
    fn record(&self, sequence: u64) -> Result<Record, Fault> {
        match self.frame.record(sequence) {
            Some(record) => Ok(record),
            None => self.before.record(sequence),
        }
    }
}

/// A linked chain that is running.
struct Chain {
    /// Position of its first event.
    start: usize,
    /// Records of the frame before it.
    records: usize,
    broken: bool,
}

/// A timestamp and a status, as they go into a result.
type Given = (u64, u32);

/// One event of a request.
#[derive(Clone, Copy)]
struct Event<'a> {
    kind: EventKind,
    bytes: &'a [u8; RECORD_SIZE],
    parties: Parties,
    timestamp: u64,
    position: usize,
    is_last: bool,
}

impl Event<'_> {
    /// The bit is the same in accounts and transfers.
    #[inline]
    fn is_linked(&self) -> bool {
        u16_at(self.bytes, 118) & transfer_flags::LINKED != 0
    }

    /// An event of a broken chain has no time of its own where it is an account.
    fn failed(&self, status: u32) -> Given {
        match self.kind {
            EventKind::Accounts => (0, status),
            EventKind::Transfers => (self.timestamp, status),
        }
    }
}

/// One commit group at work.
pub struct Group<'a, H> {
    state: &'a mut State,
    frame: &'a mut Frame,
    before: &'a H,
    now: u64,
}

impl<'a, H: History> Group<'a, H> {
    /// Start a group at `now`, nanoseconds UTC.
    pub fn new(state: &'a mut State, frame: &'a mut Frame, before: &'a H, now: u64) -> Self {
        Self {
            state,
            frame,
            before,
            now,
        }
    }

    /// Record every reservation that has run out, at most `limit` of them.
    pub fn expire(&mut self, limit: usize) -> Result<(), Fault> {
        let base = self.now.max(self.state.last_timestamp);
        let due: Vec<u64> = due_expiries(self.state, base, limit).collect();
        for (place, sequence) in due.iter().enumerate() {
            let pending = Ahead {
                frame: self.frame,
                before: self.before,
            }
            .record(*sequence)?;
            let timestamp = base + place as u64 + 1;
            self.take(self.state.expiration(&pending, timestamp));
            self.state.last_timestamp = timestamp;
        }
        Ok(())
    }

    /// Run one request; one 16-byte result per event is appended to `results`.
    pub fn run(
        &mut self,
        kind: EventKind,
        events: &[u8],
        results: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let (events, rest) = events.as_chunks::<RECORD_SIZE>();
        assert!(rest.is_empty(), "whole events");
        let count = events.len();
        let batch = self.now.max(self.state.last_timestamp + count as u64);
        let first = batch - count as u64 + 1;
        let mut chain: Option<Chain> = None;
        let mut parties = [Parties::default(); AHEAD];
        for (position, event) in events.iter().enumerate() {
            if kind == EventKind::Transfers && position % AHEAD == 0 {
                for (place, event) in parties.iter_mut().zip(&events[position..]) {
                    *place = self.state.prepare_transfer(event);
                }
            }
            let event = Event {
                kind,
                bytes: event,
                parties: parties[position % AHEAD],
                timestamp: first + position as u64,
                position,
                is_last: position + 1 == count,
            };
            let answer = if event.is_linked() || chain.is_some() {
                self.chained(&event, &mut chain, results)?
            } else {
                let (answer, refusal) = self.single(&event)?;
                if let Some(record) = refusal {
                    self.take(record);
                }
                answer
            };
            push_result(results, answer);
        }
        self.state.last_timestamp = batch;
        Ok(())
    }

    /// Run one event of a linked chain; when it breaks the chain, mend the answers given before.
    fn chained(
        &mut self,
        event: &Event<'_>,
        chain: &mut Option<Chain>,
        results: &mut [u8],
    ) -> Result<Given, Fault> {
        let records = self.frame.count();
        let start = event.position;
        let running = chain.get_or_insert(Chain {
            start,
            records,
            broken: false,
        });
        let stays_open = event.is_linked() && event.is_last;
        let (answer, refusal) = if stays_open {
            (event.failed(status::LINKED_EVENT_CHAIN_OPEN), None)
        } else if running.broken {
            (event.failed(status::LINKED_EVENT_FAILED), None)
        } else {
            self.single(event)?
        };
        if answer.1 != status::CREATED && !running.broken {
            running.broken = true;
            let before = running.start;
            self.take_back(running.records);
            mend(event, results, event.position - before);
        }
        if !event.is_linked() || stays_open {
            *chain = None;
        }
        if let Some(record) = refusal {
            self.take(self.restated(record));
        }
        Ok(answer)
    }

    /// Decide about one event and do what was decided. The record that burns its id is left to
    /// the caller, since a chain may have to be taken back first.
    #[inline]
    fn single(&mut self, event: &Event<'_>) -> Result<(Given, Option<Record>), Fault> {
        let timestamp = event.timestamp;
        let decision = match event.kind {
            EventKind::Transfers => {
                let history = Ahead {
                    frame: self.frame,
                    before: self.before,
                };
                let transfer = WireTransfer::unpack(event.bytes);
                self.state
                    .decide_transfer(&transfer, event.parties, timestamp, &history)?
            }
            EventKind::Accounts => self
                .state
                .decide_account(&WireAccount::unpack(event.bytes), timestamp),
        };
        Ok(match decision {
            Decision::Take(record) => {
                self.take(record);
                ((timestamp, status::CREATED), None)
            }
            Decision::Burn(record) => ((timestamp, record.status.into()), Some(record)),
            Decision::Answer { timestamp, status } => ((timestamp, status), None),
        })
    }

    #[inline]
    fn take(&mut self, record: Record) {
        self.state.absorb(&record);
        self.frame.push(&record);
    }

    /// Take back the newest records until `count` are left in the frame.
    fn take_back(&mut self, count: usize) {
        while self.frame.count() > count {
            let record = self.frame.pop();
            self.state.revert(&record);
        }
    }

    /// A refusal as it reads now: the chain in which it was decided may have been taken back.
    fn restated(&self, mut record: Record) -> Record {
        record.sequence = self.state.last_sequence + 1;
        if record.pending_sequence > self.state.last_sequence {
            record.pending_sequence = 0;
        }
        if !record.names_unknown_id() {
            record.debit_balance_after = self.state.net(record.debit);
            record.credit_balance_after = self.state.net(record.credit);
        }
        record
    }
}

/// The open reservations that have run out by `base`, in order, at most `limit`.
pub fn due_expiries(state: &State, base: u64, limit: usize) -> impl Iterator<Item = u64> + use<'_> {
    let due = state
        .expiries
        .iter()
        .take_while(move |(expires_at, _)| *expires_at <= base);
    due.take(limit.min(GROUP_EXPIRIES_MAX))
        .map(|(_, sequence)| *sequence)
}

#[inline]
fn push_result(results: &mut Vec<u8>, (timestamp, status): Given) {
    results.extend_from_slice(&timestamp.to_le_bytes());
    results.extend_from_slice(&status.to_le_bytes());
    results.extend_from_slice(&0u32.to_le_bytes());
}

/// Tell the `count` events before this one that their chain failed.
fn mend(event: &Event<'_>, results: &mut [u8], count: usize) {
    let start = results.len() - RESULT_SIZE * count;
    let first = event.timestamp - count as u64;
    for (place, result) in results[start..].chunks_exact_mut(RESULT_SIZE).enumerate() {
        let earlier = Event {
            timestamp: first + place as u64,
            ..*event
        };
        let (timestamp, status) = earlier.failed(status::LINKED_EVENT_FAILED);
        result[..8].copy_from_slice(&timestamp.to_le_bytes());
        result[8..12].copy_from_slice(&status.to_le_bytes());
    }
}
