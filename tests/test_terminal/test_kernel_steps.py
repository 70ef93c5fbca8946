"""Single kernel steps: answer to reset, dates, conditions, action analysis."""

import datetime
from dataclasses import replace

import pytest

from protocols.emv.cvm import CvmList
from protocols.emv.flags import Tvr
from terminal.kernel import TransactionInput
from terminal.kernel.action import analyse_action, analyse_default
from terminal.kernel.atr import AtrError, parse_atr
from terminal.kernel.restrictions import read_date
from terminal.kernel.verification import condition_holds
from tests.card_kit import TERMINAL, purchase
from tests.tables import every_row

T1 = "3BE000008131FE45"


def with_check(text: str) -> str:
    """Add TCK."""
    check = 0
    for octet in bytes.fromhex(text)[1:]:
        check ^= octet
    return f"{text}{check:02X}"


@every_row(
    ("atr", "protocol"),
    [
        ("3B600000", 0),
        ("3F600000", 0),
        ("3BE000008131FE45EB", 1),
        ("3B690000" + "01" * 9, 0),
        (with_check("3BE90000" + "8131FE45" + "01" * 9), 1),
        (with_check("3BF01100008131FE45"), 1),
        ("3B7018 00 00".replace(" ", ""), 0),
        (with_check("3BE0000081" + "31" + "2045"), 1),
        (with_check("3BE0000080" + "31" + "FE45"), 0),
    ],
)
def test_atr_of_an_emv_card_gives_its_protocol(atr: str, protocol: int) -> None:
    assert parse_atr(bytes.fromhex(atr)).protocol == protocol


@every_row(
    ("atr", "reason"),
    [
        ("", "length"),
        ("3B", "length"),
        ("FF", "length"),
        ("00" * 33, "TS"),
        ("3B" + "00" * 40, "length"),
        ("3C600000", "TS"),
        ("3B00", "TB1"),
        ("3B605000", "TB1"),
        ("3B6000", "ends inside"),
        ("3B60000000", "length does not fit"),
        ("3BE000008131FE45EA", "TCK"),
        ("3BE000008131FE45", "length does not fit"),
        (with_check("3BE0000082" + "31FE45"), "TD1"),
        (with_check("3BE0000081" + "32FE45"), "TD2"),
        (with_check("3BE0000081" + "310F45"), "TA3"),
        (with_check("3BE0000081" + "31FF45"), "TA3"),
        (with_check("3BE0000081" + "31FE55"), "TB3"),
        (with_check("3BE0000081" + "31FE46"), "TB3"),
        (with_check("3BE0000081" + "11FE"), "TB3"),
        (with_check("3BE0001081" + "31FE41"), "CWI"),
        (with_check("3BE0000081" + "71FE4501"), "TC3"),
        (with_check("3BE00000A1" + "0031FE45"), "TB2"),
        (with_check("3BE0000091" + "1031FE45"), "TA2"),
        (with_check("3BE0000091" + "1131FE45"), "TA2"),
    ],
)
def test_atr_that_breaks_a_level_1_rule_is_rejected_with_its_rule(atr: str, reason: str) -> None:
    with pytest.raises(AtrError, match=reason):
        parse_atr(bytes.fromhex(atr))


@every_row(
    ("value", "day"),
    [
        ("261231", (2026, 12, 31)),
        ("490101", (2049, 1, 1)),
        ("500101", (1950, 1, 1)),
        ("240230", (2024, 2, 29)),
    ],
)
def test_date_of_two_digit_years_falls_into_the_right_century(
    value: str, day: tuple[int, int, int]
) -> None:
    assert read_date(bytes.fromhex(value)) == datetime.date(*day)


CASH = purchase(type_code="01")
CASHBACK = purchase(type_code="09", amount_other_sen=100)
SALE = purchase(1_000)


@every_row(
    ("condition", "given", "terminal_type", "holds"),
    [
        (0x00, SALE, 0x22, True),
        (0x01, CASH, 0x14, True),
        (0x01, CASH, 0x22, False),
        (0x01, SALE, 0x14, False),
        (0x02, SALE, 0x22, True),
        (0x02, CASH, 0x22, False),
        (0x02, CASHBACK, 0x22, False),
        (0x03, SALE, 0x22, True),
        (0x04, CASH, 0x22, True),
        (0x04, SALE, 0x22, False),
        (0x05, CASHBACK, 0x22, True),
        (0x05, SALE, 0x22, False),
        (0x06, SALE, 0x22, False),
        (0x06, purchase(999), 0x22, True),
        (0x07, SALE, 0x22, False),
        (0x07, purchase(1_001), 0x22, True),
        (0x08, purchase(1_999), 0x22, True),
        (0x09, purchase(2_001), 0x22, True),
        (0x09, purchase(2_000), 0x22, False),
        (0x0A, SALE, 0x22, False),
        (0x80, SALE, 0x22, False),
    ],
)
def test_cvm_condition_holds_as_table_44_says(
    condition: int, given: TransactionInput, terminal_type: int, holds: bool
) -> None:
    methods = CvmList.read(bytes.fromhex(f"000003E8000007D002{condition:02X}"))
    data = replace(TERMINAL, terminal_type=bytes((terminal_type,)))
    card = {"9F42": b"\x03\x60"}
    assert condition_holds(methods.rules[0], methods, card, data, given) is holds


def test_cvm_amount_conditions_need_the_applications_currency() -> None:
    methods = CvmList.read(bytes.fromhex("000003E8000007D00206"))
    rule = methods.rules[0]
    assert condition_holds(rule, methods, {"9F42": b"\x03\x60"}, TERMINAL, purchase(1))
    assert not condition_holds(rule, methods, {"9F42": b"\x08\x40"}, TERMINAL, purchase(1))
    assert not condition_holds(rule, methods, {}, TERMINAL, purchase(1))


@every_row("bit", [flag for flag in Tvr if flag.name])
def test_action_analysis_follows_each_bit_of_each_code(bit: Tvr) -> None:
    code = bit.encoded()
    open_codes = replace(TERMINAL, tac_denial=bytes(5), tac_online=bytes(5), tac_default=bytes(5))
    none = {"9F0D": bytes(5), "9F0E": bytes(5), "9F0F": bytes(5)}
    assert analyse_action(bit, none, open_codes).name == "TC"
    assert analyse_action(bit, {**none, "9F0E": code}, open_codes).name == "AAC"
    assert analyse_action(bit, {**none, "9F0F": code}, open_codes).name == "ARQC"
    assert analyse_action(bit, none, replace(open_codes, tac_denial=code)).name == "AAC"
    assert analyse_action(bit, none, replace(open_codes, tac_online=code)).name == "ARQC"
    assert analyse_default(bit, {**none, "9F0D": code}, open_codes).name == "AAC"
    assert analyse_default(bit, none, replace(open_codes, tac_default=code)).name == "AAC"
    assert analyse_default(bit, none, open_codes).name == "TC"


def test_terminal_data_with_a_floor_limit_below_zero_are_refused() -> None:
    assert replace(TERMINAL, floor_limit_sen=0).floor_limit_sen == 0
    with pytest.raises(ValueError, match="floor limit of 0 or more"):
        replace(TERMINAL, floor_limit_sen=-1)
