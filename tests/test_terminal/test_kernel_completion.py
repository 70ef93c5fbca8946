"""The second half: issuer authentication, scripts, the final cryptogram, and no host at all."""

from dataclasses import replace
from typing import Any

from cardsim import Card
from protocols.emv import tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import ScriptCommand
from terminal.kernel import (
    CompletionKind,
    CompletionOutcome,
    KernelContext,
    KernelOutcome,
    OutcomeKind,
    TransactionInput,
    authorise,
    complete_online,
    give_up,
    pin_not_entered,
    prepare_transaction,
    start_transaction,
    unable_to_go_online,
)
from terminal.kernel import limits as kernel_limits
from tests.card_kit import (
    TERMINAL,
    Scripter,
    Tamper,
    application,
    drive,
    final_cryptogram,
    issuer_answer,
    make_card,
    make_image,
    purchase,
    with_application,
)
from tests.tables import every_row

K = CompletionKind


def online(card: Card, given: TransactionInput | None = None) -> KernelOutcome:
    outcome: KernelOutcome = drive(start_transaction(TERMINAL, given or purchase()), card)
    assert outcome.kind is OutcomeKind.ONLINE
    assert outcome.context is not None
    return outcome


def context_of(outcome: KernelOutcome) -> KernelContext:
    assert outcome.context is not None
    return outcome.context


def finish(
    card: Card,
    outcome: KernelOutcome,
    arc: str = "00",
    authentication: bytes | None = None,
    scripts: tuple[tuple[str, bytes], ...] = (),
    tamper: Tamper | None = None,
) -> CompletionOutcome:
    steps = complete_online(context_of(outcome), arc, authentication, scripts)
    completion: CompletionOutcome = drive(steps, card, tamper)
    return completion


@every_row("profile", ["ssn", "nsiccs-debit"])
def test_whole_purchase_with_the_issuers_answer_ends_in_a_tc_the_issuer_can_recompute(
    profile: str,
) -> None:
    card = make_card(make_image(profile))
    outcome = online(card)
    completion = finish(card, outcome, "00", issuer_answer(outcome.de55))
    assert completion.kind is K.APPROVED
    assert completion.cid == 0x40
    assert (completion.tvr.hex(), completion.tsi.hex()) == ("8000048000", "7800")
    assert completion.cryptogram == final_cryptogram(
        outcome.de55, completion.tvr, completion.issuer_application_data
    )
    assert not completion.must_reverse
    state = application(card).state
    assert (state.atc, state.last_online_atc, state.online_pending) == (1, 1, False)
    assert len(state.log) == 1


def test_issuer_authentication_failed_is_told_to_the_issuer_in_the_next_cvr() -> None:
    card = make_card()
    outcome = online(card)
    finish(card, outcome, "00", bytes(8) + b"00")
    assert application(card).state.issuer_authentication_failed
    card.power()
    again = online(card)
    assert again.de55["9F10"][2] & 0x01
    finish(card, again, "00", issuer_answer(again.de55))
    card.power()
    assert not online(card).de55["9F10"][2] & 0x01


@every_row(
    ("changes", "card_limit", "kind", "arc"),
    [
        ({}, 0, K.DECLINED, "Z3"),
        ({"tac_default": bytes(5)}, 0, K.DECLINED, "Y3"),
        ({"tac_default": bytes(5)}, 1, K.APPROVED, "Y3"),
        ({"tac_default": bytes(5), "terminal_type": b"\x21"}, 1, K.DECLINED, "Z3"),
    ],
    ids=["default codes decline", "card declines", "card and terminal approve", "online only"],
)
def test_unable_to_go_online_decides_by_default_action_codes(
    changes: dict[str, Any], card_limit: int, kind: CompletionKind, arc: str
) -> None:
    card = make_card(with_application(make_image(), upper_offline_limit=card_limit))
    outcome = online(card)
    context = context_of(outcome)
    context.data = replace(TERMINAL, **changes)
    if changes:
        context.card["9F0D"] = bytes(5)
    completion = drive(unable_to_go_online(context), card)
    assert (completion.kind, completion.arc) == (kind, arc)
    assert not completion.must_reverse
    assert application(card).state.offline_count == (1 if kind is K.APPROVED else 0)


def test_no_pin_entered_is_in_the_tvr_that_the_card_signs() -> None:
    card = make_card()
    context = drive(prepare_transaction(TERMINAL, purchase()), card)
    assert context.needs_online_pin
    pin_not_entered(context)
    outcome = drive(authorise(context), card)
    assert outcome.tvr.hex() == "8000888000"
    assert outcome.cvm_results.hex() == "020301"
    assert not outcome.needs_online_pin
    completion = drive(give_up(context), card)
    assert (completion.kind, completion.reason.code) == (K.DECLINED, "pin-not-entered")


def script(*commands: CommandApdu, identifier: str = "00000001") -> bytes:
    items = [("86", command.encoded()) for command in commands]
    return tlv.build([("9F18", bytes.fromhex(identifier)), *items])


@every_row("tag", ["71", "72"])
def test_script_before_or_after_the_final_cryptogram_changes_the_card(tag: str) -> None:
    card = make_card()
    outcome = online(card)
    application(card).state.pin_tries = 0
    scripter = Scripter(outcome.de55["9F26"])
    template = script(
        scripter.new_pin("654321"),
        scripter.command(
            ScriptCommand.PUT_DATA, 0xDF, 0x71, bytes.fromhex("000012345600260105091500")
        ),
    )
    completion = finish(card, outcome, "00", issuer_answer(outcome.de55), ((tag, template),))
    assert completion.kind is K.APPROVED
    assert [result.hex() for result in completion.script_results] == ["2000000001"]
    assert completion.tsi.hex() == "7c00"
    state = application(card).state
    assert (state.pin, state.pin_tries, state.script_count) == ("654321", 3, 2)
    assert state.balance_mirror.hex() == "000012345600260105091500"


def test_application_blocked_by_a_script_before_the_final_cryptogram_gives_no_tc() -> None:
    card = make_card()
    outcome = online(card)
    template = script(Scripter(outcome.de55["9F26"]).command(ScriptCommand.APPLICATION_BLOCK))
    completion = finish(card, outcome, "00", issuer_answer(outcome.de55), (("71", template),))
    assert completion.kind is K.REFUSED_AFTER_APPROVAL


@every_row(("tag", "bit"), [("71", 0x20), ("72", 0x10)])
def test_script_that_fails_stops_and_sets_its_tvr_bit(tag: str, bit: int) -> None:
    card = make_card()
    outcome = online(card)
    scripter = Scripter(outcome.de55["9F26"])
    good = scripter.command(ScriptCommand.PIN_CHANGE_UNBLOCK)
    bad = CommandApdu(0x84, 0x1E, 0, 0, bytes(8))
    last = scripter.command(ScriptCommand.APPLICATION_BLOCK)
    template = script(good, bad, last)
    completion = finish(card, outcome, "00", issuer_answer(outcome.de55), ((tag, template),))
    assert [result.hex() for result in completion.script_results] == ["1200000001"]
    assert completion.tvr[4] == bit
    assert not application(card).state.blocked
    assert application(card).state.script_failed


@every_row(
    "template",
    [b"\x86", b"\x86\x02\x84", b"\x86\x03\x84\x1e\x00", b"\x9f\x18\x01\x00", bytes(129)],
    ids=["cut tag", "cut value", "short command", "short identifier", "too long"],
)
def test_script_malformed_is_not_performed_and_does_no_harm(template: bytes) -> None:
    card = make_card()
    outcome = online(card)
    completion = finish(card, outcome, "00", issuer_answer(outcome.de55), (("71", template),))
    assert completion.kind is K.APPROVED
    assert completion.script_results == (bytes(5),)


def test_scripts_beyond_the_bound_are_not_run() -> None:
    card = make_card()
    outcome = online(card)
    many = tuple(("71", b"") for _ in range(kernel_limits.SCRIPTS + 5))
    completion = finish(card, outcome, "00", issuer_answer(outcome.de55), many)
    assert len(completion.script_results) == kernel_limits.SCRIPTS


def test_authentication_data_in_cdol2_is_checked_by_a_card_without_external_authenticate() -> None:
    base = make_image()
    cdol2 = base.applications[0].cdol2 + bytes.fromhex("910A")

    def card_with_cdol2() -> Card:
        image = with_application(base, aip=bytes.fromhex("1800"), cdol2=cdol2)
        records = dict(image.applications[0].records)
        for place, record in records.items():
            inner = tlv.parse_flat(tlv.parse_flat(record)["70"])
            if "8D" in inner:
                inner["8D"] = cdol2
                records[place] = tlv.build([("70", tlv.build(inner))])
        return make_card(with_application(image, records=records))

    card = card_with_cdol2()
    outcome = online(card)
    sent: list[int] = []

    def watch(command: CommandApdu, answer: ResponseApdu) -> ResponseApdu:
        sent.append(command.ins)
        return answer

    completion = finish(card, outcome, "00", issuer_answer(outcome.de55), tamper=watch)
    assert (completion.kind, sent) == (K.APPROVED, [0xAE])
    card = card_with_cdol2()
    outcome = online(card)
    wrong = finish(card, outcome, "00", bytes(8) + b"00")
    assert wrong.kind is K.REFUSED_AFTER_APPROVAL
    assert application(card).state.issuer_authentication_failed
