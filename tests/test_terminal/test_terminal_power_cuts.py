"""The whole terminal, cut at every durable write and every card command, on real files."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from cardsim import Card
from cardsim.channel import InProcessChannel
from terminal.card_channel import CardChannel, CardEvent, CardRemovedError
from terminal.device import Terminal
from terminal.journal.records import Kind, Record
from terminal.journal.store import Journal
from terminal.journal.transactions import Status
from terminal.results import SaleResult

AMOUNT = 14_150_000
PinPad = Callable[..., Callable[[], Awaitable[str]]]

pytestmark = pytest.mark.slow


class PowerCutError(Exception):
    """The terminal goes dark here."""


class Mains:
    """Counts the journal's writes and goes out at one of them, before or after it is durable."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes = 0
        self.cut_at = -1
        self.is_durable = False
        real = Journal.append

        def append(journal: Journal, *records: Record) -> None:
            self.writes += 1
            if -1 < self.cut_at < self.writes:
                raise PowerCutError
            if self.writes == self.cut_at:
                if self.is_durable:
                    real(journal, *records)
                raise PowerCutError
            real(journal, *records)

        monkeypatch.setattr(Journal, "append", append)

    def on(self, cut_at: int = -1, *, is_durable: bool = False) -> None:
        """Switch on, to go out again at a write."""
        self.writes, self.cut_at, self.is_durable = 0, cut_at, is_durable


def slips_sen(terminal: Terminal) -> int:
    """Give what the sales and voids that stand come to."""
    signs = {Kind.PURCHASE: 1, Kind.VOID: -1}
    return sum(
        signs[t.intent.kind] * t.intent.amount_sen
        for t in terminal.journal.transactions.values()
        if t.status is Status.COMPLETED and t.intent.kind in signs
    )


async def test_power_cut_at_every_write_leaves_slips_equal_to_postings(
    open_terminal: Callable[..., Terminal],
    host: Any,
    server: Any,
    slot: InProcessChannel,
    pin_of: PinPad,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mains = Mains(monkeypatch)

    async def play(terminal: Terminal, results: list[SaleResult]) -> None:
        results.append(await terminal.buy(AMOUNT, slot, pin_of("123456")))
        server.lose = 1
        results.append(await terminal.buy(2 * AMOUNT, slot, pin_of("123456")))
        results.append(await terminal.void(results[0].stan))

    mains.on()
    terminal = open_terminal()
    await terminal.log_on()
    before = mains.writes
    await play(terminal, [])
    await terminal.close()
    writes = mains.writes - before
    assert writes == 9
    for cut_at in range(1, writes + 1):
        for is_durable in (False, True):
            clock.pass_ms(60 * 60_000)
            mains.on()
            terminal = open_terminal()
            results: list[SaleResult] = []
            mains.on(cut_at, is_durable=is_durable)
            with pytest.raises(PowerCutError):
                await play(terminal, results)
            terminal.release()
            server.lose = 0
            server.lost.clear()
            mains.on()
            after = open_terminal()
            assert await after.settle_outstanding() == 0
            told = [result for result in results if result.approved]
            assert host.standing_sen() == slips_sen(after), (cut_at, is_durable)
            for result in told:
                kept = after.journal.transactions[result.stan]
                assert kept.status is Status.COMPLETED
            await after.close()


class TornSlot:
    """A slot from which the card is torn at the n-th command."""

    def __init__(self, slot: InProcessChannel, torn_at: int) -> None:
        self.slot = slot
        self.torn_at = torn_at
        self.commands = 0

    async def connect(self) -> bytes:
        return await self.slot.connect()

    async def transmit(self, command: bytes, *, timeout_ms: int) -> bytes:
        self.commands += 1
        if self.commands == self.torn_at:
            self.slot.remove()
            raise CardRemovedError
        return await self.slot.transmit(command, timeout_ms=timeout_ms)

    async def reset(self) -> bytes:
        return await self.slot.reset()

    async def disconnect(self) -> None:
        await self.slot.disconnect()

    def events(self) -> AsyncIterator[CardEvent]:
        return self.slot.events()


async def test_card_torn_at_every_command_leaves_slips_equal_to_postings(
    terminal: Terminal,
    host: Any,
    card_image: Any,
    clock: Any,
    random_bytes: Any,
    pin_of: PinPad,
) -> None:
    def fresh(torn_at: int) -> TornSlot:
        return TornSlot(InProcessChannel(Card(card_image(), clock, random_bytes)), torn_at)

    whole = fresh(-1)
    channel: CardChannel = whole
    assert (await terminal.buy(AMOUNT, channel, pin_of("123456"))).approved
    for torn_at in range(1, whole.commands + 1):
        clock.pass_ms(60 * 60_000)
        result = await terminal.buy(AMOUNT, fresh(torn_at), pin_of("123456"))
        assert not result.approved
        assert "GAGAL - SALDO TIDAK TERPOTONG" in result.receipt_pembeli
        assert host.standing_sen() == AMOUNT == slips_sen(terminal), torn_at
        assert result.reversed == (result.stan > 0)
