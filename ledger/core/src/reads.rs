//! Reads of the durable state: accounts, entries, statements, balances at a time.
//!
//! What is applied and not yet durable is not seen. Locks are held for moments, never across a
//! read of the disk.

use crate::fault::{Fault, FaultKind};
use crate::limits::STATEMENT_ROWS_MAX;
use crate::pages::{BLOCK_U64, HEADER};
use crate::record::{Kind, Record};
use crate::source::Source;
use crate::status::transfer as status;
use crate::wire::{WireAccount, WireTransfer, RECORD_SIZE};

/// Bytes of a packed entry: the transfer, sequence u64, status u32, zero u32, two balances i64.
pub const ENTRY_SIZE: usize = RECORD_SIZE + 32;
/// Sequences copied out of a posting list at a time.
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

/// Give accounts by id, `None` where unknown.
pub fn accounts_by_id(source: &impl Source, ids: &[u128]) -> Vec<Option<WireAccount>> {
    source.look_at_balances(|state, balances| {
        let wire = |id: &u128| {
            let number = state.accounts.number(*id)?;
            Some(
                state
                    .accounts
                    .wire(number, balances.get(number as usize - 1)?),
            )
        };
        ids.iter().map(wire).collect()
    })
}

/// Give at most `limit` accounts in the order of creation, from behind the first `skip`.
pub fn accounts_page(source: &impl Source, skip: usize, limit: usize) -> Vec<WireAccount> {
    source.look_at_balances(|state, balances| {
        let page = balances.iter().enumerate().skip(skip).take(limit);
        let number = |place: usize| u32::try_from(place + 1).expect("fewer than 2^32 accounts");
        page.map(|(place, balances)| state.accounts.wire(number(place), balances))
            .collect()
    })
}

/// Give packed entries by transfer id, `None` where the id is unused or not durable.
pub fn entries_by_id(
    source: &impl Source,
    ids: &[u128],
) -> Result<Vec<Option<[u8; ENTRY_SIZE]>>, Fault> {
    let mut entries = Vec::with_capacity(ids.len());
    for id in ids {
        // Every candidate is confirmed in its record, outside the lock.
        let candidates = source.look(|state, last| {
            let mut candidates = Vec::new();
            state.ids.find(*id, |sequence| {
                candidates.push(sequence);
                false
            });
            candidates.retain(|sequence| *sequence <= last);
            candidates
        });
        let mut entry = None;
        for sequence in candidates {
            let record = source.durable_record(sequence)?;
            if record.id == *id {
                entry = Some(pack_entry(source, &record)?);
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Give packed entries in order from behind a sequence, and the sequence to go on from.
pub fn entries_page(
    source: &impl Source,
    after: u64,
    upto: u64,
    limit: usize,
) -> Result<(Vec<u8>, u64), Fault> {
    let mut packed = Vec::new();
    let mut next = after + 1;
    while next <= upto && packed.len() < limit * ENTRY_SIZE {
        let (place, end) = source.frame_of(next);
        let wanted = usize::try_from(end.min(upto + 1) - next).expect("a frame is bounded");
        let at = RECORD_SIZE as u64 * (next - place.first_sequence);
        let offset = u64::from(place.block) * BLOCK_U64 + HEADER as u64 + at;
        let segment = u64::from(place.segment);
        let bytes = source
            .segments()
            .read(segment, offset, RECORD_SIZE * wanted)?;
        let (records, _) = bytes.as_chunks::<RECORD_SIZE>();
        for bytes in records {
            if packed.len() == limit * ENTRY_SIZE {
                break;
            }
            let path = source.segments().path(segment);
            let record =
                Record::check(bytes).map_err(|what| Fault::corrupt(&path, offset, what))?;
            if record.sequence != next {
                return Err(Fault::corrupt(&path, offset, "another record stands here"));
            }
            next += 1;
            if record.kind != Kind::Account {
                packed.extend_from_slice(&pack_entry(source, &record)?);
            }
        }
    }
    Ok((packed, next - 1))
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
    let Some(postings) = Postings::of(source, wanted.account_id) else {
        return Ok(Vec::new());
    };
    let (mut start, mut end) = postings.window(wanted)?;
    let mut packed = Vec::new();
    while start < end && packed.len() < wanted.limit * ENTRY_SIZE {
        let length = (end - start).min(POSTINGS_PAGE);
        let mut page = postings.page(if wanted.reverse { end - length } else { start }, length);
        if wanted.reverse {
            end -= length;
            page.reverse();
        } else {
            start += length;
        }
        for sequence in page {
            let record = source.durable_record(sequence)?;
            if wanted.takes(&record, postings.number) && packed.len() < wanted.limit * ENTRY_SIZE {
                packed.extend_from_slice(&pack_entry(source, &record)?);
            }
        }
    }
    Ok(packed)
}

/// Give posted credits minus posted debits as of a record or an instant; `None` if not yet born.
pub fn balance_at(
    source: &impl Source,
    account_id: u128,
    sequence: Option<u64>,
    timestamp: Option<u64>,
) -> Result<Option<i64>, Fault> {
    let Some(postings) = Postings::of(source, account_id) else {
        return Ok(None);
    };
    let mut end = postings.length;
    if let Some(sequence) = sequence {
        if postings.born_sequence > sequence {
            return Ok(None);
        }
        end = postings.count_below(sequence.saturating_add(1));
    }
    if let Some(timestamp) = timestamp {
        if postings.born_timestamp > timestamp {
            return Ok(None);
        }
        end = end.min(postings.first_after(timestamp)?);
    }
    if end == 0 {
        return Ok(Some(0));
    }
    let record = source.durable_record(postings.at(end - 1))?;
    Ok(Some(if record.debit == postings.number {
        record.debit_balance_after
    } else {
        record.credit_balance_after
    }))
}

/// The durable part of an account's posting list: it only grows, so places in it stay.
struct Postings<'a, S> {
    source: &'a S,
    number: u32,
    length: usize,
    born_sequence: u64,
    born_timestamp: u64,
}

impl<'a, S: Source> Postings<'a, S> {
    fn of(source: &'a S, account_id: u128) -> Option<Self> {
        source.look(|state, last| {
            let number = state.accounts.number(account_id)?;
            let identity = state.accounts.identity(number);
            let tail = state.accounts.tail(number);
            (identity.sequence <= last).then(|| Self {
                source,
                number,
                length: state.postings.count_below(number, tail, last + 1),
                born_sequence: identity.sequence,
                born_timestamp: identity.timestamp,
            })
        })
    }

    /// The places of the list that a statement covers, from and before.
    fn window(&self, wanted: &StatementFilter) -> Result<(usize, usize), Fault> {
        let mut start = self.first_at(wanted.timestamp_min)?;
        let mut end = self.first_after(wanted.timestamp_max)?;
        if wanted.cursor != 0 && wanted.reverse {
            end = end.min(self.count_below(wanted.cursor));
        } else if wanted.cursor != 0 {
            start = start.max(self.count_below(wanted.cursor + 1));
        }
        Ok((start, end))
    }

    fn page(&self, start: usize, length: usize) -> Vec<u64> {
        self.source.look(|state, _| {
            state
                .postings
                .range(self.number, state.accounts.tail(self.number), start, length)
        })
    }

    fn at(&self, place: usize) -> u64 {
        self.page(place, 1)[0]
    }

    fn count_below(&self, sequence: u64) -> usize {
        let below = self.source.look(|state, _| {
            state
                .postings
                .count_below(self.number, state.accounts.tail(self.number), sequence)
        });
        below.min(self.length)
    }

    fn first_at(&self, timestamp: u64) -> Result<usize, Fault> {
        self.first(|record| record.timestamp >= timestamp)
    }

    fn first_after(&self, timestamp: u64) -> Result<usize, Fault> {
        self.first(|record| record.timestamp > timestamp)
    }

    /// The first place whose record passes a test that all later ones pass too.
    fn first(&self, passes: impl Fn(&Record) -> bool) -> Result<usize, Fault> {
        let (mut low, mut high) = (0, self.length);
        while low < high {
            let middle = usize::midpoint(low, high);
            if passes(&self.source.durable_record(self.at(middle))?) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }
}

fn pack_entry(source: &impl Source, record: &Record) -> Result<[u8; ENTRY_SIZE], Fault> {
    let transfer = wire_transfer(source, record)?;
    let created = if record.status == 0 {
        status::CREATED
    } else {
        record.status.into()
    };
    // The unknown id of a refusal stands where the balances would.
    let has_balances = record.unknown_id().is_none();
    let balance = |balance: i64| if has_balances { balance } else { 0 };
    let mut packed = [0u8; ENTRY_SIZE];
    packed[..RECORD_SIZE].copy_from_slice(&transfer.pack());
    packed[128..136].copy_from_slice(&record.sequence.to_le_bytes());
    packed[136..140].copy_from_slice(&created.to_le_bytes());
    packed[144..152].copy_from_slice(&balance(record.debit_balance_after).to_le_bytes());
    packed[152..160].copy_from_slice(&balance(record.credit_balance_after).to_le_bytes());
    Ok(packed)
}

/// The transfer of a record as the caller reads it.
fn wire_transfer(source: &impl Source, record: &Record) -> Result<WireTransfer, Fault> {
    let pending_id = match record.pending_sequence {
        0 => 0,
        sequence => source.durable_record(sequence)?.id,
    };
    let (debit_account_id, credit_account_id) = source.look(|state, _| {
        let id = |number| {
            if number == 0 {
                0
            } else {
                state.accounts.id(number)
            }
        };
        (id(record.debit), id(record.credit))
    });
    let mut transfer = WireTransfer {
        id: record.id,
        debit_account_id,
        credit_account_id,
        amount: record.wire_amount(),
        pending_id,
        user_data_128: record.user_data_128,
        user_data_64: record.user_data_64,
        user_data_32: record.user_data_32,
        timeout: record.timeout,
        ledger: record.ledger,
        code: record.code,
        flags: record.flags,
        timestamp: record.timestamp,
    };
    if let Some(id) = record.unknown_id() {
        match u32::from(record.status) {
            status::DEBIT_ACCOUNT_NOT_FOUND => transfer.debit_account_id = id,
            status::CREDIT_ACCOUNT_NOT_FOUND => transfer.credit_account_id = id,
            _ => transfer.pending_id = id,
        }
    }
    Ok(transfer)
}
