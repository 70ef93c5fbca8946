"""The supervisor's code: who may let a refund begin, and what wrong codes come to."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import terminal.supervisor
from cardsim.channel import InProcessChannel
from lumbung.testing import PowerCutError, ScriptedOperator
from protocols.catalogue import text
from protocols.values import SecretBytes
from terminal.attended import AttendedTerminal, Presented
from terminal.device import Terminal
from terminal.journal.records import Kind
from terminal.purchase.table import FlowEvent, FlowState
from terminal.sealing import Sealer
from terminal.supervisor import SupervisorCode, SupervisorError
from tests.terminal_kit import CounterBytes

AMOUNT = 14_150_000
KEY = SecretBytes(bytes(32))
CODE, WRONG = "271828", "314159"
PinPad = Callable[..., Callable[[], Awaitable[str]]]

pytestmark = pytest.mark.slow  # Each check of a code takes its 50 ms on purpose.


@pytest.fixture
async def shop(open_terminal: Callable[..., Terminal]) -> Terminal:
    made = open_terminal(refund_needs_supervisor=True)
    assert await made.log_on() == "00"
    return made


async def test_refund_needs_the_code_and_wrong_ones_lock_it(
    shop: Terminal, open_terminal: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    sale = await shop.buy(AMOUNT, slot, pin_of("123456"))

    async def refund(at: Terminal, code: str) -> tuple[str, str]:
        entry = pin_of("123456")
        result = await at.refund(sale.stan, 500_000, slot, entry, supervisor=code)
        return result.outcome, result.detail

    unset = text("refused.supervisor_unset")
    assert await refund(shop, CODE) == ("17", unset)
    assert await shop.set_supervisor(CODE) is None
    assert await refund(shop, CODE) == ("00", "")
    assert await refund(shop, "") == ("17", text("refused.supervisor_wrong", tries="2"))
    assert await refund(shop, WRONG) == ("17", text("refused.supervisor_wrong", tries="1"))
    await shop.close()
    again = open_terminal(refund_needs_supervisor=True)
    locked = text("refused.supervisor_locked")
    assert await refund(again, WRONG) == ("17", locked)
    assert await refund(again, CODE) == ("17", locked)
    assert await again.set_supervisor(WRONG) is None
    assert (await refund(again, WRONG))[0] == "00"
    refunds = [t for t in again.journal.transactions.values() if t.intent.kind is Kind.REFUND]
    assert len(refunds) == 2


async def test_right_code_gives_all_tries_back(shop: Terminal) -> None:
    await shop.set_supervisor(CODE)
    for _ in range(3):
        assert await shop._why_not_agreed(WRONG) is not None
        assert await shop._why_not_agreed(WRONG) is not None
        assert await shop._why_not_agreed(CODE) is None


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "12345a", "\uff11\uff12\uff13\uff14\uff15\uff16"]
)
async def test_code_of_another_form_is_not_taken(shop: Terminal, code: str) -> None:
    refused = await shop.set_supervisor(code)
    assert refused is not None
    assert refused.key == "refused.supervisor_digits"


def test_code_is_nowhere_on_disk_and_a_damaged_file_closes_refunds(tmp_path: Path) -> None:
    path = tmp_path / "supervisor"
    sealer = Sealer(KEY, CounterBytes())
    kept = SupervisorCode(path, "12400017", sealer)
    kept.set(CODE, CounterBytes())
    whole = path.read_bytes()
    assert CODE.encode() not in whole
    assert path.stat().st_mode & 0o777 == 0o600
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(SupervisorError, match="read back"):
            kept.check(CODE)
    path.write_bytes(whole)
    assert kept.check(CODE) is None
    with pytest.raises(SupervisorError):
        SupervisorCode(path, "12400018", sealer).check(CODE)


def test_try_is_counted_before_the_power_can_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = SupervisorCode(tmp_path / "supervisor", "12400017", Sealer(KEY, CounterBytes()))
    kept.set(CODE, CounterBytes())

    def goes_dark(*_: object) -> bool:
        raise PowerCutError

    monkeypatch.setattr(terminal.supervisor.hmac, "compare_digest", goes_dark)
    for _ in range(3):
        with pytest.raises(PowerCutError):
            kept.check(WRONG)
    monkeypatch.undo()
    refused = kept.check(CODE)
    assert refused is not None
    assert refused.key == "refused.supervisor_locked"


async def test_menu_asks_the_supervisor_secretly_and_gives_the_menu_back(
    shop: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    await shop.set_supervisor(CODE)
    sale = await shop.buy(AMOUNT, slot, pin_of("123456"))
    shop.__class__ = AttendedTerminal
    secrets: list[bool] = []

    class Watched(ScriptedOperator):
        async def ask(self, flow: Any, *, secret: bool = False) -> str | None:
            secrets.append(secret and flow.state is FlowState.SUPERVISOR)
            return await super().ask(flow, secret=secret)

    right = Watched([str(sale.stan), "5000", WRONG, CODE, "123456"], Presented(slot))
    result = await shop.serve(FlowEvent.REFUND, right)
    assert result.outcome == "00"
    assert secrets == [False, False, True, True, False]
    assert text("flow.enter_supervisor", amount="5.000") in right.screens
    cancelled = Watched([str(sale.stan), "5000", None])
    assert await shop.serve(FlowEvent.REFUND, cancelled) is None
    wrong = Watched([str(sale.stan), "5000", WRONG, WRONG, WRONG])
    result = await shop.serve(FlowEvent.REFUND, wrong)
    assert result.detail == text("refused.supervisor_locked")
    assert shop.flow.state is FlowState.MENU


async def test_menu_reduces_a_sale_to_what_was_handed_over(
    shop: Any, host: Any, slot: InProcessChannel, pin_of: PinPad
) -> None:
    sale = await shop.buy(AMOUNT, slot, pin_of("123456"))
    shop.__class__ = AttendedTerminal
    typed = ScriptedOperator(["99", str(sale.stan), "141500", "0", "100000"])
    result = await shop.serve(FlowEvent.REDUCE, typed)
    assert result.amount_sen == 10_000_000
    assert "tetap Rp100.000" in result.receipt_pembeli.replace("\n", " ")
    assert host.standing_sen() == 10_000_000
    again = await shop.serve(FlowEvent.REDUCE, ScriptedOperator([str(sale.stan), None]))
    assert again is None
