"""Every flow of the terminal against the real switch and ledger, over TCP, with real chips.

After each day the books must agree: what the slips say stands in the ledger, one to one.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lumbung.composition import Composition
from lumbung.lines import LostAnswerLine, RecordingLine
from lumbung.story import cast
from lumbung.story.counter import Counter, typed
from lumbung.story.run import standing_slips
from lumbung.system import StoryClock
from programme.equations import check_equations
from protocols.iso8583 import Codec, load_spec
from terminal.journal.batches import BatchStatus
from terminal.journal.records import Totals
from terminal.journal.transactions import Status
from terminal.line import LineDownError
from terminal.purchase.outage import OutagePolicy
from tests.city_kit import open_city

pytestmark = pytest.mark.slow
FOOD = "12400001"
RUPIAH = 100
_SWITCHED_ON = ("rule.partial-approval", "rule.outage-sale")


@dataclass
class Day:
    """A running switch, one counter, and the holders who come."""

    parts: Composition
    clock: StoryClock
    counter: Counter
    holders: list[cast.Holder]
    cut: list[bool] = field(default_factory=lambda: [False])

    def balance(self, who: cast.Holder) -> int:
        account = self.parts.ledger.lookup_accounts([who.card.account_id])[0]
        assert account is not None
        return account.credit_balance

    async def again(self, **changes: Any) -> None:
        """Power the terminal down and up, with other settings."""
        await self.counter.terminal.close()
        counter = self.counter
        counter.terminal = type(counter.terminal)(
            replace(counter.terminal.config, **changes),
            clock=self.clock,
            random_bytes=self.parts.random_for(f"again/{self.clock.now_ns()}"),
            line=CutLine(counter.plain_line(), self.cut),
        )

    def pass_seconds(self, seconds: int) -> None:
        self.clock.advance(seconds)


class CutLine(RecordingLine):
    """A line that cannot be connected while it is cut."""

    def __init__(self, line: Any, cut: list[bool]) -> None:
        super().__init__(line)
        self.cut = cut

    async def connect(self) -> None:
        if self.cut[0]:
            raise LineDownError("the line is cut.")
        await super().connect()


def city_rules(folder: Path) -> Path:
    """Give the built-in rules with outage sales and partial approvals switched on."""
    text = files("switch").joinpath("data", "rules.toml").read_text("utf-8")
    for name in _SWITCHED_ON:
        head, mark, tail = text.partition(f"[{name}]")
        assert mark
        text = head + mark + tail.replace("enabled = false", "enabled = true", 1)
    text = text.replace('entry_modes = ["051", "052"]', 'entry_modes = ["051", "052", "071"]')
    path = folder / "rules.toml"
    path.write_text(text, "utf-8")
    return path


@pytest_asyncio.fixture
async def day(tmp_path: Path) -> AsyncIterator[Day]:
    async with open_city(tmp_path, rules=city_rules(tmp_path)) as city:
        counter = Counter(city.parts, FOOD, "127.0.0.1", city.port)
        made = Day(city.parts, city.clock, counter, city.holders)
        assert await counter.terminal.log_on() == "00"
        yield made
        owed = counter.terminal.journal.owed()
        checks = check_equations(city.parts.ledger, city.parts.registry, standing_slips(counter))
        await counter.terminal.close()
        assert not owed
        assert [c for c in checks if not c.holds] == []


async def test_day_with_sale_void_refund_and_settlement_agrees_with_the_switch(day: Day) -> None:
    terminal, who = day.counter.terminal, day.holders[0]
    first = await day.counter.sell(who, 50_000 * RUPIAH)
    second = await day.counter.sell(who, 60_000 * RUPIAH)
    assert (await terminal.void(first.stan)).approved
    slot = day.counter.slot(who)
    assert await terminal.set_supervisor("271828") is None
    refund = await terminal.refund(
        second.stan, 20_000 * RUPIAH, slot, typed(who.pin), supervisor="271828"
    )
    assert (refund.outcome, day.balance(who)) == ("00", 260_000 * RUPIAH)
    result = await terminal.settle()
    assert result.outcome == "00"
    assert result.totals == (
        Totals(
            sales=2, sales_sen=110_000 * RUPIAH,
            voids=1, voids_sen=50_000 * RUPIAH,
            refunds=1, refunds_sen=20_000 * RUPIAH,
        ),
    )  # fmt: skip
    assert result.paid_on > "2026-01-05"
    later = await terminal.refund(
        second.stan, 40_000 * RUPIAH, day.counter.slot(who), typed(who.pin), supervisor="271828"
    )
    assert (later.outcome, day.balance(who)) == ("00", 300_000 * RUPIAH)
    assert (await terminal.settle()).totals == (Totals(refunds=1, refunds_sen=40_000 * RUPIAH),)


async def test_totals_that_differ_are_uploaded_and_the_batch_closes(day: Day) -> None:
    terminal, who = day.counter.terminal, day.holders[0]
    sale = await day.counter.sell(who, 50_000 * RUPIAH)
    await day.counter.sell(who, 60_000 * RUPIAH)
    # The terminal forgets one of its sales: what a damaged memory chip would do.
    lost = terminal.journal.transactions[sale.stan]
    terminal.journal.transactions[sale.stan] = replace(lost, status=Status.REFUSED)
    result = await terminal.settle()
    assert result.outcome == "00"
    assert terminal.journal.batches[1].status is BatchStatus.CLOSED
    kinds = [t.intent.processing_code for t in terminal.journal.transactions.values()]
    assert kinds.count("920000") == kinds.count("960000") == 1
    terminal.journal.transactions[sale.stan] = lost


async def test_pin_change_is_in_force_and_the_old_pin_is_wrong(day: Day) -> None:
    terminal, who = day.counter.terminal, day.holders[0]
    answers = iter((who.pin, "778899", "778899"))

    async def holder_types() -> str:
        return next(answers)

    result = await terminal.change_pin(day.counter.slot(who), holder_types)
    assert result.outcome == "00"
    assert (await day.counter.sell(who, 10_000 * RUPIAH)).outcome == "55"
    assert (await day.counter.sell(who, 10_000 * RUPIAH, pin="778899")).outcome == "00"


async def test_mini_statement_tells_the_last_movements(day: Day) -> None:
    terminal, who = day.counter.terminal, day.holders[0]
    sale = await day.counter.sell(who, 50_000 * RUPIAH)
    await terminal.void(sale.stan)
    result = await terminal.statement(day.counter.slot(who))
    assert result.outcome == "00"
    amounts = [line.amount_sen for line in result.statement]
    assert {-50_000 * RUPIAH, 50_000 * RUPIAH} <= set(amounts)
    assert result.balance_sen == day.balance(who)


async def test_partial_approval_and_partial_reversal_stand_with_their_part(day: Day) -> None:
    terminal, who = day.counter.terminal, day.holders[0]
    part = await day.counter.sell(who, 400_000 * RUPIAH)
    assert (part.outcome, part.amount_sen) == ("10", 300_000 * RUPIAH)
    assert "DIMINTA" in part.receipt_pembeli
    assert day.balance(who) == 0
    other = day.holders[1]
    sale = await day.counter.sell(other, 50_000 * RUPIAH)
    less = await terminal.reduce(sale.stan, 30_000 * RUPIAH)
    assert (less.amount_sen, day.balance(other)) == (30_000 * RUPIAH, 270_000 * RUPIAH)
    result = await terminal.settle()
    assert (result.outcome, result.totals[0].sales_sen) == ("00", 330_000 * RUPIAH)
    kinds = [t.intent.processing_code for t in terminal.journal.transactions.values()]
    assert "960000" not in kinds


async def test_voucher_of_an_outage_is_cleared_once_even_when_its_answer_is_lost(day: Day) -> None:
    city = OutagePolicy(enabled=True)

    async def agree(_left_sen: int) -> bool:
        return True

    await day.again(outage=city)
    who = day.holders[0]
    day.cut[0] = True
    terminal = day.counter.terminal
    sold = await terminal.buy(
        40_000 * RUPIAH, day.counter.slot(who), typed(who.pin), voucher_question=agree
    )
    assert sold.voucher
    assert day.balance(who) == 300_000 * RUPIAH
    await terminal.close()
    day.cut[0] = False
    codec = Codec(load_spec("edc"))
    day.counter.line = LostAnswerLine(
        day.counter.tcp_line(), lambda payload: codec.peek(payload).mti == "0220"
    )
    day.counter.terminal = day.counter._open()
    assert await day.counter.terminal.settle_outstanding() == 0
    assert day.balance(who) == 260_000 * RUPIAH
    result = await day.counter.terminal.settle()
    assert (result.outcome, result.totals) == (
        "00", (Totals(sales=1, sales_sen=40_000 * RUPIAH),)
    )  # fmt: skip


async def test_tap_with_online_pin_is_approved(day: Day) -> None:
    terminal, who = day.counter.terminal, day.holders[0]
    slot = day.counter.slot(who)
    result = await terminal.buy(20_000 * RUPIAH, slot, typed(who.pin), tap=True)
    assert (result.outcome, day.balance(who)) == ("00", 280_000 * RUPIAH)


@pytest.mark.parametrize("processing_code", ["029800", "200098"], ids=["void", "refund"])
async def test_money_back_whose_answer_is_lost_is_undone_and_the_totals_agree(
    day: Day, processing_code: str
) -> None:
    who = day.holders[0]
    sale = await day.counter.sell(who, 50_000 * RUPIAH)
    codec = Codec(load_spec("edc"))
    line = LostAnswerLine(
        day.counter.tcp_line(),
        lambda payload: (
            codec.decode(payload).get(3) == processing_code and codec.peek(payload).mti == "0200"
        ),
    )
    await day.counter.use_line(line)
    terminal = day.counter.terminal
    if processing_code == "029800":
        result = await terminal.void(sale.stan)
    else:
        slot = day.counter.slot(who)
        assert await terminal.set_supervisor("271828") is None
        result = await terminal.refund(
            sale.stan, 10_000 * RUPIAH, slot, typed(who.pin), supervisor="271828"
        )
    assert (result.outcome, result.reversed) == ("68", True)
    assert await terminal.settle_outstanding() == 0
    assert day.balance(who) == 250_000 * RUPIAH
    settled = await terminal.settle()
    assert settled.totals == (Totals(sales=1, sales_sen=50_000 * RUPIAH),)
    kinds = [t.intent.processing_code for t in terminal.journal.transactions.values()]
    assert (settled.outcome, "960000" in kinds) == ("00", False)


async def test_pin_change_whose_answer_is_lost_leaves_a_card_that_one_of_both_opens(
    day: Day,
) -> None:
    who = day.holders[0]
    codec = Codec(load_spec("edc"))
    line = LostAnswerLine(day.counter.tcp_line(), lambda p: codec.peek(p).mti == "0100")
    await day.counter.use_line(line)
    terminal = day.counter.terminal
    entries = iter((who.pin, "778899", "778899"))

    async def holder_types() -> str:
        return next(entries)

    result = await terminal.change_pin(day.counter.slot(who), holder_types)
    assert result.outcome == "68"
    assert "PIN baru" in result.detail
    assert not terminal.owed_reversals
    assert (await day.counter.sell(who, 10_000 * RUPIAH, pin="778899")).outcome == "00"


async def test_cut_off_settles_the_day_before_by_itself(day: Day) -> None:
    terminal, who = day.counter.terminal, day.holders[0]
    await day.counter.sell(who, 50_000 * RUPIAH)
    day.pass_seconds(24 * 60 * 60)
    again = await day.counter.sell(who, 60_000 * RUPIAH)
    assert again.approved
    assert terminal.journal.batches[1].status is BatchStatus.CLOSED
    assert terminal.journal.transactions[again.stan].intent.batch == 2
