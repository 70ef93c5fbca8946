"""Group commit: coroutines share frames, overload and deadlines answer at once."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ledger import commit
from ledger.errors import (
    LedgerBatchError,
    LedgerBusyError,
    LedgerDeadlineError,
    LedgerError,
    LedgerPoisonedError,
)
from ledger.native import open_native
from ledger.port import Ledger
from ledger.pure import PureLedger, open_pure_on
from ledger.statuses import CreateTransferStatus as Status
from ledger.storage import FileStorage
from ledger.structures import Account, Transfer, unpack_transfer_results
from tests.test_ledger.conftest import OpenEngine, SteppingClock, counting_bytes
from tests.test_ledger.ledger_simulation import Simulation

TWO = [Account(id=n, ledger=1, code=1) for n in (1, 2)]


def move(transfer_id: int, **fields: int) -> Transfer:
    given = {"debit_account_id": 1, "credit_account_id": 2, "amount": 1, "ledger": 1, "code": 1}
    return Transfer(**{**given, "id": transfer_id, **fields})


class HeldStorage(FileStorage):
    """A directory whose syncs wait while it is held."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.free = threading.Event()
        self.free.set()

    def sync(self, name: str) -> None:
        assert self.free.wait(30)
        super().sync(name)


def open_held(engine: str, storage: HeldStorage) -> Ledger:
    """Open a ledger of either engine on a storage, with a writer of its own."""
    options: dict[str, Any] = {"now_ns": SteppingClock(), "random_bytes": counting_bytes()}
    options["segment_size"] = 64 * 1024
    if engine == "native":
        return open_native(Path(storage.location), storage=storage, **options)
    return open_pure_on(storage, background=True, **options)


async def test_coroutines_of_one_turn_share_a_frame(engine: str, tmp_path: Path) -> None:
    storage = HeldStorage(tmp_path)
    ledger = open_held(engine, storage)
    ledger.create_accounts(TWO)
    storage.free.clear()
    posts = [asyncio.ensure_future(ledger.post(move(n))) for n in range(1, 201)]
    await asyncio.sleep(0)  # Now all of them are posted, and at most one frame is on its way.
    storage.free.set()
    results = await asyncio.gather(*posts)
    assert {result.status for result in results} == {Status.CREATED}
    assert len({result.timestamp for result in results}) == 200
    report = ledger.verify()
    assert report.transfers == 200
    # The accounts, what the writer took before all were there, what it prepared behind that, and
    # all others; a frame holds 479.
    assert report.frames <= 4
    ledger.close()


async def test_post_many_is_adjacent_and_linked_within_itself(open_engine: OpenEngine) -> None:
    ledger = open_engine()
    ledger.create_accounts(TWO)
    chain = [move(10, flags=1), move(11, flags=1), move(12, amount=1 << 64)]
    one, broken, other = await asyncio.gather(
        ledger.post(move(1)), ledger.post_many(chain), ledger.post(move(2, flags=1))
    )
    assert one.status is Status.CREATED
    assert [result.status for result in broken] == [
        Status.LINKED_EVENT_FAILED,
        Status.LINKED_EVENT_FAILED,
        Status.OVERFLOWS_DEBITS_POSTED,
    ]
    assert other.status is Status.LINKED_EVENT_CHAIN_OPEN


async def test_a_cancelled_waiter_leaves_its_transfer_standing(open_engine: OpenEngine) -> None:
    ledger = open_engine()
    ledger.create_accounts(TWO)
    waiting = asyncio.ensure_future(ledger.post(move(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    assert (await ledger.post(move(2))).status is Status.CREATED
    assert (await ledger.post(move(1))).status is Status.EXISTS


def test_threads_and_coroutines_post_at_once_and_nothing_is_lost(open_engine: OpenEngine) -> None:
    ledger = open_engine(now_ns=iter_clock())
    ledger.create_accounts(TWO)

    async def coroutines() -> None:
        await asyncio.gather(*(ledger.post(move(10_000 + n)) for n in range(100)))

    def batches(start: int) -> None:
        for number in range(start, start + 100, 10):
            ledger.create_transfers([move(n) for n in range(number, number + 10)])

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(batches, start) for start in (100, 200, 300)]
        work.append(pool.submit(lambda: asyncio.run(coroutines())))
        for done in work:
            done.result()
    (account,) = ledger.lookup_accounts([2])
    assert account is not None
    assert account.credits_posted == 400
    assert ledger.verify().transfers == 400


def iter_clock() -> SteppingClock:
    """Give a clock that may be read by several threads."""
    return SteppingClock()


def test_a_deadline_is_honoured_only_before_submission(
    open_engine: OpenEngine, clock: SteppingClock
) -> None:
    ledger = open_engine()
    ledger.create_accounts(TWO)
    with pytest.raises(LedgerDeadlineError, match="nothing was submitted"):
        ledger.create_transfers([move(1)], deadline_ns=clock.now)
    assert ledger.lookup_entries([1]) == [None]
    (result,) = ledger.create_transfers([move(1)], deadline_ns=clock.now + 1)
    assert result.status is Status.CREATED


def test_a_batch_that_is_none_is_refused_whole(open_engine: OpenEngine) -> None:
    ledger = open_engine(segment_size=16_384)
    ledger.create_accounts(TWO)
    with pytest.raises(LedgerBatchError, match="multiple of 128"):
        ledger.create_transfers_packed(b"x" * 200)
    with pytest.raises(LedgerBatchError, match="95"):
        ledger.create_transfers([move(n) for n in range(1, 97)])
    for wrong in (
        {"id": -1},
        {"amount": 1 << 128},
        {"user_data_64": 1 << 64},
        {"timeout": 1 << 32},
        {"code": 1 << 16},
        {"flags": -1},
    ):
        with pytest.raises(LedgerBatchError, match="event 1"):
            ledger.create_transfers([move(1), move(2, **{"id": 3, **wrong})])
    with pytest.raises(LedgerBatchError, match="account 0"):
        ledger.create_accounts([Account(id=1 << 128, ledger=1, code=1)])
    assert ledger.last_sequence == 2


def test_a_packed_batch_answers_as_its_objects_do(open_engine: OpenEngine) -> None:
    ledger = open_engine()
    ledger.create_accounts(TWO)
    events = [move(1), move(2, debit_account_id=9), move(3, flags=1 << 9), move(1)]
    packed = ledger.create_transfers_packed(b"".join(event.pack() for event in events))
    results = list(unpack_transfer_results(packed))
    assert [result.status for result in results] == [
        Status.CREATED,
        Status.DEBIT_ACCOUNT_NOT_FOUND,
        Status.RESERVED_FLAG,
        Status.EXISTS,
    ]
    assert results[0].timestamp == results[3].timestamp
    assert ledger.create_transfers(events)[0] == results[3]


def test_an_empty_batch_releases_what_has_expired(
    open_engine: OpenEngine, clock: SteppingClock
) -> None:
    ledger = open_engine()
    ledger.create_accounts(TWO)
    ledger.create_transfers([move(1, flags=2, timeout=5)])
    clock.advance(6)
    assert ledger.create_transfers([]) == []
    (account,) = ledger.lookup_accounts([1])
    assert account is not None
    assert account.debits_pending == 0
    (expiry,) = ledger.entries(after_sequence=3)
    assert (expiry.transfer.id, expiry.transfer.pending_id, expiry.transfer.flags) == (0, 1, 8)


class HeldLedger:
    """A pure ledger on a simulated disk whose syncs wait until they are let go."""

    def __init__(self) -> None:
        self.simulation = Simulation(3)
        self.simulation.segment_size = 1 << 20
        self.ledger: PureLedger = open_pure_on(
            self.simulation.disk,
            now_ns=self.simulation.clock,
            random_bytes=self.simulation.nonces,
            segment_size=self.simulation.segment_size,
            background=True,
        )
        self.ledger.create_accounts(TWO)
        self.ledger._committer.housekeeper.wait_for_spare()
        self.reached, self.go = threading.Event(), threading.Event()
        disk = self.simulation.disk
        sync = disk.sync

        def held(name: str) -> None:
            self.reached.set()
            assert self.go.wait(10)
            sync(name)

        disk.sync = held  # type: ignore[method-assign]


@pytest.fixture
def held() -> Iterator[HeldLedger]:
    """Give a ledger whose disk is stuck until `go` is set."""
    it = HeldLedger()
    yield it
    it.go.set()
    it.ledger.close()


async def test_reads_during_a_write_see_the_durable_state_only(held: HeldLedger) -> None:
    waiting = asyncio.ensure_future(held.ledger.post(move(1, amount=7)))
    await asyncio.to_thread(held.reached.wait, 10)
    assert held.ledger.last_sequence == 2
    assert [a.credits_posted for a in held.ledger.accounts()] == [0, 0]
    assert held.ledger.lookup_transfers([1]) == [None]
    assert held.ledger.balance_at(2) == 0
    assert not waiting.done()
    held.go.set()
    assert (await waiting).status is Status.CREATED
    assert [a.credits_posted for a in held.ledger.accounts()] == [0, 7]


async def test_a_full_queue_is_busy_at_once(
    held: HeldLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "QUEUE_TRANSFERS_MAX", 5)
    first = asyncio.ensure_future(held.ledger.post(move(1)))
    await asyncio.to_thread(held.reached.wait, 10)
    waiting = [asyncio.ensure_future(held.ledger.post(move(n))) for n in range(2, 7)]
    await asyncio.sleep(0)
    with pytest.raises(LedgerBusyError, match="nothing was submitted"):
        await held.ledger.post(move(7))
    held.go.set()
    results = await asyncio.gather(first, *waiting)
    assert {result.status for result in results} == {Status.CREATED}
    assert held.ledger.lookup_entries([7]) == [None]


async def test_a_write_that_fails_leaves_every_waiter_indeterminate(held: HeldLedger) -> None:
    first = asyncio.ensure_future(held.ledger.post(move(1)))
    await asyncio.to_thread(held.reached.wait, 10)
    second = asyncio.ensure_future(held.ledger.post(move(2)))
    await asyncio.sleep(0)
    held.simulation.disk.fault, held.simulation.disk.fuse = "error", 1
    held.go.set()
    for waiting in (first, second):
        with pytest.raises(LedgerPoisonedError, match="indeterminate"):
            await waiting
    with pytest.raises(LedgerError):
        await held.ledger.post(move(3))
