//! Reads of the durable state: accounts and entries; `statements` has those of one account.
//!
//! What is applied and not yet durable is not seen. Locks are held for moments, never across a
//! read of the disk.

use std::sync::Arc;

use crate::fault::Fault;
use crate::record::{Kind, Record};
use crate::source::Source;
use crate::status::transfer as status;
use crate::wire::{WireAccount, WireTransfer, RECORD_SIZE};

/// Bytes of a packed entry: the transfer, sequence u64, status u32, zero u32, two balances i64.
pub const ENTRY_SIZE: usize = RECORD_SIZE + 32;

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
        let (candidates, cold) = source.look(|state, last| {
            let mut candidates = Vec::new();
            state.ids.find(*id, |sequence| {
                candidates.push(sequence);
                false
            });
            candidates.retain(|sequence| *sequence <= last);
            (candidates, Arc::clone(&state.cold))
        });
        let mut found = None;
        for sequence in candidates {
            let record = source.durable_record(sequence)?;
            if record.id == *id {
                found = Some(record);
            }
        }
        if found.is_none() {
            found = cold.find(*id)?;
        }
        entries.push(match found {
            Some(record) => Some(pack_entries(source, &[record])?[0]),
            None => None,
        });
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
    let mut packed: Vec<u8> = Vec::new();
    let mut next = after + 1;
    while next <= upto && packed.len() < limit * ENTRY_SIZE {
        let left = limit - packed.len() / ENTRY_SIZE;
        let wanted = (upto - next + 1).min(left as u64);
        let bytes = run_from(source, next, wanted).or_else(|_| {
            // Sealed in the meantime, its raw segment may be gone: whatever is wrong shows again.
            source.durable_record(next)?;
            run_from(source, next, wanted)
        })?;
        let (records, _) = bytes.as_chunks::<RECORD_SIZE>();
        let mut entries = Vec::with_capacity(records.len());
        for bytes in records {
            let record = match Record::check(bytes) {
                Ok(record) if record.sequence == next => record,
                // Reading it by itself says what is wrong, and where.
                _ => source.durable_record(next)?,
            };
            next += 1;
            if record.kind != Kind::Account {
                entries.push(record);
            }
        }
        packed.extend(pack_entries(source, &entries)?.into_iter().flatten());
    }
    Ok((packed, next - 1))
}

/// Read records that stand one behind the other, from a sequence on: one at least, so many at most.
fn run_from(source: &impl Source, sequence: u64, limit: u64) -> Result<Vec<u8>, Fault> {
    let found = source.look_at_places(|cold, places, last| {
        if sequence <= cold.end() {
            return Err(Arc::clone(cold));
        }
        let behind = places.partition_point(|place| place.first_sequence <= sequence);
        let end = places
            .get(behind)
            .map_or(last + 1, |next| next.first_sequence);
        Ok((places[behind - 1], end))
    });
    match found {
        Err(cold) => cold.segment_of(sequence).record_bytes(sequence, limit),
        Ok((place, end)) => {
            let count = usize::try_from(limit.min(end - sequence)).expect("a frame is bounded");
            source.segments().records(&place, sequence, count)
        }
    }
}

/// Pack entries: what they name is looked up for all together.
pub fn pack_entries(
    source: &impl Source,
    records: &[Record],
) -> Result<Vec<[u8; ENTRY_SIZE]>, Fault> {
    let accounts = source.look(|state, _| {
        let id = |number| {
            if number == 0 {
                0
            } else {
                state.accounts.id(number)
            }
        };
        let both = |record: &Record| (id(record.debit), id(record.credit));
        records.iter().map(both).collect::<Vec<_>>()
    });
    let mut packed = Vec::with_capacity(records.len());
    for (record, accounts) in records.iter().zip(accounts) {
        packed.push(pack_entry(source, record, accounts)?);
    }
    Ok(packed)
}

fn pack_entry(
    source: &impl Source,
    record: &Record,
    accounts: (u128, u128),
) -> Result<[u8; ENTRY_SIZE], Fault> {
    let transfer = wire_transfer(source, record, accounts)?;
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
fn wire_transfer(
    source: &impl Source,
    record: &Record,
    (debit_account_id, credit_account_id): (u128, u128),
) -> Result<WireTransfer, Fault> {
    let pending_id = match record.pending_sequence {
        0 => 0,
        sequence => source.durable_record(sequence)?.id,
    };
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
