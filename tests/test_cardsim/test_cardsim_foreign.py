"""Foreign, cut, stretched and altered commands in every state, on T=1 and on T=0."""

import itertools
import random

import pytest

from cardsim import Card, CardState
from cardsim.states import CLASSES, COMMANDS
from protocols.emv.apdu import CommandApdu
from tests.card_kit import make_card, make_image

SEED = 20260105
#: Status words that a card may answer to anything: reference/emv.md 4.1, and 6Cxx, 61xx.
KNOWN = {
    "9000", "6283", "6300", "6700", "6983", "6984", "6985", "6987", "6988", "6A80", "6A81", "6A82",
    "6A83", "6A86", "6A88", "6D00", "6E00",
}  # fmt: skip

#: What the paths to the states send; on T=0 the same without Le.
PATHS: dict[str, dict[CardState, list[str]]] = {}


def _paths(profile: str) -> dict[CardState, list[str]]:
    image = make_image(profile)
    application = image.applications[0]
    select = f"00A40400{len(application.aid):02X}{application.aid.hex()}00"
    card = make_card(image)
    first, second = (bytes(size).hex() for size in card.applications[0].lengths[:2])
    pdol = card.applications[0].pdol_length
    gpo = f"80A80000{pdol + 2:02X}83{pdol:02X}{'00' * pdol}00"
    ac1 = f"80AE8000{len(first) // 2:02X}{first}00"
    ac2 = f"80AE0000{len(second) // 2:02X}{second}00"
    arpc = f"008200000A{'00' * 10}"
    paths = {
        CardState.POWERED: [],
        CardState.DIRECTORY: ["00A404000E315041592E5359532E444446303100"],
        CardState.SELECTED: [select],
        CardState.INITIATED: [select, gpo],
        CardState.ONLINE: [select, gpo, ac1],
        CardState.ANSWERED: [select, gpo, ac1, arpc],
        CardState.FINISHED: [select, gpo, ac1, ac2],
    }
    if application.contactless_pdol:
        size = card.applications[0].lengths[2]
        data = f"83{size:02X}24800000{'00' * (size - 4)}"
        tap = f"80A80000{size + 2:02X}{data}00"
        paths[CardState.TAPPED] = ["00A404000E325041592E5359532E444446303100", select, tap]
    return paths


def card_in(profile: str, state: CardState) -> Card:
    """Give a card of a profile that stands in a state."""
    image = make_image(profile)
    image.blocked = state is CardState.CARD_BLOCKED
    card = make_card(image)
    paths = PATHS.setdefault(profile, _paths(profile))
    for text in paths.get(state, ()):
        command = CommandApdu.parse(bytes.fromhex(text))
        raw = command.encoded() if card.image.protocol == 1 else command.encoded_t0()
        assert card.apdu(raw)[:1] != b"\x6d"
    assert card.state is state
    return card


def states_of(profile: str) -> list[CardState]:
    """Give the states that a profile's cards can stand in."""
    return [*PATHS.setdefault(profile, _paths(profile)), CardState.CARD_BLOCKED]


FOREIGN = [
    ("", "6700"),
    ("00", "6700"),
    ("FF", "6700"),
    ("00A4", "6700"),
    ("00A40400", "6700"),
    ("01A40400", "6E00"),
    ("01A4", "6E00"),
    ("00FF", "6D00"),
    ("00FF0000", "6D00"),
    ("80A4040005F053534E0100", "6D00"),
    ("84A4040005F053534E0100", "6D00"),
    ("FFCA000000", "6E00"),
    ("A0A40000023F00", "6E00"),
    ("0CA4040005F053534E0100", "6E00"),
    ("00D6000001FF", "6D00"),
    ("00E40000", "6D00"),
    ("80CA9F36", "6700"),
    ("80CA9F360000", "6700"),
    ("00B2010C0000", "6700"),
    ("80AE80000000", "6700"),
    ("00" * 5, "6D00"),
    ("FF" * 261, "6E00"),
    ("00A404" + "FF" * 400, "6700"),
]


@pytest.mark.parametrize("profile", ["ssn", "nsiccs-debit", "emv-generic"])
def test_foreign_or_misshapen_command_has_its_status_word_in_every_state(profile: str) -> None:
    wrong = []
    for state in states_of(profile):
        card = card_in(profile, state)
        before, writes = card.state, card.writer.count
        for text, expected in FOREIGN:
            given = card.apdu(bytes.fromhex(text)).hex().upper()
            if given != expected or card.state is not before or card.writer.count != writes:
                wrong.append((state.value, text[:20], expected, given))
    assert not wrong


def altered(raw: bytes, random_source: random.Random) -> list[bytes]:
    """Give a command cut, stretched, and with each part of its header another."""
    cut = [raw[:length] for length in range(len(raw))]
    stretched = [raw + bytes(count) for count in (1, 2, 300)]
    other = []
    for place, value in itertools.product(range(min(5, len(raw))), (0x00, 0x01, 0x7F, 0x80, 0xFF)):
        other.append(raw[:place] + bytes((value,)) + raw[place + 1 :])
    noise = [raw[:4] + random_source.randbytes(random_source.randrange(1, 40)) for _ in range(4)]
    return [*cut, *stretched, *other, *noise]


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["ssn", "nsiccs-debit", "emv-generic"])
def test_altered_command_in_every_state_is_answered_and_tells_no_key(profile: str) -> None:
    random_source = random.Random(SEED)
    image = make_image(profile)
    application = image.applications[0]
    secrets = [
        key.reveal()
        for key in (application.udk_ac, application.udk_mac, application.udk_encipherment)
        if key is not None
    ]
    wrong = []
    commands = {text for path in _paths(profile).values() for text in path}
    shapes = [bytes.fromhex(text) for text in sorted(commands)]
    shapes += [entry.header + bytes((0, 0, 8)) + bytes(8) for entry in COMMANDS.values()]
    for state, raw in itertools.product(states_of(profile), shapes):
        card = card_in(profile, state)
        counter = card.image.applications[0].state.atc
        for command in altered(raw, random_source):
            answer = card.apdu(command)
            word = answer[-2:].hex().upper()
            now = card.image.applications[0].state.atc
            good = word in KNOWN or word[:2] in ("61", "6C")
            if not (good and now >= counter and len(answer) <= 258):
                wrong.append((state.value, command.hex()[:30], word))
            if any(secret in answer for secret in secrets):
                wrong.append((state.value, command.hex()[:30], "a key"))
            counter = now
    assert not wrong, f"seed {SEED}: {wrong[:5]}"


@pytest.mark.parametrize("profile", ["ssn", "nsiccs-debit"])
def test_class_and_instruction_are_judged_for_every_pair_of_bytes(profile: str) -> None:
    card = make_card(make_image(profile))
    known = set(COMMANDS) | ({b"\x00\xc0"} if card.image.protocol == 0 else set())
    wrong = []
    for cla, ins in itertools.product(range(256), repeat=2):
        header = bytes((cla, ins))
        if header in known:
            continue
        expected = b"\x6d\x00" if cla in CLASSES else b"\x6e\x00"
        if card.apdu(header + bytes(3)) != expected:
            wrong.append(header.hex())
    assert not wrong
