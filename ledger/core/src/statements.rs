//! Reads of one account: its statement, and its balance at a sequence or a time.
//!
//! Everything goes by sequence: an instant is turned into one first, and the posting lists, hot and
//! cold, give the sequences. So the disk is asked for the rows of a page, and for little else.

use std::sync::Arc;

use crate::fault::{Fault, FaultKind};
use crate::limits::STATEMENT_ROWS_MAX;
use crate::reads::{pack_entries, ENTRY_SIZE};
use crate::record::Record;
use crate::source::Source;

/// Sequences taken out of the posting lists at a time, where not every record is wanted.
const POSTINGS_PAGE: usize = 1_024;

/// Which entries of an account a statement has.
#[derive(Clone, Copy, Debug)]
pub struct StatementFilter {
    /// Of the account.
    pub account_id: u128,
    /// Entries that debit it.
    pub debits: bool,
    /// Entries that credit it.
    pub credits: bool,
    /// Only of this code; 0 = any.
    pub code: u16,
    /// Nanoseconds UTC, included.
    pub timestamp_min: u64,
    /// Nanoseconds UTC, included.
    pub timestamp_max: u64,
    /// Newest first.
    pub reverse: bool,
    /// The sequence of the last entry of the page before; 0 starts.
    pub cursor: u64,
    /// Rows at most.
    pub limit: usize,
}

impl StatementFilter {
    /// Whether an entry of the account with this number is wanted.
    fn takes(&self, record: &Record, number: u32) -> bool {
        let debited = record.debit == number;
        let side = if debited { self.debits } else { self.credits };
        side && (self.code == 0 || self.code == record.code)
    }
}

/// Give one page of an account's entries, packed.
pub fn statement(source: &impl Source, wanted: &StatementFilter) -> Result<Vec<u8>, Fault> {
    if !(1..=STATEMENT_ROWS_MAX).contains(&wanted.limit) {
        let text = format!(
            "limit {}: a page has 1 to {STATEMENT_ROWS_MAX} rows",
            wanted.limit
        );
        return Err(Fault::new(FaultKind::Batch, text));
    }
    let Some(account) = Account::of(source, wanted.account_id) else {
        return Ok(Vec::new());
    };
    let (mut from, mut before) = window(source, wanted)?;
    let takes_all = wanted.debits && wanted.credits && wanted.code == 0;
    let mut rows: Vec<Record> = Vec::new();
    while from < before && rows.len() < wanted.limit {
        let left = wanted.limit - rows.len();
        let page = if takes_all {
            left
        } else {
            left.max(POSTINGS_PAGE)
        };
        let mut sequences = account.postings((from, before), page, wanted.reverse)?;
        let is_last = sequences.len() < page;
        if wanted.reverse {
            sequences.reverse();
        }
        let Some(last) = sequences.last() else { break };
        if wanted.reverse {
            before = *last;
        } else {
            from = *last + 1;
        }
        for sequence in sequences {
            let record = source.durable_record(sequence)?;
            if rows.len() < wanted.limit && wanted.takes(&record, account.number) {
                rows.push(record);
            }
        }
        if is_last {
            break;
        }
    }
    let packed = pack_entries(source, &rows)?;
    debug_assert!(packed.iter().all(|entry| entry.len() == ENTRY_SIZE));
    Ok(packed.into_flattened())
}

/// The sequences that a statement covers, from and before.
fn window(source: &impl Source, wanted: &StatementFilter) -> Result<(u64, u64), Fault> {
    let mut from = first_at(source, wanted.timestamp_min)?;
    let mut before = match wanted.timestamp_max.checked_add(1) {
        Some(behind) => first_at(source, behind)?,
        None => u64::MAX,
    };
    if wanted.cursor != 0 && wanted.reverse {
        before = before.min(wanted.cursor);
    } else if wanted.cursor != 0 {
        from = from.max(wanted.cursor.saturating_add(1));
    }
    Ok((from, before))
}

/// Give posted credits minus posted debits as of a record or an instant; `None` if not yet born.
pub fn balance_at(
    source: &impl Source,
    account_id: u128,
    sequence: Option<u64>,
    timestamp: Option<u64>,
) -> Result<Option<i64>, Fault> {
    let Some(account) = Account::of(source, account_id) else {
        return Ok(None);
    };
    let mut before = u64::MAX;
    if let Some(sequence) = sequence {
        if account.born_sequence > sequence {
            return Ok(None);
        }
        before = sequence.saturating_add(1);
    }
    if let Some(timestamp) = timestamp {
        if account.born_timestamp > timestamp {
            return Ok(None);
        }
        if let Some(behind) = timestamp.checked_add(1) {
            before = before.min(first_at(source, behind)?);
        }
    }
    let Some(last) = account.postings((0, before), 1, true)?.pop() else {
        return Ok(Some(0));
    };
    let record = source.durable_record(last)?;
    Ok(Some(if record.debit == account.number {
        record.debit_balance_after
    } else {
        record.credit_balance_after
    }))
}

/// The first durable sequence whose timestamp is not below the one given; the one after the last
/// where there is none.
fn first_at(source: &impl Source, timestamp: u64) -> Result<u64, Fault> {
    let (cold, frame) = source.look_at_places(|cold, places, last| {
        let behind = places.partition_point(|place| place.first_timestamp < timestamp);
        let end = places
            .get(behind)
            .map_or(last + 1, |next| next.first_sequence);
        let start = behind
            .checked_sub(1)
            .map(|place| places[place].first_sequence);
        (Arc::clone(cold), start.map(|start| (start, end)))
    });
    // Nothing hot is older: the instant is among the cold, or right behind them.
    let Some((mut low, mut high)) = frame else {
        return cold.first_at(timestamp);
    };
    while low < high {
        let middle = u64::midpoint(low, high);
        if source.durable_record(middle)?.timestamp < timestamp {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// A durable account.
struct Account<'a, S> {
    source: &'a S,
    number: u32,
    born_sequence: u64,
    born_timestamp: u64,
}

impl<'a, S: Source> Account<'a, S> {
    fn of(source: &'a S, account_id: u128) -> Option<Self> {
        source.look(|state, last| {
            let number = state.accounts.number(account_id)?;
            let identity = state.accounts.identity(number);
            (identity.sequence <= last).then_some(Self {
                source,
                number,
                born_sequence: identity.sequence,
                born_timestamp: identity.timestamp,
            })
        })
    }

    /// The durable postings within `[from, before)`, oldest first: at most `limit` of them, the
    /// newest ones when `newest` says so.
    fn postings(
        &self,
        (from, before): (u64, u64),
        limit: usize,
        newest: bool,
    ) -> Result<Vec<u64>, Fault> {
        let (cold, mut hot) = self.source.look(|state, last| {
            let account = (self.number, state.accounts.tail(self.number));
            let window = (from, before.min(last + 1));
            let hot = state.postings.range(account, window, limit, newest);
            (Arc::clone(&state.cold), hot)
        });
        let mut found = Vec::new();
        if from <= cold.end() {
            let left = if newest { limit - hot.len() } else { limit };
            if left > 0 {
                found = cold.postings(self.number, (from, before), left, newest)?;
            }
        }
        hot.truncate(limit - found.len());
        found.extend(hot);
        Ok(found)
    }
}
