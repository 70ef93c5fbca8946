"""The kernel's outcome for whole transactions with altered cards, each row with its clause."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from cardsim import CardImage
from terminal.kernel import OutcomeKind, TerminalData, start_transaction
from tests.card_changes import (
    Change,
    add,
    app,
    asks_hash,
    blocked_card,
    body,
    both,
    chain,
    no_directory,
    put,
    record_template,
    state,
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

K = OutcomeKind
USUAL = "8000048000"
PARTIAL_AID = bytes.fromhex("A0000006021010")


@dataclass(frozen=True)
class Row:
    name: str
    clause: str
    kind: OutcomeKind
    reason: str
    tvr: str = USUAL
    change: Change = lambda image: image
    tamper: Tamper = unchanged
    given: dict[str, Any] = field(default_factory=dict)
    terminal: Callable[[TerminalData], TerminalData] = lambda data: data
    cvm: str | None = None


def terminal(**changes: Any) -> Callable[[TerminalData], TerminalData]:
    return lambda data: replace(data, **changes)


B1, B3, B4 = "EMV 4.4 Book 1, ", "EMV 4.4 Book 3, ", "EMV 4.4 Book 4, "
NONE5 = "0000000000"
ROWS = [
    Row("good card", B3 + "10.8.2", K.ONLINE, "go-online", cvm="020300"),
    # Selection
    Row("card blocked", B1 + "12.3.2", K.CARD_BLOCKED, "card-blocked", NONE5, blocked_card),
    Row("application blocked", B1 + "12.3.3", K.NOT_ACCEPTED, "application-blocked", NONE5,
        state(blocked=True)),
    Row("no directory, list of AIDs", B1 + "12.3.3", K.ONLINE, "go-online", tamper=no_directory),
    Row("directory blocked", B1 + "12.3.2", K.ONLINE, "go-online", tamper=status(0xA4, 0x6283)),
    Row("directory FCI malformed", B1 + "12.3.2", K.ONLINE, "go-online",
        tamper=body(0xA4, lambda data: data[:-1])),
    Row("directory without SFI", B1 + "12.3.2", K.ONLINE, "go-online",
        tamper=body(0xA4, lambda data: bytes.fromhex("6F128400A50E") + bytes(14))),
    Row("directory record malformed", B1 + "12.3.2", K.ONLINE, "go-online",
        tamper=body(0xB2, lambda data: b"\x70\x05\x61")),
    Row("directory record unreadable", B1 + "12.3.2", K.ONLINE, "go-online",
        tamper=status(0xB2, 0x6985)),
    Row("list of AIDs, card blocked", B1 + "12.3.3", K.CARD_BLOCKED, "card-blocked", NONE5,
        tamper=chain(no_directory, status(0xA4, 0x6A81, nth=2))),
    Row("foreign application", B1 + "12.4", K.NOT_ACCEPTED, "no-application", NONE5,
        app(aid=bytes.fromhex("A0000000031010"))),
    Row("needs confirmation", B1 + "12.4", K.NOT_ACCEPTED, "confirmation-unsupported", NONE5,
        app(priority=0x81)),
    Row("selected name differs", B1 + "12.4", K.NOT_ACCEPTED, "no-application", NONE5,
        tamper=body(0xA4, lambda data: data.replace(b"SSN\x01", b"SSN\x02", 1), nth=2)),
    Row("longer name, partial selection", B1 + "12.3.1", K.ONLINE, "go-online",
        change=both(app(aid=PARTIAL_AID + b"\x01"), put("9F08", "0100"))),
    Row("longer name, partial, no directory", B1 + "12.3.3", K.ONLINE, "go-online",
        change=both(app(aid=PARTIAL_AID + b"\x01"), put("9F08", "0100")), tamper=no_directory),
    Row("longer name, no partial selection", B1 + "12.3.1", K.NOT_ACCEPTED, "no-application",
        NONE5, app(aid=bytes.fromhex("F053534E0101"))),
    # Initiation
    Row("conditions of use", B4 + "6.3.1", K.NOT_ACCEPTED, "conditions-of-use", NONE5,
        tamper=status(0xA8, 0x6985)),
    Row("transaction counter spent", B4 + "6.3.1", K.NOT_ACCEPTED, "conditions-of-use", NONE5,
        state(atc=0xFFFF)),
    Row("GPO other status", B3 + "6.5.8.5", K.CARD_ERROR, "gpo-status", NONE5,
        tamper=status(0xA8, 0x6A80)),
    Row("GPO malformed", B3 + "6.5.8.4", K.CARD_ERROR, "gpo-malformed", NONE5,
        tamper=body(0xA8, lambda data: data[:-1])),
    Row("GPO without AFL", B3 + "6.5.8.4", K.CARD_ERROR, "gpo-malformed", NONE5,
        tamper=body(0xA8, lambda data: bytes.fromhex("770482021C00"))),
    Row("GPO format 1", B3 + "6.5.8.4", K.ONLINE, "go-online", change=app(gpo_format=1)),
    Row("PDOL malformed", B3 + "5.4", K.CARD_ERROR, "pdol-malformed", NONE5,
        tamper=body(0xA4, lambda data: data.replace(b"\x9c\x01", b"\x9f\x9c", 1), nth=2)),
    # Records
    Row("AFL of 5 bytes", B3 + "10.2", K.CARD_ERROR, "afl-malformed", NONE5,
        app(afl=bytes.fromhex("0801010010"))),
    Row("AFL backwards", B3 + "10.2", K.CARD_ERROR, "afl-malformed", NONE5,
        app(afl=bytes.fromhex("08020100"))),
    Row("AFL of too many records", B3 + "10.2", K.CARD_ERROR, "afl-malformed", NONE5,
        app(afl=bytes.fromhex("0801FF00"))),
    Row("AFL beyond records", B3 + "10.2", K.CARD_ERROR, "record-status", NONE5,
        app(afl=bytes.fromhex("0801010010010300"))),
    Row("record refused", B3 + "10.2", K.CARD_ERROR, "record-status", NONE5,
        tamper=status(0xB2, 0x6985, nth=3)),
    Row("record under template 77", B3 + "6.5.11.4", K.CARD_ERROR, "record-malformed", NONE5,
        record_template("77")),
    Row("record truncated", B3 + "6.5.11.4", K.CARD_ERROR, "record-malformed", NONE5,
        tamper=body(0xB2, lambda data: data[:-1], nth=2)),
    Row("record with trailing bytes", B3 + "6.5.11.4", K.CARD_ERROR, "record-malformed", NONE5,
        tamper=body(0xB2, lambda data: data + b"\x5f", nth=2)),
    Row("duplicate over records", B3 + "10.2", K.CARD_ERROR, "record-duplicate", NONE5,
        add("5A", "9360099900000018")),
    Row("duplicate in a record", B3 + "10.2", K.CARD_ERROR, "record-duplicate", NONE5,
        add("8E", "00")),
    Row("AIP again in a record", B3 + "10.2", K.CARD_ERROR, "record-duplicate", NONE5,
        add("82", "1C00")),
    *(
        Row(f"mandatory {tag} missing", B3 + "7.2", K.CARD_ERROR, "mandatory-missing", NONE5,
            put(tag, None))
        for tag in ("5A", "5F24", "8C", "8D")
    ),
    Row("end date no date", B3 + "7.5", K.CARD_ERROR, "data-malformed", NONE5,
        put("5F24", "301331")),
    Row("usage control of 1 byte", B3 + "7.5", K.CARD_ERROR, "data-malformed", NONE5,
        put("9F07", "21")),
    Row("CDOL malformed", B3 + "5.4", K.CARD_ERROR, "data-malformed", NONE5, put("8C", "9F02")),
    Row("CDOL asks for too much", B3 + "5.4", K.CARD_ERROR, "data-malformed", NONE5,
        put("8C", "9F02809F0380")),
    Row("no track 2", "ISO 8583:1987 element 35", K.CARD_ERROR, "track2-missing", NONE5,
        put("57", None)),
    Row("track 2 of another card", B3 + "7.5", K.CARD_ERROR, "track2-inconsistent", NONE5,
        put("5A", "9360099900000026")),
    Row("track 2 of another date", B3 + "7.5", K.CARD_ERROR, "track2-inconsistent", NONE5,
        put("5F24", "311231")),
    Row("track 2 odd", B3 + "7.5", K.CARD_ERROR, "data-malformed", NONE5, put("57", "93600999D3")),
    # Restrictions
    Row("expired", B3 + "10.4.3", K.ONLINE, "go-online", "8040048000",
        lambda image: make_image(expiry=datetime.date(2026, 1, 4))),
    Row("expires today", B3 + "10.4.3", K.ONLINE, "go-online", USUAL,
        lambda image: make_image(expiry=datetime.date(2026, 1, 5))),
    Row("not yet effective", B3 + "10.4.3", K.ONLINE, "go-online", "8020048000",
        lambda image: make_image(effective=datetime.date(2026, 1, 6))),
    Row("other version", B3 + "10.4.1", K.ONLINE, "go-online", "8080048000",
        put("9F08", "0002")),
    Row("no version on the card", B3 + "10.4.1", K.ONLINE, "go-online", USUAL, put("9F08", None)),
    Row("cash", B3 + "10.4.2", K.DECLINED_OFFLINE, "terminal-declined", "8010048000",
        given={"type_code": "01"}),
    Row("cash-back", B3 + "10.4.2", K.DECLINED_OFFLINE, "terminal-declined", "8010048000",
        given={"type_code": "09", "amount_other_sen": 100}),
    Row("usage not at terminals", B3 + "10.4.2", K.DECLINED_OFFLINE, "terminal-declined",
        "8010048000", put("9F07", "2000")),
    Row("usage abroad only", B3 + "10.4.2", K.DECLINED_OFFLINE, "terminal-declined", "8010048000",
        put("9F07", "1100")),
    Row("abroad, usage abroad", B3 + "10.4.2", K.ONLINE, "go-online", USUAL,
        both(put("9F07", "1100"), put("5F28", "0702"))),
    Row("no usage control", B3 + "10.4.2", K.ONLINE, "go-online", USUAL, put("9F07", None)),
    Row("balance inquiry", B3 + "10.4.2", K.ONLINE, "go-online", "8000008000",
        given={"type_code": "31", "amount_sen": 0}, cvm="5F0602"),
    # Cardholder verification
    Row("no verification in the AIP", B3 + "10.5", K.ONLINE, "go-online", "8000008000",
        app(aip=bytes.fromhex("0C00")), cvm="3F0000"),
    Row("CVM list missing", B3 + "7.5", K.ONLINE, "go-online", "A000008000", put("8E", None),
        cvm="3F0000"),
    Row("CVM list without rules", B3 + "10.5", K.ONLINE, "go-online", "A000008000",
        put("8E", "0000000000000000"), cvm="3F0000"),
    Row("CVM list half a rule", B3 + "10.5", K.CARD_ERROR, "cvm-list-malformed",
        "8000000000",
        put("8E", "000000000000000002")),
    Row("CVM fail", B3 + "10.5", K.ONLINE, "go-online", "8000808000",
        put("8E", "00000000000000000000"), cvm="000001"),
    Row("CVM unknown, then online PIN", B3 + "10.5", K.ONLINE, "go-online", "8000448000",
        put("8E", "000000000000000062000203"), cvm="020300"),
    Row("CVM unknown, last", B3 + "10.5", K.ONLINE, "go-online", "8000C08000",
        put("8E", "00000000000000002200"), cvm="3F0001"),
    Row("CVM signature only", B4 + "6.3.4.5", K.ONLINE, "go-online", "8000808000",
        put("8E", "00000000000000001E00"), cvm="3F0001"),
    Row("CVM offline PIN, then online", B3 + "10.5.1", K.ONLINE, "go-online", "8000148000",
        put("8E", "000000000000000041000203"), cvm="020300"),
    Row("CVM fails and allows no next", B3 + "10.5", K.ONLINE, "go-online", "8000808000",
        put("8E", "000000000000000000000203"), cvm="000001"),
    Row("CVM fails and allows the next", B3 + "10.5", K.ONLINE, "go-online", USUAL,
        put("8E", "000000000000000040000203"), cvm="020300"),
    Row("CVM unknown and allows no next", B3 + "10.5", K.ONLINE, "go-online", "8000C08000",
        put("8E", "000000000000000022000203"), cvm="3F0001"),
    Row("CVM none required", B3 + "10.5", K.ONLINE, "go-online", "8000008000",
        put("8E", "00000000000000001F00"), cvm="1F0002"),
    Row("no PIN pad", B3 + "10.5", K.ONLINE, "go-online", "8000808000",
        terminal=terminal(terminal_capabilities=bytes.fromhex("200800")), cvm="3F0001"),
    # Risk management and action analysis
    Row("counter missing, new card", B3 + "10.6.3", K.ONLINE, "go-online", "A00804E000",
        both(add("9F14", "00"), add("9F23", "00")), status(0xCA, 0x6A88)),
    Row("last online counter missing", B3 + "10.6.3", K.ONLINE, "go-online", "A00004E000",
        both(add("9F14", "00"), add("9F23", "00")), status(0xCA, 0x6A88, nth=2)),
    Row("last online counter of 1 byte", B3 + "10.6.3", K.ONLINE, "go-online", "A00004E000",
        both(add("9F14", "00"), add("9F23", "00")),
        body(0xCA, lambda data: bytes.fromhex("9F130100"), nth=2)),
    Row("new card, limits exceeded", B3 + "10.6.3", K.ONLINE, "go-online", "800804E000",
        both(add("9F14", "00"), add("9F23", "00"))),
    Row("limits not exceeded", B3 + "10.6.3", K.ONLINE, "go-online", "8000048000",
        both(add("9F14", "02"), add("9F23", "02"), state(atc=5, last_online_atc=5))),
    Row("counter not above last online", B3 + "10.6.3", K.ONLINE, "go-online", "800004E000",
        both(add("9F14", "02"), add("9F23", "02"), state(atc=5, last_online_atc=9))),
    Row("below a floor limit", B3 + "10.6.1", K.ONLINE, "go-online", "8000040000",
        terminal=terminal(floor_limit_sen=20_000_000)),
    Row("random selection", B3 + "10.6.2", K.ONLINE, "go-online", "8000041000",
        terminal=terminal(floor_limit_sen=20_000_000),
        given={"unpredictable_number": b"\x01abc"}),
    Row("issuer denies missing authentication", B3 + "10.7", K.DECLINED_OFFLINE,
        "terminal-declined", USUAL, put("9F0E", "8000000000")),
    Row("terminal asks TC, card grants", B3 + "10.8.1", K.APPROVED_OFFLINE, "approved-offline",
        "8000000000",
        both(put("9F0F", NONE5), put("8E", "00000000000000001F00"), state(last_online_atc=3, atc=3),
             app(lower_offline_limit=5, upper_offline_limit=9)),
        terminal=terminal(tac_online=bytes(5), floor_limit_sen=20_000_000)),
    Row("terminal asks TC, card goes online", B3 + "10.8.2", K.ONLINE, "go-online", "8000000000",
        both(put("9F0F", NONE5), put("8E", "00000000000000001F00")),
        terminal=terminal(tac_online=bytes(5), floor_limit_sen=20_000_000)),
    Row("online-only terminal", B3 + "10.7", K.ONLINE, "go-online", USUAL, put("9F0F", NONE5),
        terminal=terminal(tac_online=bytes(5), terminal_type=b"\x21")),
    Row("certificate hash over the default list", B3 + "9.2.2", K.ONLINE, "go-online",
        "8000048080", asks_hash),
    Row("certificate hash over the card's list", B3 + "9.2.2", K.ONLINE, "go-online", USUAL,
        both(asks_hash, add("97", "9F0206"))),
    # GENERATE AC
    Row("GENERATE AC refused", B3 + "9.3", K.CARD_ERROR, "ac-status", USUAL,
        tamper=status(0xAE, 0x6985)),
    Row("GENERATE AC malformed", B3 + "6.5.5.4", K.CARD_ERROR, "ac-malformed", USUAL,
        tamper=body(0xAE, lambda data: data[:-1])),
    Row("cryptogram missing", B3 + "6.5.5.4", K.CARD_ERROR, "ac-malformed", USUAL,
        tamper=body(0xAE, lambda data: bytes.fromhex("77099F2701809F36020001"))),
    Row("card raises ARQC to TC", B3 + "9.3", K.CARD_ERROR, "ac-type", USUAL,
        tamper=body(0xAE, lambda data: data.replace(b"\x9f\x27\x01\x80", b"\x9f\x27\x01\x40"))),
    Row("cryptogram type reserved", B3 + "6.5.5.4", K.CARD_ERROR, "ac-type", USUAL,
        tamper=body(0xAE, lambda data: data.replace(b"\x9f\x27\x01\x80", b"\x9f\x27\x01\xc0"))),
    Row("card declines", B3 + "10.8.3", K.DECLINED_OFFLINE, "card-declined", USUAL,
        tamper=body(0xAE, lambda data: data.replace(b"\x9f\x27\x01\x80", b"\x9f\x27\x01\x00"))),
    Row("card does not serve", B4 + "6.3.7", K.NOT_ACCEPTED, "card-service-not-allowed", USUAL,
        tamper=body(0xAE, lambda data: data.replace(b"\x9f\x27\x01\x80", b"\x9f\x27\x01\x01"))),
    Row("GENERATE AC format 1", B3 + "6.5.5.4", K.ONLINE, "go-online", USUAL, app(gpo_format=1)),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_kernel_with_a_card_of_this_kind_ends_as_its_clause_says(row: Row) -> None:
    image = row.change(make_image())
    card = make_card(image)
    outcome = drive(
        start_transaction(row.terminal(TERMINAL), purchase(**row.given)), card, row.tamper
    )
    assert (outcome.kind, outcome.reason.code) == (row.kind, row.reason), row.clause
    assert outcome.tvr.hex().upper() == row.tvr, row.clause
    if row.cvm is not None:
        assert outcome.cvm_results.hex().upper() == row.cvm, row.clause
    if outcome.kind is K.ONLINE:
        assert outcome.context is not None
        assert outcome.pan == PAN
        assert outcome.de55["95"] == outcome.tvr
        assert outcome.de55["9F26"] == expected_arqc(outcome.de55)
    else:
        assert outcome.context is None


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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize("profile", ["ssn", "nsiccs-debit"])
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
