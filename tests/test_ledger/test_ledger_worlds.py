"""Small worlds, every one of them, and large random ones: both engines answer alike.

The pure engine is held against the oracle elsewhere (`test_ledger_properties.py`); here the two
engines meet each other with the same batches, clock and files.
"""

import itertools
import random
from collections.abc import Iterator, Sequence

import pytest

from ledger.structures import AMOUNT_ALL, Account, Transfer
from tests.test_ledger.conftest import SteppingClock, engines
from tests.test_ledger.ledger_disk import SimulatedDisk
from tests.test_ledger.ledger_lives import FORMAT_FILES, Nonces, open_on
from tests.test_ledger.ledger_workload import Workload

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        len(engines()) < 2, reason="the native engine is not built: pip install . with Rust"
    ),
]
FLAGS = 256
#: How the three accounts of a world are limited: none, debits, credits.
LIMITS = ((0, 2, 4), (2, 4, 0), (4, 0, 2))
PARTIES = ((1, 2), (2, 3), (3, 1))
LARGE_BATCHES = 25
LARGE = 2_000


class Twins:
    """A pure and a native ledger with one clock, each on a disk of its own."""

    def __init__(self, segment_size: int, accounts: Sequence[Account]) -> None:
        self.clock = SteppingClock()
        self.disks = [SimulatedDisk(random.Random(0)) for _ in range(2)]
        self.ledgers = [
            open_on(disk, engine, self.clock, Nonces(), segment_size)
            for disk, engine in zip(self.disks, ("pure", "native"), strict=True)
        ]
        pure, native = [ledger.create_accounts(accounts) for ledger in self.ledgers]
        assert pure == native

    def post(self, events: Sequence[Transfer]) -> None:
        """Post to both; the answers must be the same."""
        pure, native = [ledger.create_transfers(events) for ledger in self.ledgers]
        assert pure == native, [
            (event, ours, theirs)
            for event, ours, theirs in zip(events, pure, native, strict=True)
            if ours != theirs
        ]

    def finish(self) -> None:
        """Accounts, entries, root and files must be the same."""
        pure, native = self.ledgers
        assert list(pure.accounts()) == list(native.accounts())
        assert list(pure.entries()) == list(native.entries())
        assert pure.verify().root_hash == native.verify().root_hash
        for ledger in self.ledgers:
            ledger.close()
        files = [
            {n: disk.read(n, 0, 1 << 30) for n in disk.names() if FORMAT_FILES.fullmatch(n)}
            for disk in self.disks
        ]
        assert files[0] == files[1]


def three_accounts(limits: Sequence[int]) -> list[Account]:
    return [Account(id=n, ledger=1, code=1, flags=limits[n - 1]) for n in (1, 2, 3)]


def events_of(flags: int, number: int) -> Iterator[Transfer]:
    """Give the events with these flags: each pair of parties, amount, and hold named."""
    cases = itertools.product(PARTIES, (0, 3, AMOUNT_ALL), (0, 1, 2))
    for place, ((debit, credit), amount, pending_id) in enumerate(cases):
        unnamed = flags & 12 and place % 2
        yield Transfer(
            id=number + place,
            debit_account_id=0 if unnamed else debit,
            credit_account_id=0 if unnamed else credit,
            amount=amount,
            ledger=0 if unnamed else 1,
            code=0 if unnamed else 1,
            flags=flags,
            pending_id=pending_id,
            timeout=1 if flags & 2 and place % 3 == 0 else 0,
        )


@pytest.mark.parametrize("limits", LIMITS)
def test_every_combination_of_flags_and_parties_is_answered_alike(limits: tuple[int, ...]) -> None:
    money = {"amount": 9, "ledger": 1, "code": 1}
    before = [
        Transfer(id=1, debit_account_id=1, credit_account_id=2, flags=2, **money),
        Transfer(id=2, debit_account_id=2, credit_account_id=3, flags=2, timeout=1, **money),
        Transfer(id=3, debit_account_id=3, credit_account_id=1, **money),
        Transfer(id=4, debit_account_id=1, credit_account_id=3, **money),
    ]
    for first in range(0, FLAGS, 16):  # A world of its own for every sixteen.
        twins = Twins(32_768, three_accounts(limits))
        twins.post(before)
        for flags in range(first, first + 16):
            for event in events_of(flags, 100 * (flags + 1)):
                twins.post([event])
            twins.clock.advance(0.3)
        twins.finish()


def test_every_chain_of_three_is_answered_alike() -> None:
    flags = (0, 1, 2, 3, 16, 64, 66)
    number = itertools.count(1)
    twins = Twins(65_536, three_accounts(LIMITS[0]))
    for chain in itertools.product(flags, flags, flags):
        amounts = (1, AMOUNT_ALL, 5)
        twins.post(
            [
                Transfer(
                    id=next(number),
                    debit_account_id=1 + place,
                    credit_account_id=1 + (place + 1) % 3,
                    amount=amount,
                    ledger=1,
                    code=1,
                    flags=of_one,
                )
                for place, (of_one, amount) in enumerate(zip(chain, amounts, strict=True))
            ]
        )
    twins.finish()


@pytest.mark.parametrize("seed", range(3))
def test_large_random_batches_are_answered_alike(seed: int) -> None:
    work = Workload(random.Random(seed))
    twins = Twins(1 << 20, work.accounts())
    for _ in range(LARGE_BATCHES):
        twins.clock.now += work.rng.choice((0, 1, 900_000_000, -2_000_000_000))
        twins.post([work._transfer() for _ in range(work.rng.choice((1, 64, LARGE)))])
    twins.finish()
