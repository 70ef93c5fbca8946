//! Posting lists: which records touch an account, oldest to newest, without a scan of the log.
//!
//! Each record links to the posting before it on either side, so that appending touches only the
//! account's own cache line and the end of one array. Every 64th posting of an account also stands
//! in its list of marks: any place in the list is at most 64 steps from a mark. What is cold
//! stands in the sealed segments and is let go here.

use std::collections::VecDeque;
use std::ops::Range;

/// Postings from mark to mark.
const STRIDE: usize = 64;
const STRIDE_BITS: u32 = STRIDE.trailing_zeros();
/// Links per chunk: the list grows by a megabyte at a time and never moves.
const CHUNK: usize = 1 << 16;

/// The newest posting of an account: its sequence, its side, and the number of postings modulo 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail(u64);

/// Which side of a record an account is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It is debited.
    Debit = 0,
    /// It is credited.
    Credit = 1,
}

/// A posting: a sequence and a side, in one number; 0 = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Posting(u64);

impl Posting {
    fn new(sequence: u64, side: Side) -> Self {
        Self(sequence << 1 | side as u64)
    }

    fn sequence(self) -> u64 {
        self.0 >> 1
    }

    fn side(self) -> usize {
        usize::from(self.0 & 1 == 1)
    }
}

impl Tail {
    fn new(posting: Posting, ordinal: usize) -> Self {
        Self(posting.0 << STRIDE_BITS | (ordinal % STRIDE) as u64)
    }

    fn posting(self) -> Posting {
        Posting(self.0 >> STRIDE_BITS)
    }

    fn ordinal(self) -> usize {
        usize::try_from(self.0).expect("a 64-bit machine") % STRIDE
    }
}

/// A run of links that is allocated at once.
pub type Links = Vec<[Posting; 2]>;

/// The links of the hot records and the marks of all accounts in them.
#[derive(Default)]
pub struct Postings {
    /// Of the records from `base` on: the posting before it of the debit and of the credit account.
    links: VecDeque<Links>,
    /// Records that stood in chunks that were let go.
    base: usize,
    /// Records that were cold from the start, or are linked here.
    records: usize,
    /// What lies up to this sequence is cold and not listed here.
    cold_end: u64,
    /// By account number less 1: the sequence of every 64th posting.
    marks: Vec<Vec<Posting>>,
}

impl Postings {
    /// Start behind what is cold, with so many accounts.
    pub fn behind(cold_end: u64, accounts: usize) -> Self {
        let records = usize::try_from(cold_end).expect("a 64-bit machine");
        Self {
            links: VecDeque::new(),
            base: records,
            records,
            cold_end,
            marks: vec![Vec::new(); accounts],
        }
    }

    /// Make room for the next account.
    pub fn add_account(&mut self) {
        self.marks.push(Vec::new());
    }

    /// Take the newest account back.
    pub fn remove_account(&mut self) {
        self.marks.pop();
    }

    /// Append a record that posts to nobody.
    #[inline]
    pub fn skip(&mut self) {
        self.push([Posting::default(); 2]);
    }

    /// Append a record that posts to two accounts, given by number with their tails.
    #[inline]
    pub fn append(&mut self, debit: (u32, &mut Tail), credit: (u32, &mut Tail)) {
        let sequence = self.records as u64 + 1;
        self.push([debit.1.posting(), credit.1.posting()]);
        self.note(debit, Posting::new(sequence, Side::Debit));
        self.note(credit, Posting::new(sequence, Side::Credit));
    }

    #[inline]
    fn push(&mut self, links: [Posting; 2]) {
        if (self.records - self.base).is_multiple_of(CHUNK) {
            self.links.push_back(Vec::with_capacity(CHUNK));
        }
        self.links.back_mut().expect("made above").push(links);
        self.records += 1;
    }

    #[inline]
    fn note(&mut self, (number, tail): (u32, &mut Tail), posting: Posting) {
        let marks = &mut self.marks[number as usize - 1];
        // The first posting of a run of 64 is marked; the tail counts from 0 within its run.
        let ordinal = if tail.posting() == Posting::default() {
            0
        } else {
            tail.ordinal() + 1
        };
        if ordinal % STRIDE == 0 {
            marks.push(posting);
        }
        *tail = Tail::new(posting, ordinal);
    }

    /// Take the newest record back from its accounts, or from nobody.
    pub fn take_back(&mut self, accounts: Option<[(u32, &mut Tail); 2]>) {
        let chunk = self.links.back_mut().expect("it was appended");
        let links = chunk.pop().expect("a chunk is not empty");
        if chunk.is_empty() {
            self.links.pop_back();
        }
        self.records -= 1;
        for ((number, tail), before) in accounts.into_iter().flatten().zip(links) {
            let ordinal = tail.ordinal();
            if ordinal == 0 {
                self.marks[number as usize - 1].pop();
            }
            *tail = if before == Posting::default() {
                Tail::default()
            } else {
                Tail::new(before, ordinal + STRIDE - 1)
            };
        }
    }

    /// Let the records up to a sequence go, which have become cold; the marks of the accounts go
    /// by `forget_marks`.
    pub fn forget(&mut self, cold_end: u64) -> Vec<Links> {
        assert!(cold_end >= self.cold_end);
        self.cold_end = cold_end;
        let mut gone = Vec::new();
        while self.links.len() > 1 && (self.base + CHUNK) as u64 <= cold_end {
            gone.extend(self.links.pop_front());
            self.base += CHUNK;
        }
        gone
    }

    /// Let the cold marks of some accounts go, by their places; false when there are none so far.
    pub fn forget_marks(&mut self, places: Range<usize>) -> bool {
        let end = places.end.min(self.marks.len());
        if places.start >= end {
            return false;
        }
        for marks in &mut self.marks[places.start..end] {
            let cold = marks.partition_point(|mark| mark.sequence() <= self.cold_end);
            marks.drain(..cold);
            if marks.capacity() > 4 * marks.len() + 16 {
                marks.shrink_to(2 * marks.len());
            }
        }
        true
    }

    /// The sequences of an account's hot postings within `[from, before)`, oldest first: at most
    /// `limit` of them, the newest ones when `newest` says so.
    pub fn range(
        &self,
        (number, tail): (u32, Tail),
        (from, before): (u64, u64),
        limit: usize,
        newest: bool,
    ) -> Vec<u64> {
        let from = from.max(self.cold_end + 1);
        let marks = &self.marks[number as usize - 1];
        let mut found = Vec::new();
        if newest {
            let behind = marks.partition_point(|mark| mark.sequence() < before);
            let start = marks.get(behind).map_or(tail.posting(), |mark| *mark);
            self.walk(start, from, |sequence| {
                if sequence < before {
                    found.push(sequence);
                }
                found.len() < limit
            });
            found.reverse();
            return found;
        }
        // Run by run: each is walked back from the mark behind it.
        let mut behind = marks.partition_point(|mark| mark.sequence() <= from);
        let mut least = from;
        while found.len() < limit && least < before {
            let start = marks.get(behind).map_or(tail.posting(), |mark| *mark);
            let from_here = found.len();
            self.walk(start, least, |sequence| {
                if sequence < before {
                    found.push(sequence);
                }
                true
            });
            found[from_here..].reverse();
            if behind >= marks.len() {
                break;
            }
            least = start.sequence() + 1;
            behind += 1;
        }
        found.truncate(limit);
        found
    }

    /// Walk an account's list back from a posting down to a sequence, as long as `go_on` says so.
    fn walk(&self, start: Posting, from: u64, mut go_on: impl FnMut(u64) -> bool) {
        let mut posting = start;
        while posting != Posting::default() && posting.sequence() >= from {
            if !go_on(posting.sequence()) {
                return;
            }
            let place = usize::try_from(posting.sequence()).expect("a 64-bit machine") - 1;
            let place = place - self.base;
            posting = self.links[place / CHUNK][place % CHUNK][posting.side()];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_agree_with_plain_vectors_after_appends_and_take_backs() {
        let mut postings = Postings::default();
        let mut tails = [Tail::default(); 4];
        let mut plain: [Vec<u64>; 4] = Default::default();
        let mut log: Vec<Option<(usize, usize)>> = Vec::new();
        for _ in 0..4 {
            postings.add_account();
        }
        let number = |place: usize| u32::try_from(place + 1).unwrap();
        let mut seed = 1u64;
        for step in 0..3_000u64 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(step);
            let draw = usize::try_from(seed >> 33).unwrap();
            if draw.is_multiple_of(7) && !log.is_empty() {
                let accounts = log.pop().unwrap();
                if let Some((debit, credit)) = accounts {
                    plain[debit].pop();
                    plain[credit].pop();
                    let [debit_tail, credit_tail] =
                        tails.get_disjoint_mut([debit, credit]).unwrap();
                    let both = [(number(debit), debit_tail), (number(credit), credit_tail)];
                    postings.take_back(Some(both));
                } else {
                    postings.take_back(None);
                }
            } else if draw.is_multiple_of(11) {
                log.push(None);
                postings.skip();
            } else {
                let (debit, credit) = (draw % 4, (draw + 1 + draw / 4 % 3) % 4);
                log.push(Some((debit, credit)));
                plain[debit].push(log.len() as u64);
                plain[credit].push(log.len() as u64);
                let [debit_tail, credit_tail] = tails.get_disjoint_mut([debit, credit]).unwrap();
                postings.append((number(debit), debit_tail), (number(credit), credit_tail));
            }
        }
        compare(&postings, &tails, &plain, 0);
        for cold in [700, 1_500, 1_900] {
            drop(postings.forget(cold));
            compare(&postings, &tails, &plain, cold);
            assert!(postings.forget_marks(0..4) && !postings.forget_marks(4..8));
            compare(&postings, &tails, &plain, cold);
        }
    }

    fn compare(postings: &Postings, tails: &[Tail; 4], plain: &[Vec<u64>; 4], cold: u64) {
        for (place, list) in plain.iter().enumerate() {
            let account = (u32::try_from(place + 1).unwrap(), tails[place]);
            for (from, before) in [(0, 3_000), (500, 900), (871, 2_000), (2_990, 2_991), (9, 9)] {
                let wanted =
                    |sequence: &&u64| **sequence > cold && (from..before).contains(*sequence);
                let all: Vec<u64> = list.iter().filter(wanted).copied().collect();
                for limit in [1, 3, 64, 65, 5_000] {
                    let oldest = &all[..limit.min(all.len())];
                    let newest = &all[all.len().saturating_sub(limit)..];
                    let range = |newest| postings.range(account, (from, before), limit, newest);
                    assert_eq!(range(false), oldest);
                    assert_eq!(range(true), newest);
                }
            }
        }
    }
}
