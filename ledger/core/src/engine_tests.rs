//! The engine with a disk that does not answer: a lock held by the test stands for it.

use std::path::PathBuf;

use super::*;
use crate::execute::EventKind;
use crate::opening::{open_writer, writable_directory, Options};
use crate::queue::Events;
use crate::reads::{accounts_by_id, entries_by_id};
use crate::source::Source;
use crate::wire::{WireAccount, WireTransfer};

/// A directory that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("the directory was made by the test");
    }
}

fn open(directory: &Path) -> Arc<Engine> {
    let options = Options {
        create: true,
        segment_size: 65_536,
        expected: None,
        schedule: crate::storage::Schedule::Threads,
    };
    let mut drawn = 0u8;
    let entropy = Box::new(move || {
        drawn += 1;
        Ok([drawn; 16])
    });
    let storage = writable_directory(directory, &options).expect("a directory");
    Engine::start(open_writer(&storage, &options, entropy).expect("a new directory"))
}

fn post(engine: &Engine, kind: EventKind, events: Vec<u8>) -> Outcome {
    let events = Events::Many(events);
    engine.execute(|reply| Request {
        kind,
        events,
        now: 1_000,
        deadline: None,
        reply,
    })
}

fn two_accounts() -> Vec<u8> {
    let account = |id| WireAccount {
        id,
        ledger: 1,
        code: 1,
        ..WireAccount::default()
    };
    [account(1).pack(), account(2).pack()].concat()
}

fn transfer(id: u128) -> Vec<u8> {
    let transfer = WireTransfer {
        id,
        debit_account_id: 1,
        credit_account_id: 2,
        amount: 5,
        ledger: 1,
        code: 1,
        ..WireTransfer::default()
    };
    transfer.pack().to_vec()
}

fn credits(engine: &Engine) -> u128 {
    accounts_by_id(engine, &[2])[0]
        .expect("it was created")
        .credits_posted
}

#[test]
fn readers_see_a_group_only_once_it_is_durable_and_one_is_built_ahead() {
    let scratch = Scratch::new("ledger-core-durable");
    let engine = open(&scratch.0);
    post(&engine, EventKind::Accounts, two_accounts()).expect("created");
    // Whoever holds the writer is the disk that does not answer yet.
    let disk = hold(&engine.writer);
    let poster = Arc::clone(&engine);
    let posting = thread::spawn(move || post(&poster, EventKind::Transfers, transfer(7)));
    while hold(&engine.applied).last_sequence < 3 {
        thread::yield_now();
    }
    assert_eq!(credits(&engine), 0);
    assert_eq!(entries_by_id(&*engine, &[7]).expect("readable"), [None]);
    assert_eq!(engine.belief().sequence, 2);
    assert!(!posting.is_finished());
    drop(disk);
    let answer = posting.join().expect("no panic").expect("posted");
    assert_eq!(u32_at(answer.bytes(), 8), crate::status::transfer::CREATED);
    assert_eq!(credits(&engine), 5);
    assert!(entries_by_id(&*engine, &[7]).expect("readable")[0].is_some());
    engine.close().expect("closed");
}

#[test]
fn a_repeat_is_answered_only_once_its_original_is_durable() {
    let scratch = Scratch::new("ledger-core-repeat");
    let engine = open(&scratch.0);
    post(&engine, EventKind::Accounts, two_accounts()).expect("created");
    let spawn = || {
        let poster = Arc::clone(&engine);
        thread::spawn(move || post(&poster, EventKind::Transfers, transfer(7)))
    };
    // The original is on its way to the disk and cannot be published while this is held.
    let unpublished = hold(&engine.durable);
    let original = spawn();
    while hold(&engine.applied).last_sequence < 3 || engine.turn.try_lock().is_err() {
        thread::yield_now();
    }
    let repeat = spawn();
    // The repeat has taken the turn and keeps it, since the writer is not free.
    while engine.turn.try_lock().is_ok() && !repeat.is_finished() {
        thread::yield_now();
    }
    (0..10_000).for_each(|_| thread::yield_now());
    assert!(!repeat.is_finished() && !original.is_finished());
    drop(unpublished);
    let status = |posting: JoinHandle<Outcome>| {
        u32_at(
            posting.join().expect("no panic").expect("answered").bytes(),
            8,
        )
    };
    assert_eq!(status(original), crate::status::transfer::CREATED);
    assert_eq!(status(repeat), crate::status::transfer::EXISTS);
    engine.close().expect("closed");
}

#[test]
fn a_group_that_waits_behind_a_failed_write_is_not_written() {
    let scratch = Scratch::new("ledger-core-poison");
    let engine = open(&scratch.0);
    post(&engine, EventKind::Accounts, two_accounts()).expect("created");
    let disk = hold(&engine.writer);
    let poster = Arc::clone(&engine);
    let posting = thread::spawn(move || post(&poster, EventKind::Transfers, transfer(7)));
    while hold(&engine.applied).last_sequence < 3 {
        thread::yield_now();
    }
    engine.poison(Fault::new(FaultKind::Disk, "the write before failed"));
    drop(disk);
    let told = posting
        .join()
        .expect("no panic")
        .err()
        .map(|fault| fault.kind);
    assert_eq!(told, Some(FaultKind::Poisoned));
    assert_eq!(hold(&engine.durable).sequence, 2);
    engine.close().expect("closed");
    let again = open(&scratch.0);
    assert_eq!(hold(&again.durable).sequence, 2);
    again.close().expect("closed");
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    crate::wire::u32_at(bytes, offset)
}
