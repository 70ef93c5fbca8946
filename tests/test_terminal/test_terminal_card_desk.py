"""The card desk with PINs that the chip checks, and with taps; the card is a virtual one."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cardsim.channel import InProcessChannel
from lumbung.testing import virtual_card
from protocols.values import SecretBytes
from terminal.card_desk import CardDesk
from terminal.device import Terminal
from terminal.host.events import ChipRequest
from terminal.journal.records import Kind
from terminal.kernel import laboratory_terminal_data
from tests.terminal_kit import CounterBytes

PinPad = Callable[..., Callable[[], Awaitable[str]]]
T0 = 1_767_575_647 * 10**9


def desk_with(slot: Any, *, tap: bool = False) -> CardDesk:
    return CardDesk(slot, laboratory_terminal_data(), CounterBytes(), tap=tap)


async def read(desk: CardDesk) -> None:
    assert await desk.read(Kind.PURCHASE, 2_500_000, utc_ns=T0, sequence=1) is None


async def test_chip_checks_the_pin_tells_the_tries_and_signs_that_it_was_right() -> None:
    card = virtual_card("emv-generic", seed=7, pin="1234")
    desk = desk_with(InProcessChannel(card.card))
    await read(desk)
    assert desk.needs_offline_pin
    wrong = await desk.check_offline_pin(SecretBytes(b"9999"))
    assert wrong is not None
    assert (wrong.code, wrong.values) == ("55", {"tries": "2"})
    assert desk.needs_offline_pin
    assert await desk.check_offline_pin(SecretBytes(b"1234")) is None
    assert not desk.needs_offline_pin
    request = await desk.sign(2_500_000, None, ())
    assert isinstance(request, ChipRequest)
    assert request.de55["9F34"][2] == 0x02
    await desk.release()


async def test_chip_whose_tries_are_used_up_asks_no_more() -> None:
    card = virtual_card("emv-generic", seed=7, pin="1234")
    desk = desk_with(InProcessChannel(card.card))
    await read(desk)
    tries = 0
    while desk.needs_offline_pin:
        await desk.check_offline_pin(SecretBytes(b"9999"))
        tries += 1
    assert tries == 3
    await desk.release()


@pytest.mark.slow
@pytest.mark.parametrize("digits", ["", "123", "1234567890123", "12a456"])
async def test_digits_that_are_no_offline_pin_never_reach_the_chip(
    open_terminal: Callable[..., Terminal], pin_of: PinPad, digits: str
) -> None:
    terminal = open_terminal(terminal_data="laboratory")
    await terminal.log_on()
    card = virtual_card("emv-generic", seed=7, pin="1234")
    slot = InProcessChannel(card.card)
    result = await terminal.buy(2_500_000, slot, pin_of(digits, digits, digits))
    assert result.outcome == "17"
    assert result.stan == 0
    assert not any(entry.command.startswith("0020") for entry in card.trace.entries), (
        "no VERIFY was sent"
    )


async def test_purchase_asks_for_the_pin_whatever_the_card_says_and_a_balance_does_not() -> None:
    card = virtual_card("ssn", seed=7)
    desk = CardDesk(InProcessChannel(card.card), laboratory_terminal_data(), CounterBytes())
    for kind, asks in ((Kind.PURCHASE, True), (Kind.BALANCE, False)):
        amount_sen = 2_500_000 if asks else 0
        assert await desk.read(kind, amount_sen, utc_ns=T0, sequence=1) is None
        assert desk.context is not None
        desk.context.needs_online_pin = False
        assert desk.needs_pin is asks
