"""A cash register asks the terminal for sales over a serial cable: one reference, one sale."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cardsim.channel import InProcessChannel
from lumbung.pty_port import PtyPort
from lumbung.register import CashRegister
from lumbung.system import SystemClock
from lumbung.testing import PowerCutError
from protocols import serial_line
from protocols.clock import Clock
from terminal.device import Terminal
from terminal.line import LineDownError
from terminal.register.book import RegisterBook, RegisterBookError, RegisterSale
from terminal.register.messages import (
    Answer,
    Code,
    Request,
    Verb,
    read_answer,
    read_request,
)
from terminal.register.port import RegisterPort
from terminal.results import SaleResult
from terminal.serial_port import SerialPort

AMOUNT = 14_150_000
PinOf = Callable[..., Callable[[], Awaitable[str]]]
pytestmark = pytest.mark.slow


class Cable:
    """Two serial ports joined; `spoil` changes what the register hears, None swallows it."""

    def __init__(self, folder: Path) -> None:
        self.spoil: Callable[[bytes], bytes | None] = lambda data: data
        self._near = PtyPort(lambda data: self._far.write(data), folder / "ttyREG")
        self._far = PtyPort(self._back, folder / "ttyECR")
        self.register_end, self.terminal_end = self._near.plug_in(), self._far.plug_in()

    def _back(self, data: bytes) -> None:
        heard = self.spoil(data)
        if heard is not None:
            self._near.write(heard)

    def pull_out(self) -> None:
        self._near.pull_out()
        self._far.pull_out()


class StampedClock(SystemClock):
    """The machine's own clock for waits, the terminal's for stamps."""

    def __init__(self, stamps: Clock) -> None:
        self._stamps = stamps

    def now_ns(self) -> int:
        return self._stamps.now_ns()


@asynccontextmanager
async def counter(
    folder: Path, terminal: Terminal, sell: Callable[[int], Awaitable[SaleResult]]
) -> AsyncIterator[tuple[CashRegister, Cable]]:
    cable, clock = Cable(folder), SystemClock()
    book = RegisterBook.open(folder / "register")
    # What is begun is stamped by the terminal's clock; the cable's waits are the machine's own.
    wall = StampedClock(terminal._exchange._clock)
    port = RegisterPort(SerialPort(cable.terminal_end), terminal, book, sell, wall)
    serving = asyncio.ensure_future(port.serve())
    try:
        yield CashRegister(SerialPort(cable.register_end), clock), cable
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        port.stop()
        cable.pull_out()


@pytest.fixture
def sell(
    terminal: Terminal, slot: InProcessChannel, pin_of: PinOf
) -> Callable[[int], Awaitable[SaleResult]]:
    async def it_is_another_sale(_earlier: SaleResult) -> bool:
        return True  # only the reference keeps it from being sold twice

    async def at_counter(amount_sen: int) -> SaleResult:
        pin = pin_of("123456")
        return await terminal.buy(amount_sen, slot, pin, repeat_question=it_is_another_sale)

    return at_counter


async def test_register_gets_the_result_and_the_same_reference_never_sells_twice(
    tmp_path: Path, terminal: Terminal, host: Any, sell: Any
) -> None:
    async with counter(tmp_path, terminal, sell) as (register, _):
        assert (await register.ask("BON1")).code is Code.UNKNOWN
        first = await register.sale("BON1", AMOUNT)
        assert (first.code, first.outcome, first.amount_sen) == (Code.RESULT, "00", AMOUNT)
        assert (len(first.trace), len(first.rrn)) == (6, 12)
        again = await register.sale("BON1", AMOUNT)
        asked = await register.ask("BON1")
        assert again.trace == asked.trace == first.trace
        assert (await register.sale("BON1", 2 * AMOUNT)).code is Code.OTHER_AMOUNT
        for wrong in (0, 150, 10**12 - 1):
            assert (await register.sale("BON2", wrong)).code is Code.BAD_REQUEST
        host.refuse = "51"
        refused = await register.sale("BON3", 2 * AMOUNT)
        assert (refused.code, refused.outcome, refused.amount_sen) == (Code.RESULT, "51", 0)
    assert sorted(host.book.values()) == [AMOUNT]


async def test_register_whose_answer_is_lost_asks_again_and_money_moved_once(
    tmp_path: Path,
    terminal: Terminal,
    host: Any,
    sell: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = {state: wait // 20 for state, wait in serial_line._WAITS_MS.items()}
    monkeypatch.setattr(serial_line, "_WAITS_MS", quick)
    async with counter(tmp_path, terminal, sell) as (register, cable):
        cable.spoil = lambda data: None if b"\x02" in data else data
        with pytest.raises(TimeoutError):
            await register.sale("BON1", AMOUNT, timeout_ms=2_000)
        cable.spoil = lambda data: data
        answer = await register.sale("BON1", AMOUNT)
        assert (answer.outcome, answer.amount_sen) == ("00", AMOUNT)
    assert sorted(host.book.values()) == [AMOUNT]


async def test_cable_pulled_out_during_a_sale_leaves_the_result_for_later(
    tmp_path: Path, terminal: Terminal, host: Any, sell: Any
) -> None:
    cables: list[Cable] = []

    async def pulled_out(amount_sen: int) -> SaleResult:
        result: SaleResult = await sell(amount_sen)
        cables[0].pull_out()
        return result

    async with counter(tmp_path, terminal, pulled_out) as (register, cable):
        cables.append(cable)
        with pytest.raises(LineDownError):
            await register.sale("BON1", AMOUNT)
    async with counter(tmp_path, terminal, sell) as (register, _):
        assert (await register.sale("BON1", AMOUNT)).outcome == "00"
    assert sorted(host.book.values()) == [AMOUNT]


@pytest.mark.parametrize("sent", [True, False], ids=["after the sale", "before the sale"])
async def test_power_cut_between_sale_and_book_is_settled_by_the_terminals_journal(
    sent: bool, tmp_path: Path, terminal: Terminal, clock: Any, host: Any, sell: Any
) -> None:
    book = RegisterBook.open(tmp_path / "register")
    book.keep(RegisterSale("BON1", AMOUNT, clock.now_ns()))
    if sent:
        assert (await sell(AMOUNT)).approved
    async with counter(tmp_path, terminal, sell) as (register, _):
        assert (await register.ask("BON1")).code is (Code.RESULT if sent else Code.UNKNOWN)
        assert (await register.sale("BON1", AMOUNT)).outcome == "00"
        assert (await register.ask("BON1")).outcome == "00"
    assert sorted(host.book.values()) == [AMOUNT]


async def test_terminal_that_dies_after_the_sale_has_written_its_beginning_down(
    tmp_path: Path, terminal: Terminal, host: Any, sell: Any
) -> None:
    async def dies(amount_sen: int) -> SaleResult:
        await sell(amount_sen)
        raise PowerCutError

    async with counter(tmp_path, terminal, dies) as (register, _):
        with pytest.raises((TimeoutError, LineDownError)):
            await register.sale("BON1", AMOUNT, timeout_ms=300)
    async with counter(tmp_path, terminal, sell) as (register, _):
        assert (await register.sale("BON1", AMOUNT)).outcome == "00"
    assert sorted(host.book.values()) == [AMOUNT]


async def test_sale_that_was_cut_off_before_it_began_takes_nobody_elses_result(
    tmp_path: Path, terminal: Terminal, clock: Any, host: Any, sell: Any
) -> None:
    assert (await sell(AMOUNT)).approved  # typed at the terminal, before the register asked
    clock.pass_ms(1_000)
    RegisterBook.open(tmp_path / "register").keep(RegisterSale("BON1", AMOUNT, clock.now_ns()))
    clock.pass_ms(1_000)
    async with counter(tmp_path, terminal, sell) as (register, _):
        assert (await register.ask("BON1")).code is Code.UNKNOWN
        other = await register.sale("BON2", AMOUNT)
        assert (await register.ask("BON1")).code is Code.UNKNOWN
        own = await register.sale("BON1", AMOUNT)
        assert own.trace != other.trace
    assert sorted(host.book.values()) == [AMOUNT] * 3


async def test_terminal_that_is_not_ready_says_so_and_keeps_nothing(
    tmp_path: Path, open_terminal: Callable[..., Terminal], sell: Any
) -> None:
    terminal = open_terminal(data_directory=tmp_path / "other")
    async with counter(tmp_path, terminal, sell) as (register, _):
        assert (await register.sale("BON1", AMOUNT)).code is Code.NOT_READY
        assert (await register.ask("BON1")).code is Code.UNKNOWN


def test_book_that_was_damaged_at_any_byte_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "register"
    RegisterBook.open(path).keep(RegisterSale("A", AMOUNT, 1))
    whole = path.read_bytes()
    for place in range(len(whole)):
        if place == 8:
            continue  # the blank between checksum and text carries nothing
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
        with pytest.raises(RegisterBookError, match="register"):
            RegisterBook.open(path)


REQUESTS = [Request(0, Verb.SALE, "BON1", 100), Request(99, Verb.ASK, "x" * 20)]


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_request_reads_as_it_was_written_and_a_shorter_one_is_none(request_: Request) -> None:
    whole = request_.encode()
    assert read_request(whole) == request_
    assert b"\x02" not in whole
    assert b"\x03" not in whole
    for wrong in (whole[1:], whole + b"\x1c", whole.replace(b"\x1c", b"", 1), b"", b"\xff" * 9):
        assert read_request(wrong) is None


def test_answer_reads_as_it_was_written() -> None:
    answer = Answer(7, Verb.SALE, "B", Code.RESULT, "00", "000345", "600509000345", "7K2M9Q", 5, "")
    assert read_answer(answer.encode()) == answer
    assert read_answer(answer.encode()[:-1] + b"\x1c\x1c") is None
