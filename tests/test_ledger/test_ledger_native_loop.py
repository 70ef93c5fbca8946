"""Coroutines on the native engine: many awaiters, several event loops, closing under way."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger import open_ledger
from ledger.errors import LedgerBatchError, LedgerError, LedgerReadOnlyError
from ledger.native import NativeLedger
from ledger.port import StatementFilter
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import Account, CreateTransferResult, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines

pytestmark = pytest.mark.skipif(
    "native" not in engines(), reason="the native engine is not built: pip install . with Rust"
)


def move(number: int) -> Transfer:
    """Give a transfer with its own id."""
    return Transfer(id=number, debit_account_id=1, credit_account_id=2, amount=1, ledger=1, code=1)


@pytest.fixture
def ledger(tmp_path: Path) -> NativeLedger:
    opened = open_ledger(
        tmp_path,
        now_ns=SteppingClock(),
        random_bytes=counting_bytes(),
        engine="native",
        segment_size=1 << 20,
    )
    opened.create_accounts([Account(id=1, ledger=1, code=1), Account(id=2, ledger=1, code=1)])
    assert isinstance(opened, NativeLedger)
    return opened


async def test_many_awaiters_share_few_frames_and_each_gets_its_own_answer(
    ledger: NativeLedger,
) -> None:
    ids = [n // 2 for n in range(2, 1_002)]  # Every id twice: the second is told the first's time.
    answers = await asyncio.gather(*(ledger.post(move(n)) for n in ids))
    assert [type(answer) for answer in answers] == [CreateTransferResult] * 1_000
    assert [answer.status for answer in answers] == [Status.CREATED, Status.EXISTS] * 500
    assert all(a.timestamp == b.timestamp for a, b in zip(*[iter(answers)] * 2, strict=True))
    report = ledger.verify()
    assert report.transfers == 500
    assert report.frames < 200
    ledger.close()


def test_one_ledger_serves_event_loops_one_after_another(ledger: NativeLedger) -> None:
    for number in range(1, 4):
        result = asyncio.run(ledger.post(move(number)))
        assert result.status is Status.CREATED
    ledger.close()


def test_event_loops_of_several_threads_share_one_ledger(ledger: NativeLedger) -> None:
    async def post_range(first: int) -> set[Status]:
        rounds = [range(first + 20 * n, first + 20 * n + 20) for n in range(10)]
        found: set[Status] = set()
        for numbers in rounds:
            results = await asyncio.gather(*(ledger.post(move(n)) for n in numbers))
            found |= {result.status for result in results}
        return found

    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(asyncio.run, post_range(first)) for first in (1, 1_001, 2_001)]
        assert [run.result(timeout=30) for run in runs] == [{Status.CREATED}] * 3
    assert ledger.verify().transfers == 600
    ledger.close()


def test_a_ledger_that_nobody_closed_is_closed_when_nobody_holds_it(
    ledger: NativeLedger, tmp_path: Path
) -> None:
    asyncio.run(ledger.post(move(1)))
    # What holds the ledger are its core and the desk of the loop that ran.
    core = ledger._core
    ledger._desks.clear()
    ledger._last_desk = None
    del ledger._core
    del core
    gc.collect()
    again = open_ledger(
        tmp_path, now_ns=SteppingClock(), random_bytes=counting_bytes(9), engine="native"
    )
    assert again.lookup_entries([1])[0] is not None
    again.close()


async def test_closing_answers_what_was_submitted(ledger: NativeLedger) -> None:
    tasks = [asyncio.create_task(ledger.post(move(n))) for n in range(1, 101)]
    await asyncio.sleep(0)
    ledger.close()
    results = await asyncio.gather(*tasks)
    assert {result.status for result in results} == {Status.CREATED}
    with pytest.raises(LedgerError, match="closed"):
        await ledger.post(move(500))


async def test_a_field_beyond_its_width_is_refused_and_leaves_no_awaiter(
    ledger: NativeLedger,
) -> None:
    for wrong in (
        Transfer(id=-1, debit_account_id=1, credit_account_id=2, amount=1, ledger=1, code=1),
        Transfer(id=1, debit_account_id=1, credit_account_id=2, amount=1, ledger=1 << 32, code=1),
        Transfer(id=1, debit_account_id=1, credit_account_id=2, amount=1 << 128, ledger=1, code=1),
    ):
        with pytest.raises(LedgerBatchError, match="event 0"):
            await ledger.post(wrong)
    assert ledger._attend().core.waiting() == 0
    ledger.close()


async def test_a_reader_takes_no_work(ledger: NativeLedger, tmp_path: Path) -> None:
    reader = open_ledger(
        tmp_path,
        now_ns=SteppingClock(),
        random_bytes=counting_bytes(),
        engine="native",
        read_only=True,
    )
    with pytest.raises(LedgerReadOnlyError, match="read-only"):
        await reader.post(move(1))
    reader.close()
    ledger.close()


def test_questions_beyond_every_width_are_answered_like_any_unknown(ledger: NativeLedger) -> None:
    ledger.create_transfers([move(1)])
    beyond = [-1, 0, 1 << 128, 1 << 200]
    assert ledger.lookup_accounts([*beyond, 1])[:4] == [None] * 4
    assert ledger.lookup_entries([*beyond, 1])[:4] == [None] * 4
    for account_id in beyond:
        assert ledger.statement(StatementFilter(account_id=account_id)) == []
        assert ledger.balance_at(account_id) is None
    assert ledger.balance_at(2, sequence=-1) is None
    assert ledger.balance_at(2, timestamp=-1) is None
    assert ledger.balance_at(2, sequence=1 << 90, timestamp=1 << 90) == 1
    for limit in (-1, 0, 8_190, 1 << 70):
        with pytest.raises(LedgerBatchError, match="a page has"):
            ledger.statement(StatementFilter(account_id=1, limit=limit))
    ledger.close()
