//! Posting lists: which records touch an account, oldest to newest, without a scan of the log.
//!
//! Each record links to the posting before it on either side, so that appending touches only the
//! account's own cache line and the end of one array. Every 64th posting of an account also stands
//! in its list of marks: any place in the list is at most 64 steps from a mark.

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
struct Posting(u64);

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

/// The links of all records and the marks of all accounts.
#[derive(Default)]
pub struct Postings {
    /// By sequence less 1: the posting before it of the debit and of the credit account.
    links: Vec<Vec<[Posting; 2]>>,
    records: usize,
    /// By account number less 1: the sequence of every 64th posting, the first included.
    marks: Vec<Vec<Posting>>,
}

impl Postings {
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
        if self.records.is_multiple_of(CHUNK) {
            self.links.push(Vec::with_capacity(CHUNK));
        }
        self.links.last_mut().expect("made above").push(links);
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
        let chunk = self.links.last_mut().expect("it was appended");
        let links = chunk.pop().expect("a chunk is not empty");
        if chunk.is_empty() {
            self.links.pop();
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

    /// How many postings an account has.
    pub fn count(&self, number: u32, tail: Tail) -> usize {
        match self.marks[number as usize - 1].len() {
            0 => 0,
            runs => STRIDE * (runs - 1) + tail.ordinal() + 1,
        }
    }

    /// How many of an account's postings have a sequence below the one given.
    pub fn count_below(&self, number: u32, tail: Tail, sequence: u64) -> usize {
        let marks = &self.marks[number as usize - 1];
        let runs = marks.partition_point(|mark| mark.sequence() < sequence);
        if runs == 0 {
            return 0;
        }
        let start = STRIDE * (runs - 1);
        let end = self.count(number, tail).min(STRIDE * runs);
        let run = self.range(number, tail, start, end - start);
        start + run.partition_point(|posting| *posting < sequence)
    }

    /// The sequences of an account's postings from a place on, oldest first.
    pub fn range(&self, number: u32, tail: Tail, start: usize, length: usize) -> Vec<u64> {
        let mut sequences = vec![0; length];
        if length == 0 {
            return sequences;
        }
        let last = start + length - 1;
        let (mut posting, mut ordinal) =
            match self.marks[number as usize - 1].get(last / STRIDE + 1) {
                Some(mark) => (*mark, STRIDE * (last / STRIDE + 1)),
                None => (tail.posting(), self.count(number, tail) - 1),
            };
        assert!(last <= ordinal, "within the list");
        loop {
            if ordinal <= last {
                sequences[ordinal - start] = posting.sequence();
            }
            if ordinal == start {
                return sequences;
            }
            let place = usize::try_from(posting.sequence()).expect("a 64-bit machine") - 1;
            posting = self.links[place / CHUNK][place % CHUNK][posting.side()];
            ordinal -= 1;
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
        for (place, list) in plain.iter().enumerate() {
            let (number, tail) = (number(place), tails[place]);
            assert_eq!(postings.count(number, tail), list.len());
            assert_eq!(&postings.range(number, tail, 0, list.len()), list);
            let end = list.len();
            for start in (0..end).step_by(37) {
                let length = (end - start).min(100);
                let expected = &list[start..start + length];
                assert_eq!(postings.range(number, tail, start, length), expected);
            }
            for sequence in 0..3_000 {
                let below = list.partition_point(|posting| *posting < sequence);
                assert_eq!(postings.count_below(number, tail, sequence), below);
            }
        }
    }
}
