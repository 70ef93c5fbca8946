"""Power lost at every non-volatile write: the card works afterwards and no counter comes twice."""

import pytest

from cardsim import Card, CardImage, PowerLost
from protocols.crypto.pin import pin_block_encode
from protocols.emv import commands
from protocols.emv.commands import ScriptCommand
from terminal.kernel import CompletionKind, OutcomeKind, complete_online, start_transaction
from tests.card_kit import (
    TERMINAL,
    Scripter,
    answer_over,
    application,
    drive,
    issuer_answer,
    make_card,
    make_image,
    purchase,
)
from tests.tables import every_row


def life(card: Card, used: list[bytes]) -> None:
    """Run a purchase with a wrong PIN, a script and the host's answer; note each counter used."""
    verify = commands.verify(pin_block_encode(2, "999999").reveal(), enciphered=False)
    answer_over(card, commands.select(application(card).aid))
    gpo = commands.get_processing_options(bytes.fromhex("0360036000"))
    if answer_over(card, gpo).ok:
        used.append(answer_over(card, commands.get_data("9F36")).data[-2:])
        answer_over(card, verify)
    outcome = drive(start_transaction(TERMINAL, purchase()), card)
    if outcome.kind is not OutcomeKind.ONLINE:
        return
    used.append(outcome.de55["9F36"])
    script = Scripter(outcome.de55["9F26"]).command(ScriptCommand.PIN_CHANGE_UNBLOCK)
    answer_over(card, commands.external_authenticate(issuer_answer(outcome.de55)))
    answer_over(card, script)
    drive(complete_online(outcome.context, "00"), card)


def writes_of_a_life() -> list[str]:
    fields: list[str] = []
    card = make_card()
    card.writer.on_write = fields.append
    life(card, [])
    return fields


FIELDS = writes_of_a_life()


def test_writes_of_a_whole_life_stand_in_the_order_that_tears_need() -> None:
    assert FIELDS == [
        "atc",  # GPO: the counter before anything that uses it
        "pin_tries",  # VERIFY: the try before the comparison
        "atc",  # the purchase's GPO
        "online_pending",  # set before the ARQC leaves
        "pin_tries",
        "script_count",
        "log",
        "last_online_atc",
        "online_pending",  # cleared last
    ]


@every_row("writes", range(len(FIELDS) + 1))
def test_card_torn_after_any_write_works_next_time_and_its_counter_advanced(writes: int) -> None:
    persisted: list[str] = []
    card = make_card()
    card.writer.on_write = lambda _field: persisted.append(card.image.to_json())
    persisted.append(card.image.to_json())
    used: list[bytes] = []
    card.writer.tear_after(writes)
    with pytest.raises(PowerLost):
        life(card, used)
    assert not card.powered
    # What is on the disk is what the card comes back with.
    again = make_card(CardImage.from_json(persisted[-1]))
    tries = application(again).state.pin_tries
    assert tries in (2, 3)
    outcome = drive(start_transaction(TERMINAL, purchase()), again)
    assert outcome.kind is OutcomeKind.ONLINE
    assert outcome.de55["9F36"] not in used
    assert not used or outcome.de55["9F36"] > max(used)
    completion = drive(complete_online(outcome.context, "00", issuer_answer(outcome.de55)), again)
    assert completion.kind is CompletionKind.APPROVED


@every_row("writes", range(4, len(FIELDS)))
def test_card_torn_between_arqc_and_final_cryptogram_says_so_in_its_next_cvr(writes: int) -> None:
    card = make_card()
    card.writer.tear_after(writes)
    with pytest.raises(PowerLost):
        life(card, [])
    card.power()
    outcome = drive(start_transaction(TERMINAL, purchase()), card)
    assert outcome.de55["9F10"][3] & 0x01


def test_card_torn_after_its_last_write_has_no_unfinished_transaction() -> None:
    card = make_card()
    card.writer.tear_after(len(FIELDS))
    with pytest.raises(PowerLost):
        life(card, [])
    card.power()
    outcome = drive(start_transaction(TERMINAL, purchase()), card)
    assert not outcome.de55["9F10"][3] & 0x01


def test_pin_try_spent_before_a_tear_stays_spent() -> None:
    card = make_card()
    verify = commands.verify(pin_block_encode(2, "123456").reveal(), enciphered=False)
    for left in (2, 1, 0):
        card.power()
        answer_over(card, commands.select(application(card).aid))
        answer_over(card, commands.get_processing_options(bytes.fromhex("0360036000")))
        card.writer.tear_after(1)
        with pytest.raises(PowerLost):
            answer_over(card, verify)
        assert application(card).state.pin_tries == left
    card.power()
    answer_over(card, commands.select(application(card).aid))
    answer_over(card, commands.get_processing_options(bytes.fromhex("0360036000")))
    assert answer_over(card, verify).sw == 0x6983


def test_counter_at_its_end_starts_no_further_transaction() -> None:
    image = make_image()
    image.applications[0].state.atc = 0xFFFE
    card = make_card(image)
    assert drive(start_transaction(TERMINAL, purchase()), card).kind is OutcomeKind.ONLINE
    card.power()
    assert drive(start_transaction(TERMINAL, purchase()), card).kind is OutcomeKind.NOT_ACCEPTED
    assert image.applications[0].state.atc == 0xFFFF
