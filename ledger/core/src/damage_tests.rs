//! Damaged files, by the thousand: whatever the bytes, a reader answers rightly or says what is
//! wrong; it never panics and never reads past an end. Checksums are often made right again, so that
//! the damage reaches what lies behind them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Engine;
use crate::execute::EventKind;
use crate::fault::{Fault, FaultKind};
use crate::memory_storage::MemoryStorage;
use crate::opening::{open_reader, open_writer, Options};
use crate::pages::BLOCK;
use crate::queue::{Events, Request};
use crate::reads::{accounts_page, entries_by_id, entries_page};
use crate::sha::sha256;
use crate::source::{Source, Walked};
use crate::statements::{balance_at, statement, StatementFilter};
use crate::storage::{Schedule, Shared};
use crate::verify::verify;
use crate::wire::{transfer_flags as flag, u32_at, WireAccount, WireTransfer};

const ACCOUNTS: u64 = 5;
const SECOND: u64 = 1_000_000_000;
/// Damaged directories that are opened, in each of the two tests.
const ROUNDS: u64 = 1_500;

/// A small generator: the same numbers in every run.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed ^ (mixed >> 29)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).expect("below a usize")
    }
}

fn options() -> Options {
    Options {
        create: true,
        segment_size: 16_384,
        expected: None,
        schedule: Schedule::Inline,
    }
}

fn open(storage: &Shared) -> Result<Arc<Engine>, Fault> {
    let mut drawn = 0u8;
    let entropy = Box::new(move || {
        drawn += 1;
        Ok([drawn; 16])
    });
    Ok(Engine::start(open_writer(storage, &options(), entropy)?))
}

fn post(engine: &Engine, kind: EventKind, events: Vec<u8>, now: u64) {
    let events = Events::Many(events);
    let answer = engine.execute(|reply| Request {
        kind,
        events,
        now,
        deadline: None,
        reply,
    });
    assert!(answer.is_ok(), "{:?}", answer.err());
}

/// A ledger of several sealed segments with every kind of record, and a raw one.
fn history() -> (BTreeMap<String, Vec<u8>>, Vec<u8>) {
    let disk = Arc::new(MemoryStorage::default());
    let storage: Shared = Arc::clone(&disk) as Shared;
    let engine = open(&storage).expect("a new ledger");
    let account = |id: u64| {
        let account = WireAccount {
            id: id.into(),
            ledger: 1,
            code: 1,
            ..WireAccount::default()
        };
        account.pack()
    };
    let accounts = (1..=ACCOUNTS).flat_map(account).collect();
    post(&engine, EventKind::Accounts, accounts, SECOND);
    let mut draw = Draw(1);
    for batch in 0..60u64 {
        let mut events = Vec::new();
        for place in 0..8u64 {
            let id = u128::from(100 + 8 * batch + place);
            let flags = [0, flag::PENDING, flag::POST_PENDING, flag::VOID_PENDING][draw.below(4)];
            let resolves = flags > flag::PENDING;
            let transfer = WireTransfer {
                id,
                debit_account_id: if resolves {
                    0
                } else {
                    u128::from(1 + draw.next() % 2)
                },
                credit_account_id: if resolves {
                    0
                } else {
                    u128::from(3 + draw.next() % 4)
                },
                amount: if resolves {
                    u128::MAX
                } else {
                    u128::from(draw.next() >> 40)
                },
                pending_id: if resolves {
                    id - 1 - u128::from(draw.next() % 9)
                } else {
                    0
                },
                timeout: u32::from(flags == flag::PENDING),
                ledger: u32::from(!resolves),
                code: u16::from(!resolves),
                flags,
                ..WireTransfer::default()
            };
            events.extend(transfer.pack());
        }
        post(
            &engine,
            EventKind::Transfers,
            events,
            SECOND * (batch + 2) / 2,
        );
    }
    let read = read_everything(&*engine).expect("a sound ledger");
    engine.close().expect("closed");
    (disk.contents(), read)
}

/// Ask everything that can be asked; give all answers.
fn read_everything(source: &impl Source) -> Result<Vec<u8>, Fault> {
    let last = source.look(|_, last| last);
    let (mut answers, _) = entries_page(source, 0, last, 10_000)?;
    for account in accounts_page(source, 0, 10) {
        answers.extend(account.pack());
        let wanted = StatementFilter {
            account_id: account.id,
            debits: true,
            credits: true,
            code: 0,
            timestamp_min: 3 * SECOND,
            timestamp_max: 20 * SECOND,
            reverse: account.id % 2 == 0,
            cursor: 0,
            limit: 50,
        };
        answers.extend(statement(source, &wanted)?);
        for instant in [2 * SECOND, 9 * SECOND, 40 * SECOND] {
            let balance = balance_at(source, account.id, None, Some(instant))?;
            answers.extend(balance.unwrap_or(-1).to_le_bytes());
        }
    }
    let ids: Vec<u128> = (90..600).collect();
    for entry in entries_by_id(source, &ids)?.into_iter().flatten() {
        answers.extend(entry);
    }
    Ok(answers)
}

/// Damage one file; the checksums that cover it are made right in every second case.
fn damage(files: &mut BTreeMap<String, Vec<u8>>, draw: &mut Draw) -> String {
    let names: Vec<String> = files
        .keys()
        .filter(|name| name.as_str() != "lock")
        .cloned()
        .collect();
    let name = names[draw.below(names.len())].clone();
    let bytes = files.get_mut(&name).expect("it is there");
    match draw.below(8) {
        0 => bytes.truncate(draw.below(bytes.len() + 1)),
        1 => bytes.extend(vec![7; draw.below(5_000)]),
        2 => {
            let (from, to) = (draw.below(bytes.len()), draw.below(bytes.len()));
            let length = draw.below(300).min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + length, to);
        }
        _ => {
            for _ in 0..=draw.below(3) {
                let at = if kind_of(&name) == "seal" && draw.below(2) == 0 && bytes.len() > BLOCK {
                    // The index behind the records.
                    let start = BLOCK + 128 * (u32_at(bytes, 140) as usize % 256);
                    start + draw.below(bytes.len().saturating_sub(start))
                } else {
                    // Most of what matters stands at the start of a page.
                    let page = draw.below(bytes.len().div_ceil(BLOCK)) * BLOCK;
                    let reach = if draw.below(2) == 0 { 300 } else { BLOCK };
                    page + draw.below(reach)
                };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << draw.below(8);
                }
            }
        }
    }
    if draw.below(2) == 0 {
        put_right(&name, bytes);
    }
    name
}

fn kind_of(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn put_right(name: &str, bytes: &mut [u8]) {
    if kind_of(name) == "snap" && bytes.len() > 32 {
        let content = bytes.len() - 32;
        let digest = sha256(&bytes[..content]);
        bytes[content..].copy_from_slice(&digest);
    }
    if kind_of(name) == "seal" && bytes.len() > 2 * BLOCK {
        let blocks = (bytes.len() - BLOCK) / (BLOCK + 4);
        let sums: Vec<u8> = bytes[BLOCK..BLOCK * (blocks + 1)]
            .chunks_exact(BLOCK)
            .flat_map(|block| crc32fast::hash(block).to_le_bytes())
            .collect();
        let at = BLOCK * (blocks + 1);
        bytes[at..at + sums.len()].copy_from_slice(&sums);
        bytes[280..284].copy_from_slice(&crc32fast::hash(&sums).to_le_bytes());
        let crc = crc32fast::hash(&bytes[..284]);
        bytes[284..288].copy_from_slice(&crc.to_le_bytes());
    }
    if kind_of(name) == "seg" && bytes.len() > BLOCK {
        let crc = crc32fast::hash(&bytes[..140]);
        bytes[140..144].copy_from_slice(&crc.to_le_bytes());
        for start in (BLOCK..=bytes.len() - BLOCK).step_by(BLOCK) {
            let count = (u32_at(bytes, start + 112) as usize).min(31);
            let end = (start + 128 * (1 + count)).min(bytes.len());
            let crc = crc32fast::hash(&bytes[start + 128..end]);
            bytes[start + 120..start + 124].copy_from_slice(&crc.to_le_bytes());
        }
    }
}

fn is_definite(fault: &Fault) -> bool {
    matches!(
        fault.kind,
        FaultKind::Corrupt | FaultKind::Foreign | FaultKind::Disk
    )
}

#[test]
fn a_reader_of_damaged_files_never_panics_and_a_verified_one_answers_rightly() {
    let (files, right) = history();
    assert!(files.keys().filter(|name| kind_of(name) == "seal").count() >= 4);
    assert!(files.keys().any(|name| kind_of(name) == "snap"));
    let mut refused = 0;
    for round in 0..ROUNDS {
        let mut damaged = files.clone();
        let name = damage(&mut damaged, &mut Draw(round));
        let storage: Shared = Arc::new(MemoryStorage::of(&damaged));
        let scan = match open_reader(&storage, None) {
            Ok(scan) => scan,
            Err(fault) => {
                refused += 1;
                assert!(is_definite(&fault), "round {round}, {name}: {fault:?}");
                continue;
            }
        };
        let identity = scan.identity;
        let source = Walked::new(scan);
        let answers = read_everything(&source);
        let verified = verify(
            identity,
            source.segments(),
            &source.belief(),
            &mut |_, _| Ok(()),
        );
        if let (Ok(answers), Ok(_)) = (&answers, &verified) {
            let same_end = answers.len() == right.len();
            assert!(
                *answers == right || !same_end,
                "round {round}: {name} passed"
            );
        }
    }
    assert!(refused > ROUNDS / 10, "{refused}");
}

#[test]
fn a_writer_on_damaged_files_never_panics() {
    let (files, _) = history();
    for round in 0..ROUNDS {
        let mut damaged = files.clone();
        let name = damage(&mut damaged, &mut Draw(1 << 40 | round));
        let storage: Shared = Arc::new(MemoryStorage::of(&damaged));
        match open(&storage) {
            Ok(engine) => drop(engine.close()),
            Err(fault) => assert!(is_definite(&fault), "round {round}, {name}: {fault:?}"),
        }
    }
}
