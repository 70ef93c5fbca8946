"""Engines agree with a slow ledger that is obviously right, on every answer, entry and balance."""

import random

import pytest

from ledger.port import Ledger
from tests.test_ledger.conftest import OpenEngine, SteppingClock
from tests.test_ledger.ledger_oracle import Oracle
from tests.test_ledger.ledger_workload import Workload


def assert_same(ledger: Ledger, oracle: Oracle) -> None:
    """Everything that can be read is what the oracle says."""
    assert list(ledger.accounts()) == oracle.accounts()
    entries = list(ledger.entries())
    assert [(e.transfer, e.status) for e in entries] == [
        (f.transfer, f.status) for f in oracle.facts
    ]


def run_seed(seed: int, batches: int, open_engine: OpenEngine, clock: SteppingClock) -> None:
    """Run a seeded workload against an engine and the oracle, restarting now and then."""
    rng = random.Random(seed)
    work, oracle = Workload(rng), Oracle()
    clock.now = 1_700_000_000_000_000_000
    ledger = open_engine(segment_size=16_384 * rng.randint(1, 3))
    accounts = work.accounts()
    assert ledger.create_accounts(accounts) == oracle.create_accounts(accounts, clock.now)
    for _ in range(batches):
        clock.now += rng.choice((0, 0, 1, 500_000_000, 1_000_000_000, -3_000_000_000))
        if rng.random() < 0.1:
            accounts = work.more_accounts()
            got = ledger.create_accounts(accounts)
            assert got == oracle.create_accounts(accounts, clock.now), f"seed {seed}"
        events = work.transfers()
        results = ledger.create_transfers(events)
        assert results == oracle.create_transfers(events, clock.now), f"seed {seed}: {events}"
        if rng.random() < 0.05:
            ledger.close()
            ledger = open_engine(create=False)
            oracle = oracle.restarted()
    assert_same(ledger, oracle)
    assert ledger.verify().sum_minor == 0
    ledger.close()


@pytest.mark.parametrize("seed", range(2))
def test_an_engine_answers_a_seeded_workload_as_the_oracle_does(
    seed: int, open_engine: OpenEngine, clock: SteppingClock
) -> None:
    run_seed(seed, 40, open_engine, clock)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 108))
def test_an_engine_answers_a_long_seeded_workload_as_the_oracle_does(
    seed: int, open_engine: OpenEngine, clock: SteppingClock
) -> None:
    run_seed(seed, 120, open_engine, clock)
