"""The disk's time is not the event loop's, and its order is kept whatever is cancelled."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cardsim.channel import InProcessChannel
from terminal.device import Terminal
from terminal.journal.records import Intent, Record
from terminal.journal.store import Journal
from terminal.journal.transactions import Status

AMOUNT = 14_150_000
PinPad = Callable[..., Callable[[], Awaitable[str]]]

pytestmark = pytest.mark.slow


class SlowDisk:
    """Holds the first write of a purchase's intent until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.let_go = threading.Event(), threading.Event()
        self.threads: set[int] = set()
        real = Journal.append

        def append(journal: Journal, *records: Record) -> None:
            self.threads.add(threading.get_ident())
            if any(isinstance(one, Intent) and one.amount_sen for one in records):
                self.reached.set()
                assert self.let_go.wait(20)
            real(journal, *records)

        monkeypatch.setattr(Journal, "append", append)


async def test_slow_disk_does_not_hold_up_the_event_loop(
    terminal: Terminal,
    slot: InProcessChannel,
    pin_of: PinPad,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = SlowDisk(monkeypatch)
    sale = asyncio.create_task(terminal.buy(AMOUNT, slot, pin_of("123456")))
    assert await asyncio.to_thread(disk.reached.wait, 20)
    assert not sale.done()
    disk.let_go.set()
    assert (await sale).approved
    assert threading.get_ident() not in disk.threads
    assert len(disk.threads) == 1


async def test_sale_cancelled_while_its_intent_is_written_is_owed_back_in_order(
    terminal: Terminal,
    open_terminal: Callable[..., Terminal],
    host: Any,
    slot: InProcessChannel,
    pin_of: PinPad,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = SlowDisk(monkeypatch)
    sale = asyncio.create_task(terminal.buy(AMOUNT, slot, pin_of("123456")))
    assert await asyncio.to_thread(disk.reached.wait, 20)
    sale.cancel()
    threading.Timer(0.05, disk.let_go.set).start()
    with contextlib.suppress(asyncio.CancelledError):
        await sale
    assert sale.cancelled()
    (owed,) = terminal.journal.owed()
    await terminal.close()
    again = open_terminal()
    assert [t.intent.stan for t in again.journal.owed()] == [owed.intent.stan]
    assert await again.settle_outstanding() == 0
    assert again.journal.transactions[owed.intent.stan].status is Status.REVERSED
    assert host.standing_sen() == 0


async def test_write_that_waits_for_the_disk_is_not_taken_back_by_a_cancel(
    terminal: Terminal,
    open_terminal: Callable[..., Terminal],
    slot: InProcessChannel,
    pin_of: PinPad,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = terminal._exchange._disk._thread
    let_go, handed_over = threading.Event(), asyncio.Event()
    disk.submit(let_go.wait, 20)
    real = disk.submit

    def submit(*arguments: Any) -> Any:
        handed_over.set()
        return real(*arguments)

    monkeypatch.setattr(disk, "submit", submit)
    sale = asyncio.create_task(terminal.buy(AMOUNT, slot, pin_of("123456")))
    await handed_over.wait()
    sale.cancel()
    threading.Timer(0.05, let_go.set).start()
    with contextlib.suppress(asyncio.CancelledError):
        await sale
    await terminal.close()
    again = open_terminal()
    assert await again.settle_outstanding() == 0
