"""Commands in their detail: cryptograms, offline PIN, scripts, several applications, T=0, log."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardsim import Card, CardState
from cardsim.results import card_verification_results
from protocols.crypto import emv_keys
from protocols.crypto.pin import pin_block_encode
from protocols.crypto.scripts import encipher_script_data
from protocols.emv import commands
from protocols.emv.commands import AcType, ScriptCommand
from protocols.values import SecretBytes
from terminal.kernel import complete_online, start_transaction
from tests.card_kit import (
    IMK_ENC,
    PAN,
    PSN,
    TERMINAL,
    Scripter,
    answer_over,
    application,
    drive,
    expected_arqc,
    issuer_answer,
    make_card,
    make_image,
    purchase,
    send,
    with_application,
)
from tests.tables import every_row


def started(card: Card, to: str = "online") -> Card:
    """Take a card to GPO ("gpo"), its ARQC ("online") or its TC ("finished")."""
    if to == "gpo":
        answer_over(card, commands.select(application(card).aid))
        answer_over(card, commands.get_processing_options(bytes.fromhex("0360036000")))
        return card
    outcome = drive(start_transaction(TERMINAL, purchase()), card)
    if to == "finished":
        drive(complete_online(outcome.context, "00", issuer_answer(outcome.de55)), card)
    return card


def scripter(card: Card) -> Scripter:
    assert card.current is not None
    return Scripter(card.current.first_cryptogram)


@settings(max_examples=40)
@given(
    amount=st.integers(0, 10**12 - 1),
    number=st.binary(min_size=4, max_size=4),
    atc=st.integers(0, 0xFFFE),
    kind=st.sampled_from(["00", "31", "20"]),
)
def test_cryptogram_of_any_transaction_is_what_the_issuer_computes(
    amount: int, number: bytes, atc: int, kind: str
) -> None:
    image = make_image()
    image.applications[0].state.atc = atc
    given_input = purchase(amount, unpredictable_number=number, type_code=kind)
    outcome = drive(start_transaction(TERMINAL, given_input), make_card(image))
    assert outcome.de55["9F36"] == (atc + 1).to_bytes(2, "big")
    assert outcome.de55["9F26"] == expected_arqc(outcome.de55)


@every_row(
    ("asked", "lower", "given"),
    [(0x00, 0, 0x00), (0x80, 0, 0x80), (0x40, 0, 0x80), (0x40, 1, 0x40), (0x00, 1, 0x00)],
)
def test_first_cryptogram_is_never_higher_than_asked(asked: int, lower: int, given: int) -> None:
    image = with_application(make_image(), lower_offline_limit=lower, upper_offline_limit=lower)
    image.applications[0].state.last_online_atc = 1
    image.applications[0].state.atc = 1
    card = started(make_card(image), "gpo")
    length = card.applications[0].lengths[0]
    answer = answer_over(card, commands.generate_ac(AcType(asked), bytes(length)))
    assert answer.data[5] == given
    assert card.state is (CardState.ONLINE if given == 0x80 else CardState.FINISHED)


@every_row(
    ("changes", "given"),
    [
        ({}, 0x40),
        ({"last_online_atc": 0}, 0x80),
        ({"online_pending": True}, 0x80),
        ({"issuer_authentication_failed": True}, 0x80),
        ({"pin_tries": 0}, 0x80),
        ({"pin_tries": 0, "pin": ""}, 0x40),
        ({"offline_amount_sen": 99_999_999_999}, 0x80),
        ({"blocked": True}, 0x00),
    ],
)
def test_card_asked_for_a_tc_goes_online_for_each_of_its_reasons(
    changes: dict[str, object], given: int
) -> None:
    image = with_application(
        make_image(),
        lower_offline_limit=5,
        upper_offline_limit=9,
        offline_amount_limit_sen=99_999_999_999,
    )
    image.applications[0].state.last_online_atc = 1
    for name, value in changes.items():
        setattr(image.applications[0].state, name, value)
    card = started(make_card(image), "gpo")
    data = bytes.fromhex("000000010000") + bytes(card.applications[0].lengths[0] - 6)
    assert answer_over(card, commands.generate_ac(AcType.TC, data)).data[5] == given


def test_offline_approvals_are_counted_and_the_limit_sends_the_card_online() -> None:
    image = with_application(make_image(), lower_offline_limit=2, upper_offline_limit=3)
    image.applications[0].state.last_online_atc = 1
    card = make_card(image)
    kinds = []
    for _ in range(3):
        card.power()
        started(card, "gpo")
        data = bytes.fromhex("000000010000") + bytes(card.applications[0].lengths[0] - 6)
        kinds.append(answer_over(card, commands.generate_ac(AcType.TC, data)).data[5])
    assert kinds == [0x40, 0x40, 0x80]
    state = application(card).state
    assert (state.offline_count, state.offline_amount_sen) == (2, 20_000)


def test_third_cryptogram_is_refused() -> None:
    card = started(make_card(), "finished")
    length = card.applications[0].lengths[1]
    assert answer_over(card, commands.generate_ac(AcType.TC, bytes(length))).sw == 0x6985


def test_issuer_result_for_another_code_than_in_8a_gives_no_tc() -> None:
    card = make_card()
    outcome = drive(start_transaction(TERMINAL, purchase()), card)
    approve_51 = issuer_answer(outcome.de55, "51")
    completion = drive(complete_online(outcome.context, "00", approve_51), card)
    assert completion.cid == AcType.AAC


def test_cvr_tells_a_failed_issuer_until_one_has_proved_itself() -> None:
    card = make_card()

    def byte_1(good: bool) -> list[int]:
        outcome = drive(start_transaction(TERMINAL, purchase()), card)
        proof = issuer_answer(outcome.de55) if good else bytes(8) + b"00"
        send(card, f"008200000A{proof.hex()}")
        length = card.applications[0].lengths[1]
        data = b"00".rjust(length, b"\0") if length else b""
        second = bytes.fromhex(send(card, f"80AE4000{length:02X}{data.hex()}00"))
        return [outcome.de55["9F10"][2] & 0x03, second[25 + 2] & 0x03]

    assert byte_1(good=False) == [0, 1]
    assert byte_1(good=True) == [1, 0]
    assert byte_1(good=True) == [0, 0]


@every_row(
    ("pins", "answers"),
    [
        (["123456"], ["9000"]),
        (["999999", "123456", "999999"], ["63C2", "9000", "63C2"]),
        (["999999"] * 4, ["63C2", "63C1", "63C0", "6983"]),
        (["999999"] * 3 + ["123456"], ["63C2", "63C1", "63C0", "6983"]),
        (["1234"], ["63C2"]),
    ],
)
def test_verify_spends_tries_and_a_right_pin_restores_them(
    pins: list[str], answers: list[str]
) -> None:
    card = started(make_card(), "gpo")
    blocks = [pin_block_encode(2, pin).reveal() for pin in pins]
    given = [answer_over(card, commands.verify(block, enciphered=False)).sw for block in blocks]
    assert [f"{sw:04X}" for sw in given] == answers


def test_verify_on_a_card_without_offline_pin_has_no_reference() -> None:
    card = started(make_card(make_image(pin="")), "gpo")
    block = pin_block_encode(2, "123456").reveal()
    assert answer_over(card, commands.verify(block, enciphered=False)).sw == 0x6984
    assert send(card, "80CA9F1700") == "6A88"


def test_verify_result_and_tries_are_in_the_cvr() -> None:
    card = started(make_card(), "gpo")
    block = pin_block_encode(2, "999999").reveal()
    answer_over(card, commands.verify(block, enciphered=False))
    assert card.current is not None
    cvr = card_verification_results(card.current, AcType.ARQC, None, 0)
    assert cvr.hex() == "a02c800000"


def test_scripts_block_and_unblock_the_application_and_keep_the_chain() -> None:
    card = started(make_card())
    issuer = scripter(card)
    assert answer_over(card, issuer.command(ScriptCommand.APPLICATION_BLOCK, mac_bytes=4)).ok
    assert answer_over(card, issuer.command(ScriptCommand.PIN_CHANGE_UNBLOCK)).ok
    card.power()
    assert send(card, "00A4040005F053534E0100")[-4:] == "6283"
    answer_over(card, commands.get_processing_options(bytes.fromhex("0360036000")))
    length = card.applications[0].lengths[0]
    answer = answer_over(card, commands.generate_ac(AcType.ARQC, bytes(length)))
    assert answer.data[5] == AcType.AAC  # a blocked application declines everything
    assert answer_over(card, scripter(card).command(ScriptCommand.APPLICATION_UNBLOCK)).ok
    card.power()
    assert send(card, "00A4040005F053534E0100")[-4:] == "9000"


@every_row(
    ("command", "answer"),
    [
        (f"841E000008{'00' * 8}", "6988"),
        ("841E000003000000", "6987"),
        (f"841E000009{'00' * 9}", "6700"),
        (f"841E010008{'00' * 8}", "6A86"),
        (f"8424000308{'00' * 8}", "6A86"),
        (f"8424000108{'00' * 8}", "6987"),
        (f"84DA9F3608{'00' * 8}", "6A88"),
        (f"8416010008{'00' * 8}", "6A86"),
    ],
)
def test_script_that_is_wrong_is_refused_and_changes_nothing(command: str, answer: str) -> None:
    card = started(make_card())
    before = replace(application(card).state)
    assert send(card, command) == answer
    after = application(card).state
    assert replace(after, script_failed=False) == replace(before, script_failed=False)


def test_script_after_a_bad_mac_is_refused_because_the_chain_is_broken() -> None:
    card = started(make_card())
    assert send(card, f"841E000008{'00' * 8}") == "6988"
    assert answer_over(card, scripter(card).command(ScriptCommand.APPLICATION_BLOCK)).sw == 0x6985
    assert application(card).state.script_failed


def test_script_replayed_in_the_same_or_the_next_transaction_is_refused() -> None:
    card = started(make_card())
    script = scripter(card).command(ScriptCommand.PIN_CHANGE_UNBLOCK)
    assert answer_over(card, script).ok
    assert answer_over(card, script).sw == 0x6988
    card.power()
    assert answer_over(started(card), script).sw == 0x6988


def test_script_on_a_card_without_script_keys_is_not_supported() -> None:
    card = started(make_card(make_image(udk_mac=None)))
    assert send(card, f"841E000008{'00' * 8}") == "6A81"
    card = started(make_card(make_image(udk_encipherment=None)))
    assert answer_over(card, scripter(card).new_pin("654321")).sw == 0x6A81
    card = started(make_card(make_image(pin="")))
    assert answer_over(card, scripter(card).new_pin("654321")).sw == 0x6A88


def test_script_with_a_new_pin_under_a_foreign_key_changes_no_pin() -> None:
    card = started(make_card(make_image(udk_encipherment=SecretBytes(bytes(range(16))))))
    assert answer_over(card, scripter(card).new_pin("654321")).sw == 0x6A80
    assert application(card).state.pin == "123456"


def test_script_with_a_new_pin_without_its_padding_changes_no_pin() -> None:
    card = started(make_card())
    assert card.current is not None
    first = card.current.first_cryptogram
    key = emv_keys.common_session_key(emv_keys.icc_master_key(IMK_ENC, PAN, PSN), first)
    block = pin_block_encode(2, "654321").reveal()
    data = encipher_script_data(key, block + bytes(8), pad=False)
    script = scripter(card).command(ScriptCommand.PIN_CHANGE_UNBLOCK, 0, 2, data)
    assert answer_over(card, script).sw == 0x6A80
    assert application(card).state.pin == "123456"


def test_script_with_a_pin_bound_to_the_current_one_changes_it_for_who_knows_that() -> None:
    card = started(make_card())
    issuer = scripter(card)
    assert answer_over(card, issuer.change_pin("87654321", "123456")).ok
    assert application(card).state.pin == "87654321"
    assert answer_over(card, issuer.change_pin("111111", "87654321")).ok
    assert answer_over(card, issuer.change_pin("222222", "123456")).sw == 0x6A80
    assert application(card).state.pin == "111111"
    assert application(card).state.script_failed


def test_put_data_takes_digits_only_into_the_balance_mirror() -> None:
    card = started(make_card())
    issuer = scripter(card)
    bad = issuer.command(ScriptCommand.PUT_DATA, 0xDF, 0x71, b"\xff" * 12)
    assert answer_over(card, bad).sw == 0x6A80
    mirror = bytes.fromhex("000000000000260105100000")
    assert answer_over(card, issuer.command(ScriptCommand.PUT_DATA, 0xDF, 0x71, mirror)).ok
    assert send(card, "80CADF7100") == "DF710C0000000000002601051000009000"


def test_partial_selection_walks_the_occurrences_of_a_name() -> None:
    image = make_image()
    second = replace(image.applications[0], aid=bytes.fromhex("F053534E02"), label="SSN 2")
    other = replace(image.applications[0], aid=bytes.fromhex("A0000006021010"))
    card = make_card(replace(image, applications=(image.applications[0], other, second)))
    partial = "00A404{}05F053534E0{}00"
    assert send(card, "00A4040004F053534E00")[-4:] == "6700"  # a name is at least 5 bytes
    assert "F053534E01" in send(card, partial.format("00", "1"))
    assert send(card, partial.format("02", "1")) == "6A82"
    long_name = replace(second, aid=bytes.fromhex("F053534E01AA"))
    card = make_card(replace(image, applications=(image.applications[0], other, long_name)))
    assert "8405F053534E01" in send(card, partial.format("00", "1"))
    assert "8406F053534E01AA" in send(card, partial.format("02", "1"))
    assert send(card, partial.format("02", "1")) == "6A82"
    send(card, "00A4040007A000000602101000")
    assert "8405F053534E01" in send(card, partial.format("02", "1"))  # another name: from the start
    assert send(card, "00B2030C00")[-4:] in {"6985", "6A83"}


def test_directory_lists_every_application() -> None:
    image = make_image()
    other = replace(image.applications[0], aid=bytes.fromhex("A0000006021010"), priority=2)
    card = make_card(replace(image, applications=(image.applications[0], other)))
    send(card, "00A404000E315041592E5359532E444446303100")
    assert "4F05F053534E01" in send(card, "00B2010C00")
    assert "4F07A0000006021010" in send(card, "00B2020C00")
    assert send(card, "00B2030C00") == "6A83"
    assert send(card, "00B2011400") == "6A82"


def test_log_keeps_the_newest_transactions_first() -> None:
    card = make_card()
    for _ in range(12):
        card.power()
        started(card, "finished")
    send(card, "00A4040005F053534E0100")
    newest, oldest = send(card, "00B2015C00"), send(card, "00B20A5C00")
    assert (newest[2:14], newest[24:28], oldest[24:28]) == ("000014150000", "000C", "0003")
    assert send(card, "00B20B5C00") == "6A83"


def test_t0_card_keeps_its_answer_for_one_get_response_of_the_right_length() -> None:
    card = make_card(make_image("nsiccs-debit"))
    select = "00A4040007A0000006021010"
    assert send(card, select) == "6130"
    assert send(card, "00C0000000") == "6C30"
    assert send(card, "00C000002F") == "6C30"
    assert send(card, "00C0000030")[-4:] == "9000"
    assert send(card, "00C0000030") == "6985"
    assert send(card, select) == "6130"
    assert send(card, "80CA9F3600") == "6C05"
    assert send(card, "00C0000030") == "6985"  # another command came between
    assert send(card, "80CA9F3605") == "9F360200009000"
    assert send(card, f"{select}00") == "6700"  # no Le behind data on T=0


def test_card_without_power_is_a_bug_of_the_caller() -> None:
    card = make_card()
    card.power_off()
    with pytest.raises(AssertionError):
        send(card, "00A4040005F053534E0100")


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=40), max_size=8), st.sampled_from(["ssn", "nsiccs-debit"]))
def test_card_given_any_bytes_answers_status_bytes(sent: list[bytes], profile: str) -> None:
    card = make_card(make_image(profile))
    for command in sent:
        assert len(card.apdu(command)) >= 2


@settings(max_examples=60)
@given(data=st.data())
def test_card_given_any_order_of_known_commands_answers_and_never_repeats_a_counter(
    data: st.DataObject,
) -> None:
    card = make_card()
    lengths = card.applications[0].lengths
    known = [
        "00A4040005F053534E0100", "80A80000078305036003600000", "00B2010C00", "0084000000",
        f"80AE8000{lengths[0]:02X}{'00' * lengths[0]}00", "80CADF7100",
        f"80AE4000{lengths[1]:02X}{'00' * lengths[1]}00", f"008200000A{'00' * 10}",
        f"841E000008{'00' * 8}", "0020008008261234 56FFFFFFFF".replace(" ", ""),
    ]  # fmt: skip
    seen: list[str] = []
    for command in data.draw(st.lists(st.sampled_from(known), max_size=25)):
        answer = send(card, command)
        if command.startswith("80AE80") and answer.endswith("9000"):
            seen.append(answer[18:22])
    assert seen == sorted(set(seen))
