"""The menu walked by a scripted operator: every choice, bad entries, both languages."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cardsim import Card
from cardsim.channel import InProcessChannel
from lumbung.testing import AnsweringLine, ScriptedOperator, VirtualClock, open_terminal
from protocols.catalogue import LANGUAGES, text
from protocols.values import DIGIT_RUN
from terminal.attended import MENU, AttendedTerminal, Presented
from terminal.errors import NotLoggedOnError
from terminal.purchase.outage import OutagePolicy
from terminal.purchase.table import FlowEvent, FlowState
from terminal.results import SaleResult
from terminal.screen import View, screen_lines
from tests.terminal_kit import PAN, TMK, CounterBytes, ScriptedHost

pytestmark = pytest.mark.slow
PIN = "123456"


@dataclass
class Counter:
    """A terminal, its scripted host, and a card that lies on the counter."""

    directory: Path
    card_image: Any
    lang: str = "id"
    clock: VirtualClock = field(default_factory=VirtualClock)
    host: ScriptedHost = field(default_factory=ScriptedHost)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.line = AnsweringLine(self.host.answer, self.clock)
        self.slot = InProcessChannel(Card(self.card_image(), self.clock, CounterBytes()))
        self.terminal: AttendedTerminal = open_terminal(
            self.directory, TMK, clock=self.clock, random_bytes=CounterBytes(), line=self.line,
            lang=self.lang, outage=OutagePolicy(enabled=True),
        )  # fmt: skip

    async def choose(
        self, event: FlowEvent, *typed: str | None, tap: bool = False
    ) -> SaleResult | None:
        operator = ScriptedOperator(typed, Presented(self.slot, tap))
        result = await self.terminal.serve(event, operator)
        self.said = operator.screens
        return result

    async def sell(self, amount: str = "25.000") -> SaleResult:
        result = await self.choose(FlowEvent.PURCHASE, amount, PIN)
        assert result is not None
        return result


@pytest.fixture
async def counter(tmp_path: Path, card_image: Any) -> Any:
    made = Counter(tmp_path / "edc", card_image)
    assert await made.choose(FlowEvent.LOG_ON) is None
    yield made
    await made.terminal.close()


async def test_log_on_that_fails_says_what_to_check(tmp_path: Path, card_image: Any) -> None:
    made = Counter(tmp_path / "edc", card_image)
    made.line.is_down = True
    result = await made.choose(FlowEvent.LOG_ON)
    assert result is not None
    assert (result.outcome, made.terminal.flow.state) == ("91", FlowState.OFF_DUTY)
    assert "Periksa jaringan" in result.detail
    with pytest.raises(NotLoggedOnError):
        await made.choose(FlowEvent.PURCHASE, "25000", PIN)
    await made.terminal.close()


async def test_sale_shows_each_step_and_never_the_pin(counter: Counter) -> None:
    result = await counter.sell()
    assert (result.outcome, result.amount_sen) == ("00", 2_500_000)
    assert counter.said[:3] == ["Masukkan nominal", "Masukkan kartu", "Membaca kartu..."]
    assert "Menunggu bank..." in counter.said
    assert not any(PIN in screen for screen in counter.said)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("0", "lebih dari nol"),
        ("-25000", "angka saja"),
        ("12,5", "angka saja"),
        ("99999999", "paling besar"),
        ("satu", "angka saja"),
        ("１２", "angka saja"),
        ("9" * 30, "paling besar"),
    ],
)
async def test_amounts_that_cannot_be_are_asked_again(
    counter: Counter, typed: str, sentence: str
) -> None:
    assert await counter.choose(FlowEvent.PURCHASE, typed, None) is None
    assert any(sentence in screen for screen in counter.said)
    assert counter.terminal.flow.state is FlowState.MENU
    assert not any(message.mti == "0200" for message in counter.host.seen)


async def test_basket_is_chosen_by_number_or_code_and_forbidden_goods_are_not(
    counter: Counter,
) -> None:
    basket = ("1 1 74500", "PULSA 1 10000", "99 1 1", "MINYAK1L 2 36000", "1", "", PIN)
    result = await counter.choose(FlowEvent.BASKET, *basket)
    assert result is not None
    assert (result.outcome, result.amount_sen) == ("00", 11_050_000)
    assert any("bukan bahan pangan" in screen for screen in counter.said)
    assert any("tidak ada dalam daftar" in screen for screen in counter.said)


async def test_every_choice_of_the_menu_can_be_walked_to_its_end(counter: Counter) -> None:
    sale = await counter.sell()
    other, third = await counter.sell("30.000"), await counter.sell("35.000")
    trace, second = f"{sale.stan}", f"{other.stan}"
    walks: dict[FlowEvent, Iterable[str]] = {
        FlowEvent.BALANCE: (),
        FlowEvent.STATEMENT: (),
        FlowEvent.REFUND: ("999", trace, "99.000.000", "5.000", PIN),
        FlowEvent.VOID: ("abc", trace, second, "1"),
        FlowEvent.REDUCE: ("999", f"{third.stan}", "0", "20.000"),
        FlowEvent.REPRINT: ("77777", "0"),
        FlowEvent.PROXY: ("W-1", "W0000042", "40.000", PIN),
        FlowEvent.PIN_CHANGE: (PIN, "778899", "778890", "778899", "778899"),
        FlowEvent.COMPLAINT: ("9", "2"),
        FlowEvent.SETTLE: ("1",),
    }
    for event, typed in walks.items():
        if event is FlowEvent.PIN_CHANGE:
            assert counter.host.pin == PIN
        result = await counter.choose(event, *typed)
        assert result is not None, event
        assert result.outcome == "00", (event, result.detail)
        slip = result.receipt_pembeli or result.receipt_toko
        assert not DIGIT_RUN.search(slip)
        assert PAN.reveal() not in slip
    assert counter.host.pin == "778899"
    settled = counter.terminal.journal.batches[1]
    assert settled.is_concluded
    assert {event for event, _ in MENU} - walks.keys() == {
        FlowEvent.PURCHASE, FlowEvent.BASKET, FlowEvent.LOG_ON, FlowEvent.LOG_OFF,
    }  # fmt: skip


@pytest.mark.parametrize("event", [event for event, _ in MENU[:11]], ids=lambda event: event.name)
async def test_every_choice_can_be_cancelled_at_its_first_question(
    counter: Counter, event: FlowEvent
) -> None:
    await counter.sell()
    operator = ScriptedOperator([])
    result = await counter.terminal.serve(event, operator)
    assert result is None
    assert counter.terminal.flow.state is FlowState.MENU
    assert counter.host.standing_sen() == 2_500_000


async def test_same_sale_again_asks_and_shows_the_earlier_result(counter: Counter) -> None:
    first = await counter.sell()
    again = await counter.choose(FlowEvent.PURCHASE, "25000", "0")
    assert again is not None
    assert (again.repeated, again.stan) == (True, first.stan)
    assert any("Transaksi tadi sudah berhasil?" in screen for screen in counter.said)
    wanted = await counter.choose(FlowEvent.PURCHASE, "25000", "1", PIN)
    assert wanted is not None
    assert not wanted.repeated
    assert counter.host.standing_sen() == 5_000_000


async def test_outage_is_offered_with_its_limit(counter: Counter) -> None:
    counter.line.is_down = True
    result = await counter.choose(FlowEvent.PURCHASE, "25000", PIN, "1")
    assert result is not None
    assert result.voucher
    assert any("voucher sampai Rp50.000" in screen for screen in counter.said)
    refused = await counter.choose(FlowEvent.PURCHASE, "20000", PIN, "0")
    assert refused is not None
    assert (refused.outcome, refused.voucher) == ("91", "")


async def test_terminal_at_its_menu_clears_vouchers_and_settles_at_cut_off_by_itself(
    counter: Counter,
) -> None:
    seen = len(counter.host.seen)
    await counter.terminal.tend()
    assert len(counter.host.seen) == seen
    counter.line.is_down = True
    await counter.choose(FlowEvent.PURCHASE, "25000", PIN, "1")
    await counter.terminal.tend()
    assert len(counter.terminal.journal.queued()) == 1
    counter.line.is_down = False
    await counter.terminal.tend()
    assert counter.host.standing_sen() == 2_500_000
    counter.clock.pass_ms(24 * 60 * 60_000)
    await counter.terminal.tend()
    assert counter.host.settled == {"000001": "920000"}
    assert await counter.choose(FlowEvent.LOG_OFF) is None
    await counter.terminal.tend()
    assert counter.terminal.flow.state is FlowState.OFF_DUTY


async def test_host_that_answers_nonsense_or_another_terminal_moves_nothing(
    counter: Counter,
) -> None:
    counter.host.change = lambda reply: reply.replace(de11="999999")
    lost = await counter.sell()
    assert (lost.outcome, lost.reversed) == ("68", True)
    counter.host.change = lambda reply: reply.replace(de41="12400099")
    assert (await counter.sell("26.000")).outcome == "68"
    counter.host.break_mac = True
    assert (await counter.sell("27.000")).outcome == "68"
    assert counter.host.standing_sen() == 0
    sale = await counter.sell("28.000")
    for harm in ("break_mac", "change"):
        if harm == "break_mac":
            counter.host.break_mac = True
        else:
            counter.host.change = lambda reply: reply.replace(de37="600509999999")
        settled = await counter.choose(FlowEvent.SETTLE, "1")
        assert settled is not None
        if settled.outcome != "00":
            assert settled.outcome == "91"
            assert await counter.terminal.settle_outstanding() == 0
        sale = await counter.sell(f"{30 + len(counter.host.seen)}.000")
        assert sale.approved
    codes = [m.mti for m in counter.host.seen if m.mti[:2] == "05"]
    assert codes == ["0500", "0501", "0500", "0501"]


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_screen_fits_any_window_in_every_state(
    tmp_path: Path, card_image: Any, lang: str
) -> None:
    made = Counter(tmp_path / "edc", card_image, lang)
    await made.choose(FlowEvent.LOG_ON)
    result = await made.sell()
    for state in FlowState:
        made.terminal.flow.state = state
        for columns, rows in ((10, 3), (24, 8), (32, 12), (80, 24), (200, 60)):
            for shown in (None, result):
                view = View(typed=PIN, secret=True, result=shown, asks_card=True, lang=lang)
                lines = screen_lines(made.terminal, view, columns, rows)
                assert len(lines) <= rows
                assert all(len(line) <= columns for line in lines)
                assert PIN not in "".join(lines)
    made.terminal.flow.state = FlowState.MENU
    await made.terminal.close()


async def test_what_was_uncertain_is_told_once_when_it_has_ended(counter: Counter) -> None:
    counter.line.lose = 9
    lost = await counter.sell()
    assert lost.detail == text("refused.reversal_pending", trace=f"{lost.stan:06d}")
    assert counter.terminal.came_to_end() == []
    counter.line.lose = 0
    await counter.terminal.tend()
    (ended,) = counter.terminal.came_to_end()
    assert ended.detail == text("flow.reversal_done", trace=f"{lost.stan:06d}")
    assert counter.terminal.came_to_end() == []


async def test_narrow_screen_holds_every_sentence_whole(counter: Counter) -> None:
    counter.terminal.flow.state = FlowState.MENU
    result = await counter.choose(FlowEvent.SETTLE)
    assert result is not None
    notice = text("printer.not_connected")
    view = View(result=result, notice=notice)
    shown = " ".join(line.strip() for line in screen_lines(counter.terminal, view, 40, 30))
    assert notice in shown
    for sentence in (result.detail, result.texts.next_step):
        assert sentence in shown
