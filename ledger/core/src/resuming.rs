//! Where opening starts to read: behind the newest valid snapshot, or at genesis.
//!
//! Source: docs/reference/ledger-format.md, section 10.

use std::sync::Arc;

use crate::absorb::{genesis, Absorber};
use crate::cold::Cold;
use crate::fault::Fault;
use crate::movement::open_pending;
use crate::opening::Expected;
use crate::pages::{CommitMark, Identity, SegmentHeader};
use crate::postings::Postings;
use crate::scan::{Position, Scan};
use crate::sealed::SealedSegment;
use crate::segments::{snapshot_name, Listing, SegmentReader};
use crate::sha::{sha256, Hash};
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::storage::{path_of, read_fully, Access};

/// A walk that can start, and the sequence of the snapshot it starts from (0 at genesis).
pub struct Started {
    /// The walk.
    pub scan: Scan<State>,
    /// Of the snapshot.
    pub snapshot_sequence: u64,
}

/// Find where to start.
pub fn start(
    identity: Identity,
    reader: &Arc<SegmentReader>,
    listing: &Listing,
    expected: Option<Expected>,
) -> Result<Started, Fault> {
    for number in listing.snapshots.iter().rev() {
        let sealed = (1..=*number).all(|segment| listing.is_sealed(segment));
        if !sealed {
            continue;
        }
        let Some(snapshot) = read_snapshot(reader, *number)? else {
            continue;
        };
        if snapshot.page.uuid != identity.uuid || snapshot.page.segment != *number {
            continue;
        }
        let cold = open_cold(identity, reader, *number)?;
        if is_of(&snapshot, &cold) {
            return from_snapshot(identity, reader, cold, snapshot, expected);
        }
    }
    let cold = Arc::new(Cold::default());
    let mut scan = Scan::new(identity, Arc::clone(reader), cold, genesis(&identity));
    scan.witness = expected.map(|expected| (expected.sequence, None));
    Ok(Started {
        scan,
        snapshot_sequence: 0,
    })
}

fn read_snapshot(reader: &Arc<SegmentReader>, number: u64) -> Result<Option<Snapshot>, Fault> {
    let name = snapshot_name(number);
    let read = reader.storage().open(&name, Access::Read).and_then(|file| {
        let length = usize::try_from(file.length()?).map_err(std::io::Error::other)?;
        let mut bytes = vec![0u8; length];
        let read = read_fully(&*file, &mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(Snapshot::unpack(&bytes)),
        // Beside a writer an old one may be removed at any time.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let path = path_of(&**reader.storage(), &name);
            Err(Fault::from_io(&path, "cannot read", &error))
        }
    }
}

/// Open the sealed segments up to a number; each must continue the one before.
fn open_cold(
    identity: Identity,
    reader: &Arc<SegmentReader>,
    upto: u64,
) -> Result<Arc<Cold>, Fault> {
    let mut cold = Cold::default();
    let (mut root, mut chain_head, mut frame): (Hash, Hash, u64) =
        (sha256(b""), identity.genesis(), 0);
    for number in 1..=upto {
        let segment = SealedSegment::open(reader, number)?;
        let page = segment.page();
        let expected = SegmentHeader {
            uuid: identity.uuid,
            number,
            nonce: page.segment.nonce,
            first_sequence: cold.end() + 1,
            first_frame: frame + 1,
            root,
            previous: chain_head,
            segment_size: identity.segment_size,
        };
        if page.segment != expected {
            let what = "the segment does not continue the one before it";
            return Err(Fault::corrupt(&reader.sealed_path(number), 0, what));
        }
        (root, chain_head, frame) = (page.root, page.chain_head, page.last_frame());
        cold = cold.with(Arc::new(segment));
    }
    Ok(Arc::new(cold))
}

/// Whether a snapshot says what the header page of its sealed segment says.
fn is_of(snapshot: &Snapshot, cold: &Cold) -> bool {
    let sealed = cold
        .segments()
        .last()
        .expect("a snapshot's number is 1 at least")
        .page();
    let page = &snapshot.page;
    page.sequence == sealed.last_sequence()
        && page.timestamp == sealed.timestamp_last
        && page.frame == sealed.last_frame()
        && page.chain_head == sealed.chain_head
        && page.root == sealed.root
}

fn from_snapshot(
    identity: Identity,
    reader: &Arc<SegmentReader>,
    cold: Arc<Cold>,
    snapshot: Snapshot,
    expected: Option<Expected>,
) -> Result<Started, Fault> {
    let page = snapshot.page;
    let witness = match expected {
        Some(expected) if expected.sequence <= cold.end() => {
            Some((expected.sequence, Some(cold.root_at(expected.sequence)?)))
        }
        Some(expected) => Some((expected.sequence, None)),
        None => None,
    };
    let position = Position {
        frontier: snapshot.frontier.clone(),
        chain_head: page.chain_head,
        frame: page.frame,
        segment: page.segment,
        taker: state_of(snapshot, Arc::clone(&cold)),
    };
    let mut scan = Scan::new(identity, Arc::clone(reader), cold, position);
    scan.witness = witness;
    Ok(Started {
        scan,
        snapshot_sequence: page.sequence,
    })
}

fn state_of(snapshot: Snapshot, cold: Arc<Cold>) -> State {
    let mut state = State {
        last_sequence: snapshot.page.sequence,
        last_timestamp: snapshot.page.timestamp,
        postings: Postings::behind(snapshot.page.sequence, snapshot.accounts.len()),
        cold,
        ..State::default()
    };
    for account in snapshot.accounts {
        state
            .accounts
            .add(account.id, account.balances, account.identity);
    }
    for record in snapshot.pendings {
        let pending = open_pending(&record);
        if pending.expires_at != 0 {
            state.expiries.insert((pending.expires_at, record.sequence));
        }
        state.pendings.insert(record.sequence, pending);
    }
    state
}

impl<T: Absorber> Scan<T> {
    /// Walk through the sealed segments that come next.
    pub fn pass_sealed(
        &mut self,
        listing: &Listing,
        mark: Option<CommitMark>,
    ) -> Result<(), Fault> {
        while listing.is_sealed(self.segment + 1) {
            self.take_sealed(self.segment + 1, mark, u64::MAX)?;
        }
        Ok(())
    }

    /// Find in their sealed form the segments behind that were raw when they were walked through;
    /// tell whether there were any.
    pub fn take_over_sealed(&mut self) -> Result<bool, Fault> {
        let listing = crate::segments::list(&**self.reader().storage())?;
        let mut some = false;
        loop {
            let number = self.cold.last_number() + 1;
            if number >= self.segment || !listing.sealed.contains(&number) {
                return Ok(some);
            }
            let sealed = Arc::new(SealedSegment::open(self.reader(), number)?);
            let continues = match self.cold.segments().last() {
                Some(before) => {
                    sealed.page().segment.previous == before.page().chain_head
                        && sealed.page().segment.root == before.page().root
                }
                None => sealed.page().segment.previous == self.identity.genesis(),
            };
            if !continues || sealed.first_sequence() != self.cold.end() + 1 {
                let what = "the segment does not continue the one before it";
                return Err(Fault::corrupt(&self.reader().sealed_path(number), 0, what));
            }
            let end = sealed.last_sequence();
            self.cold = Arc::new(self.cold.with(sealed));
            while self
                .places
                .front()
                .is_some_and(|place| place.first_sequence <= end)
            {
                self.places.pop_front();
            }
            self.taker.cool(&self.cold)?;
            some = true;
        }
    }
}
