"""The kernel's outcome for whole transactions with altered cards, each row with its clause."""

from dataclasses import replace

from cardsim import CardImage
from terminal.kernel import OutcomeKind, start_transaction
from tests.card_changes import (
    add,
    body,
    both,
    no_directory,
    status,
    unchanged,
)
from tests.card_kit import (
    PAN,
    TERMINAL,
    Tamper,
    drive,
    expected_arqc,
    make_card,
    make_image,
    purchase,
)
from tests.tables import every_row

K = OutcomeKind
PARTIAL_AID = bytes.fromhex("A0000006021010")


def test_card_that_carries_the_terminals_own_objects_changes_nothing_of_them() -> None:
    image = both(add("91", "11" * 10), add("9F33", "E0F8C8"), add("8A", "3030"))(make_image())
    outcome = drive(start_transaction(TERMINAL, purchase()), make_card(image))
    assert outcome.kind is K.ONLINE
    assert outcome.context is not None
    assert not {"91", "8A", "9F33"} & set(outcome.context.card)
    assert outcome.de55["9F33"] == TERMINAL.terminal_capabilities


def two_applications(first_priority: int, second_priority: int) -> CardImage:
    """Give a card with the GPN application first and the SSN one second in its directory."""
    image = make_image()
    ssn = replace(image.applications[0], priority=second_priority)
    gpn = replace(ssn, aid=PARTIAL_AID, label="GPN DEBIT", priority=first_priority)
    return replace(image, applications=(gpn, ssn))


@every_row(
    ("priorities", "tamper", "aid"),
    [
        ((1, 2), unchanged, "A0000006021010"),
        ((2, 1), unchanged, "F053534E01"),
        ((15, 1), no_directory, "F053534E01"),
        ((1, 2), status(0xA8, 0x6985), "F053534E01"),
        ((1, 2), status(0xA4, 0x6A82, nth=2), "F053534E01"),
        ((1, 2), status(0xA4, 0x6283, nth=2), "F053534E01"),
        ((0x81, 2), unchanged, "F053534E01"),
        ((1, 2), body(0xA4, lambda data: data[:-1], nth=2), "F053534E01"),
    ],
    ids=[
        "first by priority", "second by priority", "list of AIDs", "conditions of use",
        "selection fails", "blocked since", "needs confirmation", "control information malformed",
    ],
)  # fmt: skip
def test_kernel_with_two_applications_takes_the_next_one_when_the_first_fails(
    priorities: tuple[int, int], tamper: Tamper, aid: str
) -> None:
    card = make_card(two_applications(*priorities))
    outcome = drive(start_transaction(TERMINAL, purchase()), card, tamper)
    assert outcome.kind is K.ONLINE
    assert outcome.aid.hex().upper() == aid
    assert outcome.de55["84"] == outcome.aid


@every_row("profile", ["ssn", "nsiccs-debit"])
def test_kernel_with_a_good_card_gives_de55_that_the_issuer_can_recompute(profile: str) -> None:
    outcome = drive(start_transaction(TERMINAL, purchase()), make_card(make_image(profile)))
    assert outcome.kind is K.ONLINE
    assert outcome.needs_online_pin
    assert outcome.de55["9F26"] == expected_arqc(outcome.de55)
    assert (outcome.tsi.hex(), outcome.pan_sequence, outcome.expiry_yymm) == ("6800", "01", "3012")
    assert not {"5A", "57", "5F20", "5F24"} & set(outcome.de55)
    assert " ".join(outcome.de55) == (
        "5F2A 5F34 82 84 95 9A 9C 9F02 9F03 9F10 9F1A 9F26 9F27 9F33 9F34 9F35 9F36 9F37 9F41"
    )
    assert "SITI" not in repr(outcome)
    assert PAN.reveal() not in repr(outcome)
