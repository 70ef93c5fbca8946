"""Every (state, command) pair is decided, and the card does what is decided."""

from cardsim import Card, CardState
from cardsim.states import COMMANDS, decision
from protocols.emv.commands import ScriptCommand
from tests.card_kit import Scripter, make_card, make_image, send

CDOL1 = "000014150000" + "00" * 6 + "0360" + "8000048000" + "0360260105" + "006901A5CB22020300"
CDOL2 = "000014150000" + "00" * 6 + "0360" + "8000048000" + "0360260105" + "006901A5CB3030"
SELECT = "00A4040005F053534E0100"
GPO = "80A8000007830503600360" + "0000"
AC1 = f"80AE800021{CDOL1}00"
AC2 = f"80AE40001F{CDOL2}00"
BAD_ARPC = "008200000A" + "00" * 8 + "3030"
MAC = "00" * 8
PPSE = "00A404000E325041592E5359532E444446303100"
TAP = f"80A800002383{'21'}24800000{CDOL1[: 2 * 29]}00"

WELL_FORMED = {
    "SELECT": SELECT,
    "READ_RECORD": "00B2010C00",
    "GET_PROCESSING_OPTIONS": GPO,
    "GENERATE_AC": AC1,
    "EXTERNAL_AUTHENTICATE": BAD_ARPC,
    "VERIFY": "0020008008261234 56FFFFFFFF".replace(" ", ""),
    "GET_CHALLENGE": "0084000000",
    "GET_DATA": "80CA9F3600",
    "PIN_CHANGE_UNBLOCK": f"8424000008{MAC}",
    "APPLICATION_BLOCK": f"841E000008{MAC}",
    "APPLICATION_UNBLOCK": f"8418000008{MAC}",
    "CARD_BLOCK": f"8416000008{MAC}",
    "PUT_DATA": f"84DADF7114{'00' * 12}{MAC}",
    "UPDATE_RECORD": f"84DC010C0A7000{MAC}",
    "INTERNAL_AUTHENTICATE": "00880000040102030400",
}

#: What EMV 4.4 Book 3, 6.3.3 and 6.5 let a card hear in each state; written down here once more,
#: so that a change of states.toml is seen.
SCRIPTS = {
    "PIN_CHANGE_UNBLOCK", "APPLICATION_BLOCK", "APPLICATION_UNBLOCK", "CARD_BLOCK", "PUT_DATA",
    "UPDATE_RECORD",
}  # fmt: skip
READING = {"SELECT", "READ_RECORD", "GET_DATA", "GET_CHALLENGE"}
HEARD = {
    CardState.POWERED: {"SELECT"},
    CardState.DIRECTORY: {"SELECT", "READ_RECORD"},
    CardState.SELECTED: READING | {"GET_PROCESSING_OPTIONS"},
    CardState.INITIATED: READING | {"GENERATE_AC", "VERIFY", "INTERNAL_AUTHENTICATE"},
    CardState.ONLINE: READING | SCRIPTS | {"GENERATE_AC", "EXTERNAL_AUTHENTICATE"},
    CardState.ANSWERED: READING | SCRIPTS | {"GENERATE_AC"},
    CardState.FINISHED: READING | SCRIPTS,
    CardState.TAPPED: {"SELECT", "GET_CHALLENGE", "GET_DATA"},
    CardState.CARD_BLOCKED: set(),
}
PATHS = {
    CardState.POWERED: [],
    CardState.DIRECTORY: ["00A404000E315041592E5359532E444446303100"],
    CardState.SELECTED: [SELECT],
    CardState.INITIATED: [SELECT, GPO],
    CardState.ONLINE: [SELECT, GPO, AC1],
    CardState.ANSWERED: [SELECT, GPO, AC1, BAD_ARPC],
    CardState.FINISHED: [SELECT, GPO, AC1, BAD_ARPC, AC2],
    CardState.TAPPED: [PPSE, SELECT, TAP],
}


def card_in(state: CardState) -> Card:
    if state is CardState.CARD_BLOCKED:
        image = make_image()
        image.blocked = True
        return make_card(image)
    card = make_card()
    for command in PATHS[state]:
        send(card, command)
    assert card.state is state
    return card


def test_card_in_every_state_hears_or_refuses_every_command_as_decided() -> None:
    wrong = [
        f"{state.value} {entry.name}: {fault}"
        for state in CardState
        for entry in COMMANDS.values()
        if (fault := undecided(state, entry.name))
    ]
    assert not wrong, "\n".join(wrong)


def undecided(state: CardState, name: str) -> str:
    """Tell what a card in a state does otherwise than decided; empty when nothing."""
    card = card_in(state)
    writes = card.writer.count
    command = WELL_FORMED[name]
    if name == "GENERATE_AC" and state in (CardState.ONLINE, CardState.ANSWERED):
        command = AC2
    if name == "READ_RECORD" and state is CardState.SELECTED:
        command = "00B2015C00"  # before GPO only the log file can be read; here it is empty
    answer = send(card, command)
    refusal = decision(state, name)
    if (refusal is None) != (name in HEARD[state]):
        return "states.toml decides otherwise than EMV"
    if refusal is None:
        # Commands that ran answer 9000, or found something wrong in their data; never 6985.
        known = {"9000", "6300", "6988", "6A83", "6A81"}
        return "" if answer[-4:] in known else f"answered {answer[-4:]}"
    if bytes.fromhex(answer) != refusal:
        return f"answered {answer} in place of {refusal.hex()}"
    changed = card.state is not state or card.writer.count != writes
    return "a refused command changed the card" if changed else ""


MISSHAPEN = (
    ("", "6700"),
    ("00", "6700"),
    ("00A4", "6700"),
    ("00A40400", "6700"),
    ("00A4040005", "6700"),
    ("00A4040005F053534E01", "6700"),
    ("00A4040005F053534E010000", "6700"),
    ("00A4040005F053534E0105", "6700"),
    ("00A4040000", "6700"),
    ("00A404000000000000", "6700"),
    ("00A4000005F053534E0100", "6A86"),
    ("00A4040105F053534E0100", "6A86"),
    ("00A4040005F053534E0200", "6A82"),
    ("00A4040205F053534E0100", "9000"),
    ("01A4040005F053534E0100", "6E00"),
    ("FFA4040005F053534E0100", "6E00"),
    ("FF", "6700"),
    ("0088000004010203040000", "6700"),
    ("0087000004010203040000", "6D00"),
    ("00C0000010", "6D00"),
    ("00FF000000", "6D00"),
    ("80A4040005F053534E0100", "6D00"),
)


def test_card_given_a_misshapen_or_foreign_command_answers_its_status_word() -> None:
    given = [(command, answer, send(make_card(), command)[-4:]) for command, answer in MISSHAPEN]
    assert not [row for row in given if row[1] != row[2]]


WRONG = (
    ([SELECT], "00B2000C00", "6A86"),
    ([SELECT], "00B2010D00", "6A86"),
    ([SELECT], "00B2010C00", "6985"),
    ([SELECT, GPO], "00B2020C00", "6A83"),
    ([SELECT, GPO], "00B2012C00", "6A82"),
    ([SELECT, GPO], "00B2010C01", "6C24"),
    ([SELECT, GPO], "00B2010C24", "9000"),
    ([SELECT, GPO], "00B2010C0000", "6700"),
    ([SELECT, GPO], "00B2015C00", "6A83"),
    ([SELECT], "80CA9F3700", "6A88"),
    ([SELECT], "80CA9F4F00", "9000"),
    ([SELECT], "80CADF7100", "9000"),
    ([SELECT], "80A8000006830403600360" + "00", "6700"),
    ([SELECT], "80A8000007840503600360" + "0000", "6A80"),
    ([SELECT], "80A8010007830503600360" + "0000", "6A86"),
    ([SELECT, GPO], f"80AE900021{CDOL1}00", "6A86"),
    ([SELECT, GPO], f"80AEC00021{CDOL1}00", "6A86"),
    ([SELECT, GPO], f"80AE800121{CDOL1}00", "6A86"),
    ([SELECT, GPO], f"80AE800020{CDOL1[:-2]}00", "6700"),
    ([SELECT, GPO, AC1], f"80AE80001F{CDOL2}00", "6A86"),
    ([SELECT, GPO, AC1], "008200000700000000000000", "6700"),
    ([SELECT, GPO, AC1], "008200010A" + "00" * 10, "6A86"),
    ([SELECT, GPO], "00200088082612345 6FFFFFFFF".replace(" ", ""), "6A86"),
    ([SELECT, GPO], "00200080072612 3456FFFFFF".replace(" ", ""), "6700"),
    ([SELECT, GPO], "0020008008161234 56FFFFFFFF".replace(" ", ""), "6A80"),
    ([SELECT], "0084010000", "6A86"),
    ([SELECT], "0084000008", "9000"),
)


def test_card_given_wrong_parameters_or_lengths_answers_its_status_word() -> None:
    wrong = []
    for path, command, answer in WRONG:
        card = make_card()
        for step in path:
            send(card, step)
        if (given := send(card, command)[-4:]) != answer:
            wrong.append((len(path), command, answer, given))
    assert not wrong


def test_card_reset_warm_forgets_the_transaction_and_keeps_the_counter() -> None:
    card = card_in(CardState.ONLINE)
    card.power()
    assert card.state is CardState.POWERED
    assert send(card, AC2) == "6985"
    send(card, SELECT)
    assert send(card, "80CA9F3600") == "9F360200019000"


def test_card_block_script_then_every_selection_says_blocked_for_good() -> None:
    card = card_in(CardState.ONLINE)
    assert card.current is not None
    scripter = Scripter(card.current.first_cryptogram)
    script = scripter.command(ScriptCommand.CARD_BLOCK)
    assert card.apdu(script.encoded()).hex() == "9000"
    card.power()
    assert send(card, SELECT) == "6A81"
    assert send(card, "00A404000E315041592E5359532E444446303100") == "6A81"
