"""The balance that the card carries, read without a transaction."""

from datetime import UTC, datetime

import pytest

from protocols.business_time import WITA
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.balance_mirror import BalanceMirror
from protocols.emv.errors import EmvDataError
from terminal.kernel import read_balance_mirror
from tests.card_changes import blocked_card, body, status
from tests.card_kit import TERMINAL, Tamper, application, drive, make_card, make_image
from tests.tables import every_row


@every_row("profile", ["ssn", "nsiccs-debit"])
def test_mirror_is_read_with_its_date_and_moves_no_counter(profile: str) -> None:
    card = make_card(make_image(profile))
    mirror = drive(read_balance_mirror(TERMINAL), card)
    assert mirror == BalanceMirror(30_000_000, datetime(2026, 1, 5, 9, 14, 7, tzinfo=WITA))
    assert application(card).state.atc == 0
    assert card.writer.count == 0


@every_row(
    "tamper",
    [
        status(0xCA, 0x6A88),
        status(0xA4, 0x6A81),
        status(0xA4, 0x6A82, nth=2),
        body(0xA4, lambda data: data[:-1], nth=2),
        body(0xCA, lambda data: data[:-1]),
        body(0xCA, lambda data: bytes.fromhex("DF7003010203")),
        body(0xCA, lambda data: data[:-1] + b"\xff"),
        body(0xCA, lambda data: data[:-3] + b"\x99\x99\x99"),
    ],
    ids=[
        "no object", "card blocked", "selection fails", "control information cut", "object cut",
        "another object", "no digits", "no time",
    ],
)  # fmt: skip
def test_mirror_that_cannot_be_read_is_none(tamper: Tamper) -> None:
    assert drive(read_balance_mirror(TERMINAL), make_card(), tamper) is None


def test_mirror_of_a_blocked_or_foreign_card_is_none() -> None:
    assert drive(read_balance_mirror(TERMINAL), make_card(blocked_card(make_image()))) is None

    def foreign(command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
        return ResponseApdu.status(0x6A82) if command.ins == 0xA4 else answer

    assert drive(read_balance_mirror(TERMINAL), make_card(), foreign) is None


def test_mirror_keeps_wita_whatever_zone_wrote_it_and_refuses_what_does_not_fit() -> None:
    mirror = BalanceMirror(1, datetime(2026, 1, 5, 1, 0, 0, tzinfo=UTC))
    assert mirror.encoded().hex() == "000000000001260105090000"
    assert BalanceMirror.read(mirror.encoded()) == mirror
    for amount in (-1, 10**12):
        with pytest.raises(EmvDataError):
            BalanceMirror(amount, mirror.at).encoded()
    for cut in range(12):
        with pytest.raises(EmvDataError):
            BalanceMirror.read(mirror.encoded()[:cut])
