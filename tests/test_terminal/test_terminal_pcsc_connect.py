"""Connecting to a card that the daemon shows but does not hand over at once; no daemon needed."""

import types
from typing import Any

import pytest

from terminal import pcsc
from terminal.card_channel import CardRemovedError

ATR = list(bytes.fromhex("3BE000008131FE45EB"))
BUSY, MISMATCH, REMOVED = 0x8010000B, 0x8010000F, 0x80100069


class Daemon(types.SimpleNamespace):
    """pyscard's low-level calls, as many as `connect` makes; refuses the first few connections."""

    def __init__(self, *refusals: int) -> None:
        super().__init__(
            SCARD_S_SUCCESS=0, SCARD_SCOPE_SYSTEM=2, SCARD_SHARE_EXCLUSIVE=1, SCARD_PROTOCOL_T0=1,
            SCARD_PROTOCOL_T1=2, SCARD_UNPOWER_CARD=2, SCARD_STATE_UNAWARE=0,
            SCARD_STATE_PRESENT=32, SCARD_E_PROTO_MISMATCH=MISMATCH,
            SCARD_PCI_T0=0, SCARD_PCI_T1=1, SCARD_LEAVE_CARD=0, SCARD_RESET_CARD=1,
        )  # fmt: skip
        self.refusals = list(refusals)
        self.answer = [0x90, 0x00]
        self.dispositions: list[int] = []
        self.attempts = 0

    def SCardEstablishContext(self, _scope: int) -> tuple[int, object]:
        return 0, object()

    def SCardReleaseContext(self, _context: object) -> int:
        return 0

    def SCardConnect(self, *_: Any) -> tuple[int, object, int]:
        self.attempts += 1
        return (self.refusals.pop(0) if self.refusals else 0), object(), 2

    def SCardReconnect(self, *_: Any) -> tuple[int, int]:
        return 0, 2

    def SCardStatus(self, _card: object) -> tuple[int, str, int, int, list[int]]:
        return 0, "reader", 0, 2, ATR

    def SCardGetStatusChange(self, *_: Any) -> tuple[int, list[tuple[str, int, list[int]]]]:
        return 0, [("reader", self.SCARD_STATE_PRESENT, ATR)]

    def SCardTransmit(self, *_: Any) -> tuple[int, list[int]]:
        return 0, self.answer

    def SCardDisconnect(self, _card: object, disposition: int) -> int:
        self.dispositions.append(disposition)
        return 0


def slot_of(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(pcsc, "scard", lambda: daemon)
    monkeypatch.setattr(pcsc, "_CONNECT_PAUSE_S", 0)
    return pcsc._Slot("reader")


def test_connect_card_refused_for_a_moment_is_tried_again_and_usable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon = Daemon(BUSY, BUSY)
    slot = slot_of(daemon, monkeypatch)
    assert slot.connect() == bytes(ATR)
    assert slot.transmit(b"\x00\xa4\x04\x00\x00") == b"\x90\x00"
    assert daemon.attempts == 3


@pytest.mark.parametrize(("refusals", "attempts"), [([MISMATCH] * 9, 1), ([BUSY] * 9, 6)])
def test_connect_card_refused_for_good_gives_the_atr_within_bounded_tries(
    monkeypatch: pytest.MonkeyPatch, refusals: list[int], attempts: int
) -> None:
    daemon = Daemon(*refusals)
    assert slot_of(daemon, monkeypatch).connect() == bytes(ATR)
    assert daemon.attempts == attempts


def test_card_given_back_is_powered_down_once(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon()
    slot = slot_of(daemon, monkeypatch)
    slot.connect()
    slot.disconnect()
    slot.disconnect()
    assert daemon.dispositions == [daemon.SCARD_UNPOWER_CARD]


@pytest.mark.parametrize("answer", [[], [0x90]])
def test_card_that_tore_is_let_go_as_it_is(
    monkeypatch: pytest.MonkeyPatch, answer: list[int]
) -> None:
    """Powered down, the daemon would take the slot for empty and never power the next card."""
    daemon = Daemon()
    slot = slot_of(daemon, monkeypatch)
    slot.connect()
    daemon.answer = answer
    for _ in range(2):
        with pytest.raises(CardRemovedError):
            slot.transmit(b"\x00\xa4\x04\x00\x00")
    assert daemon.dispositions == [daemon.SCARD_LEAVE_CARD]


@pytest.mark.parametrize("failing", ["SCardReconnect", "SCardStatus"])
def test_card_that_left_while_it_was_powered_is_let_go_as_it_is(
    monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    daemon = Daemon()
    slot = slot_of(daemon, monkeypatch)
    good = getattr(daemon, failing)
    setattr(daemon, failing, lambda *arguments: (REMOVED, *good(*arguments)[1:]))
    assert slot.reset() == bytes(ATR)  # the daemon has still seen it
    assert set(daemon.dispositions) == {daemon.SCARD_LEAVE_CARD}
