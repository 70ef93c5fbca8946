"""Power cut at every step of every money flow: each write, message, answer and card command.

After the restart and with everything delivered, slips equal postings one to one, nothing is doubled
or owed, and the batch still settles. The virtual clock moves only when a deadline passes.
"""

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cardsim import Card
from cardsim.channel import InProcessChannel
from lumbung.testing.terminals import (
    AnsweringLine,
    Mains,
    PowerCutError,
    VirtualClock,
    open_terminal,
    types,
)
from terminal.attended import AttendedTerminal
from terminal.journal.records import Kind
from terminal.journal.transactions import Status
from terminal.purchase.outage import OutagePolicy
from terminal.results import SaleResult
from tests.terminal_kit import TMK, CounterBytes, ScriptedHost

pytestmark = pytest.mark.slow
AMOUNT = 2_500_000
#: More of them: LUMBUNG_TERMINAL_SEEDS=2000 pytest tests/test_terminal/test_terminal_cuts.py
SEEDS = range(int(os.environ.get("LUMBUNG_TERMINAL_SEEDS", "40")))


@dataclass
class Shop:
    """One counter with its host, card and clock, on a directory of its own."""

    directory: Path
    card_image: Any
    clock: VirtualClock = field(default_factory=VirtualClock)
    host: ScriptedHost = field(default_factory=ScriptedHost)
    random_bytes: CounterBytes = field(default_factory=CounterBytes)
    approved: list[SaleResult] = field(default_factory=list)
    amount: int = AMOUNT

    def __post_init__(self) -> None:
        self.line = AnsweringLine(self.host.answer, self.clock)
        self.slot = InProcessChannel(Card(self.card_image(), self.clock, self.random_bytes))
        self.mains = Mains()
        self.terminal = self.open()

    def open(self, cut_at: int = 0) -> AttendedTerminal:
        self.mains = Mains(cut_at)
        self.terminal = open_terminal(
            self.directory, TMK, clock=self.clock, random_bytes=self.random_bytes,
            line=self.line, mains=self.mains, outage=OutagePolicy(enabled=True),
            cut_off_minute=-1, same_sale_window_ns=0,
        )  # fmt: skip
        return self.terminal

    def pin(self) -> Callable[[], Awaitable[str]]:
        return types(self.host.pin, "778899", "778899")

    def note(self, result: SaleResult) -> SaleResult:
        if result.approved:
            self.approved.append(result)
        return result

    async def sell(self) -> SaleResult:
        self.amount += 100

        async def yes(_left_sen: int) -> bool:
            return True

        slot = self.mains.slot(self.slot)
        return self.note(
            await self.terminal.buy(self.amount, slot, self.pin(), voucher_question=yes)
        )

    async def restart(self) -> None:
        """Power on again on a good line and deliver everything."""
        self.terminal.release()
        self.slot = InProcessChannel(Card(self.card_image(), self.clock, self.random_bytes))
        self.line.is_down, self.line.lose = False, 0
        self.host.refuse, self.host.miscount_sen = "", 0
        self.open()
        assert await self.terminal.settle_outstanding() == 0

    def net_sen(self) -> int:
        signs = {Kind.PURCHASE: 1, Kind.VOUCHER: 1, Kind.VOID: -1, Kind.REFUND: -1}
        return sum(
            signs[t.intent.kind] * t.amount_sen
            for t in self.terminal.journal.transactions.values()
            if t.status is Status.COMPLETED and t.intent.kind in signs
        )

    async def check(self) -> None:
        """Compare the slips with the postings, one by one, and the totals of every batch."""
        journal, host = self.terminal.journal, self.host
        assert host.standing_sen() == self.net_sen()
        posted = {stan: abs(sen) for (stan, _, _), sen in host.book.items()}
        for result in self.approved:
            if result.kind in (Kind.PURCHASE, Kind.VOUCHER, Kind.VOID, Kind.REFUND):
                kept = journal.transactions[result.stan]
                assert kept.status is Status.COMPLETED
                assert posted[f"{result.stan:06d}"] == kept.amount_sen
        assert not journal.owed()
        assert not journal.queued()
        everything = journal.transactions.values()
        assert not [t for t in everything if t.owed or t.status is Status.QUEUED]
        for batch in {t.intent.batch for t in everything}:
            assert journal.count(batch) == len(journal.counted(batch))
        assert host.pin in ("123456", "778899")
        last = await self.terminal.settle()
        assert last.outcome in ("00", "12"), last.detail
        for batch in {
            t.intent.batch for t in journal.transactions.values() if t.intent.kind.counts
        }:
            ours = journal.totals(batch)
            theirs = host.totals(f"{batch:06d}")
            assert (ours.sales, ours.sales_sen) == (theirs["sales"], theirs["sales_amount"])
            assert (ours.voids, ours.voids_sen) == (theirs["voids"], theirs["voids_amount"])
            assert (ours.refunds_sen, ours.refunds) == (theirs["refunds_amount"], theirs["refunds"])


Flow = Callable[[Shop], Awaitable[Any]]


async def _sale(shop: Shop) -> None:
    await shop.sell()


async def _lost_answer(shop: Shop) -> None:
    shop.line.lose = 1
    await shop.sell()


async def _declining_chip(shop: Shop) -> None:
    shop.host.forge_arpc = True
    try:
        await shop.sell()
    finally:
        shop.host.forge_arpc = False


async def _void(shop: Shop) -> None:
    shop.note(await shop.terminal.void(shop.approved[0].stan))


async def _void_lost(shop: Shop) -> None:
    shop.line.lose = 2
    await _void(shop)


async def _refund(shop: Shop) -> None:
    slot = shop.mains.slot(shop.slot)
    shop.note(await shop.terminal.refund(shop.approved[0].stan, 1_000_000, slot, shop.pin()))


async def _refund_lost(shop: Shop) -> None:
    shop.line.lose = 1
    await _refund(shop)


async def _reduce(shop: Shop) -> None:
    shop.line.lose = 1
    await shop.terminal.reduce(shop.approved[0].stan, 1_000_000)


async def _settle(shop: Shop) -> None:
    await shop.terminal.settle()


async def _settle_lost(shop: Shop) -> None:
    shop.line.lose = 1
    await shop.terminal.settle()


async def _mismatch(shop: Shop) -> None:
    shop.host.miscount_sen = 100
    await shop.terminal.settle()


async def _voucher(shop: Shop) -> None:
    shop.line.is_down = True
    await shop.sell()


async def _voucher_cleared(shop: Shop) -> None:
    await _voucher(shop)
    shop.line.is_down, shop.line.lose = False, 1
    await shop.terminal.settle_outstanding()


async def _pin_change(shop: Shop) -> None:
    await shop.terminal.change_pin(shop.mains.slot(shop.slot), shop.pin())


async def _log_on(shop: Shop) -> None:
    await shop.terminal.log_on()


FLOWS: dict[str, Flow] = {
    "sale": _sale,
    "lost answer": _lost_answer,
    "declining chip": _declining_chip,
    "void": _void,
    "void, answers lost": _void_lost,
    "refund": _refund,
    "refund, answer lost": _refund_lost,
    "partial reversal": _reduce,
    "settlement": _settle,
    "settlement, answer lost": _settle_lost,
    "settlement with upload": _mismatch,
    "voucher": _voucher,
    "voucher cleared": _voucher_cleared,
    "PIN change": _pin_change,
    "log-on": _log_on,
}


async def opened(directory: Path, card_image: Any) -> Shop:
    """Give a shop with one sale behind it."""
    shop = Shop(directory, card_image)
    assert await shop.terminal.log_on() == "00"
    await shop.sell()
    return shop


@pytest.mark.parametrize("name", FLOWS)
async def test_power_cut_at_every_step_leaves_slips_equal_to_postings(
    name: str, tmp_path: Path, card_image: Any
) -> None:
    whole = await opened(tmp_path / "whole", card_image)
    before = len(whole.mains.steps)
    await FLOWS[name](whole)
    steps = len(whole.mains.steps) - before
    await whole.restart()
    await whole.check()
    whole.terminal.release()
    assert steps >= 4
    for cut_at in range(1, steps + 1):
        shop = await opened(tmp_path / f"{cut_at}", card_image)
        shop.mains.cut_at = len(shop.mains.steps) + cut_at
        with pytest.raises(PowerCutError):
            await FLOWS[name](shop)
        await shop.restart()
        await shop.check()
        shop.terminal.release()


@pytest.mark.parametrize("seed", SEEDS)
async def test_random_day_with_faults_leaves_slips_equal_to_postings(
    seed: int, tmp_path: Path, card_image: Any
) -> None:
    """Flows in any order, answers lost, lines down, hosts that put off, cuts anywhere."""
    chance = random.Random(seed)  # a test's chance, printed as its name
    shop = await opened(tmp_path / "day", card_image)
    for _ in range(12):
        shop.line.lose = chance.choice((0, 0, 0, 1, 2))
        shop.line.is_down = chance.random() < 0.15
        shop.host.refuse = chance.choice(("", "", "", "", "91", "51"))
        shop.host.break_mac = chance.random() < 0.1
        if chance.random() < 0.4:
            shop.mains.cut_at = len(shop.mains.steps) + chance.randint(1, 40)
        name = chance.choice(list(FLOWS))
        shop.clock.pass_ms(chance.randint(1_000, 3_600_000))
        if "PIN" in name and shop.host.pin != "123456":
            continue
        standing = [one for one in shop.approved if is_open(shop, one)]
        shop.approved = standing or shop.approved
        try:
            await FLOWS[name](shop)
        except PowerCutError:
            await shop.restart()
        shop.mains.cut_at = 0
        if shop.terminal.flow.state.name == "OFF_DUTY":
            shop.line.is_down, shop.line.lose, shop.host.refuse = False, 0, ""
            shop.host.break_mac = False
            assert await shop.terminal.log_on() == "00"
    shop.host.break_mac = False
    await shop.restart()
    await shop.check()
    shop.terminal.release()


def is_open(shop: Shop, result: SaleResult) -> bool:
    kept = shop.terminal.journal.transactions.get(result.stan)
    return kept is not None and kept.intent.kind is Kind.PURCHASE and kept.stands
