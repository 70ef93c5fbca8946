"""Faults as data: matched by command and ordinal, recorded, and their plans read strictly."""

import re
from pathlib import Path

import pytest

from cardsim import CardImage, CardImageError, FaultPlanError, limits
from cardsim.channel import InProcessChannel
from cardsim.faults import (
    _ALTERATIONS,
    Fault,
    FaultAction,
    FaultLayer,
    ReactionKind,
    command_name,
    parse_faults,
)
from cardsim.misbehaviour import Misbehaviour
from cardsim.trace import Trace
from protocols.card_slot import CardRemovedError
from protocols.emv import commands
from tests.card_kit import PAN, make_card

SELECT = bytes.fromhex("00A4040005F053534E0100")
GPO = bytes.fromhex("80A80000078305036003600000")
GET_ATC = bytes.fromhex("80CA9F3600")
A = FaultAction


def layer(*faults: Fault) -> FaultLayer:
    return FaultLayer(make_card(), faults)


def kinds(fault_layer: FaultLayer, *sent: bytes) -> list[str]:
    found = []
    for command in sent:
        reaction = fault_layer.exchange(command)
        answered = reaction.kind is ReactionKind.ANSWER
        found.append(reaction.data[-2:].hex() if answered else reaction.kind.value)
    return found


STRIKES = [
        (Fault(A.STATUS, "SELECT", 1, status_word=0x6A81), ["6a81", "6985", "9000", "9000"]),
        (Fault(A.STATUS, "SELECT", 2, status_word=0x6A81), ["9000", "9000", "6a81", "9000"]),
        (Fault(A.STATUS, "", 2, status_word=0x6F00), ["9000", "6f00", "9000", "9000"]),
        (Fault(A.STATUS, "", 2, every=True, status_word=0x6F00), ["9000", "6f00", "6f00", "6f00"]),
        (Fault(A.MUTE, "GET_PROCESSING_OPTIONS"), ["9000", "mute", "9000", "9000"]),
        (Fault(A.TORN_BEFORE, "GET_PROCESSING_OPTIONS"), ["9000", "removed", "removed", "removed"]),
        (Fault(A.TORN_AFTER, "GET_PROCESSING_OPTIONS"), ["9000", "removed", "removed", "removed"]),
        (Fault(A.TORN_AT_WRITE, "GET_PROCESSING_OPTIONS", count=0),
         ["9000", "removed", "removed", "removed"]),
        (Fault(A.TORN_AT_WRITE, "GET_PROCESSING_OPTIONS", count=9),
         ["9000", "9000", "9000", "9000"]),
        (Fault(A.TORN_AT_WRITE, "SELECT", count=1), ["9000", "9000", "9000", "9000"]),
        (Fault(A.ANSWER, "GET_DATA", data=b"\x6d\x00"), ["9000", "9000", "9000", "6d00"]),
        (Fault(A.TRUNCATE, "GET_DATA", count=3), ["9000", "9000", "9000", "3602"]),
        (Fault(A.STATUS, "", 1, every=True, state="INITIATED", status_word=0x6F00),
         ["9000", "9000", "6f00", "6f00"]),
        (Fault(A.STATUS, "", 1, every=True, probability=0.0, status_word=0x6F00),
         ["9000", "9000", "9000", "9000"]),
        (Fault(A.BAD_LENGTH, "GET_DATA", tag="9F36"), ["9000", "9000", "9000", "9000"]),
]  # fmt: skip


def test_fault_strikes_its_command_and_no_other() -> None:
    wrong = []
    for fault, expected in STRIKES:
        given = kinds(layer(fault), SELECT, GPO, SELECT, GET_ATC)
        if given != expected:
            wrong.append((fault, expected, given))
    assert not wrong


COUNTERS = [
    (Fault(A.TORN_BEFORE, "GET_PROCESSING_OPTIONS"), 0),
    (Fault(A.TORN_AT_WRITE, "GET_PROCESSING_OPTIONS", count=0), 0),
    (Fault(A.TORN_AT_WRITE, "GET_PROCESSING_OPTIONS", count=1), 1),
    (Fault(A.TORN_AFTER, "GET_PROCESSING_OPTIONS"), 1),
    (Fault(A.STATUS, "GET_PROCESSING_OPTIONS", status_word=0x6985), 0),
    (Fault(A.ANSWER, "GET_PROCESSING_OPTIONS", data=b"\x69\x85"), 1),
    (Fault(A.STUCK_ATC, "SELECT"), 1),
]


def test_fault_before_or_after_the_card_saw_the_command_shows_in_its_counter() -> None:
    wrong = []
    for fault, counter in COUNTERS:
        struck = layer(fault)
        kinds(struck, SELECT, GPO)
        if struck.card.image.applications[0].state.atc != counter:
            wrong.append(fault)
    assert not wrong


#: What each data fault makes of 70{9F36 0001, 5A 9360}; None: nothing that it could strike.
ALTERED = [
    (Fault(A.BAD_LENGTH, tag="9F36"), "70099F360300015A029360"),
    (Fault(A.BAD_LENGTH), "700A9F360200015A029360"),
    (Fault(A.INDEFINITE_LENGTH, tag="5A"), "700B9F360200015A8093600000"),
    (Fault(A.DUPLICATE_OBJECT, tag="5A"), "700D9F360200015A0293605A029360"),
    (Fault(A.MISSING_OBJECT, tag="5A"), "70059F36020001"),
    (Fault(A.REPLACE_OBJECT, tag="5A", data=b"\x12"), "70089F360200015A0112"),
    (Fault(A.ADD_OBJECTS, data=b"\x9c\x01\x00"), "700C9F360200015A0293609C0100"),
    (Fault(A.CORRUPT_OBJECT, tag="5A"), "70099F360200015A029361"),
    (Fault(A.TRAILING_BYTES), "70099F360200015A0293605F"),
    (Fault(A.TRAILING_BYTES, data=b"\x00\x01"), "70099F360200015A0293600001"),
    (Fault(A.WRONG_TEMPLATE, tag="77"), "77099F360200015A029360"),
    (Fault(A.MISSING_OBJECT, tag="57"), None),
    (Fault(A.AFL_BEYOND_RECORDS), None),
    (Fault(A.EXPIRED_CERTIFICATE), None),
]


def test_data_fault_alters_its_object_and_leaves_other_answers_alone() -> None:
    answer = bytes.fromhex("70099F360200015A029360")
    wrong = []
    for fault, expected in ALTERED:
        given = _ALTERATIONS[fault.action](answer, fault)
        if given != (None if expected is None else bytes.fromhex(expected)):
            wrong.append((fault.action, given and given.hex().upper(), expected))
        if _ALTERATIONS[fault.action](b"\x70\x05\x5a", fault) not in (
            None,
            b"\x70\x05\x5a\x5f",
            b"\x70\x05\x5a\x00\x01",
        ):
            wrong.append((fault.action, "malformed data", None))
    assert not wrong
    assert {fault.action for fault, _ in ALTERED} == set(_ALTERATIONS)


def test_data_fault_that_finds_no_object_is_not_in_the_trace() -> None:
    faults = [Fault(A.MISSING_OBJECT, "READ_RECORD", every=True, tag="8E")]
    struck = layer(*faults)
    kinds(struck, SELECT, GPO, *(bytes.fromhex(f"00B2{place}00") for place in ("010C", "0214")))
    assert [entry.fault for entry in struck.trace.entries] == ["", "", "", "missing object"]


def test_data_faults_for_several_objects_strike_each_where_its_object_is() -> None:
    struck = layer(
        Fault(A.MISSING_OBJECT, "READ_RECORD", every=True, tag="5F24"),
        Fault(A.MUTE, "READ_RECORD", every=True),
        Fault(A.CORRUPT_OBJECT, "READ_RECORD", every=True, tag="57"),
    )
    records = (bytes.fromhex(f"00B2{place}00") for place in ("010C", "0114", "0214"))
    assert kinds(struck, SELECT, GPO, *records)[2:] == ["9000"] * 3
    found = [entry.fault for entry in struck.trace.entries][2:]
    assert found == ["corrupt object", "missing object", ""]


def test_fault_of_a_card_without_power_strikes_nothing() -> None:
    for action in (A.STATUS, A.MUTE, A.ANSWER, A.TRAILING_BYTES):
        unpowered = layer(Fault(action, every=True))
        unpowered.card.power_off()
        assert kinds(unpowered, SELECT) == ["removed"]


def test_chance_is_the_same_under_a_seed_and_differs_between_streams() -> None:
    def struck(seed: int, stream: str) -> str:
        plan = parse_faults(
            f'seed = {seed}\nstream = "{stream}"\n'
            '[[fault]]\naction = "status"\nstatus_word = "6F00"\ncommand = "GET_DATA"\n'
            "every = true\nprobability = 0.25\n",
            "plan",
        )
        chance = layer(*plan)
        kinds(chance, SELECT)
        return "".join("x" if k == "6f00" else "." for k in kinds(chance, *[GET_ATC] * 200))

    first = struck(7, "card-1")
    assert first == struck(7, "card-1")
    assert first != struck(8, "card-1")
    assert first != struck(7, "card-2")
    assert 30 <= first.count("x") <= 70


def test_misbehaviour_of_every_kind_is_a_fault_and_is_seen() -> None:
    named = {action.value for action in FaultAction}
    assert {item.value for item in Misbehaviour} <= named
    verify = bytes.fromhex("0020008008269999 99FFFFFFFF".replace(" ", ""))
    good, kept = layer(), layer(Fault(A.KEEPS_PIN_TRIES, "SELECT"))
    assert kinds(good, SELECT, GPO, verify, verify)[-2:] == ["63c2", "63c1"]
    assert kinds(kept, SELECT, GPO, verify, verify)[-2:] == ["63c3", "63c3"]
    stuck = layer(Fault(A.STUCK_ATC, "GET_PROCESSING_OPTIONS", 2))
    kinds(stuck, SELECT, GPO, SELECT, GPO)
    assert stuck.card.image.applications[0].state.atc == 1


def test_fault_of_a_lax_card_accepts_a_wrong_arpc_only_when_asked_for() -> None:
    for faults, answer in (((), "6300"), ((Fault(A.ACCEPT_ANY_ARPC, "GENERATE_AC"),), "9000")):
        struck = layer(*faults)
        length = struck.card.applications[0].lengths[0]
        arqc = commands.generate_ac(commands.AcType.ARQC, bytes(length)).encoded()
        wrong = commands.external_authenticate(bytes(8) + b"00").encoded()
        assert kinds(struck, SELECT, GPO, arqc, wrong)[-1] == answer


def test_fault_is_recorded_in_the_trace_and_the_trace_is_masked_and_bounded() -> None:
    trace = Trace(capacity=3)
    struck = FaultLayer(make_card(), [Fault(A.MUTE, "GET_DATA")], trace)
    kinds(struck, SELECT, GPO, bytes.fromhex("00B2011400"), GET_ATC)
    assert [entry.fault for entry in trace.entries] == ["", "", "mute"]
    assert (trace.entries[-1].response, trace.dropped) == ("no answer", 1)
    assert PAN.reveal() not in trace.text()
    assert "5A[8]" in trace.text()
    assert "! mute" in trace.text()


def test_trace_shows_no_pin_of_a_verify() -> None:
    struck = layer()
    kinds(struck, SELECT, GPO, bytes.fromhex("002000800826123456FFFFFFFF"))
    assert "123456" not in struck.trace.text()


def test_trace_tells_data_from_the_length_wanted_and_hides_what_may_be_a_card_number() -> None:
    struck = layer()
    kinds(
        struck, SELECT,
        bytes.fromhex("00A4040008" + PAN.reveal() + "00"), bytes.fromhex("00A4040011" + "F0" * 17),
        bytes.fromhex("00A4040007F053534E0100"), bytes.fromhex("00A40400"),
    )  # fmt: skip
    assert [entry.command for entry in struck.trace.entries] == [
        "00A40400 05 F053534E01 00",
        "00A40400 08 [8 bytes] 00", "00A40400 11 [17 bytes]",
        "00A40400 07 [6 bytes]", "[4 bytes]",
    ]  # fmt: skip


def test_command_names_tell_unknown_commands_apart() -> None:
    assert command_name(b"") == "UNKNOWN"
    assert command_name(bytes.fromhex("00C0000010")) == "GET_RESPONSE"


WRONG_PLANS = [
    ("x", "plan:1: no TOML"),
    ("[other]\n", "plan:1: only"),
    ("fault = 1\n", "plan:1: only"),
    ('[[fault]]\naction = "explode"\n', "plan:1: action is one of"),
    ('\n[[fault]]\naction = "mute"\ncolour = 1\n', "plan:2: unknown key 'colour'"),
    ('[[fault]]\naction = "mute"\ncommand = "DANCE"\n', "plan:1: fault: unknown command"),
    ('[[fault]]\naction = "mute"\nordinal = 0\n', "plan:1: fault: ordinal"),
    ('[[fault]]\naction = "mute"\nordinal = "x"\n', "plan:1: ordinal must be of type int"),
    ('[[fault]]\naction = "mute"\nevery = "yes"\n', "plan:1: every must be of type bool"),
    ('[[fault]]\naction = "missing object"\ntag = "5a"\n', "plan:1: fault: a tag is"),
    ("fault = [1]\n", "plan:1: a [[fault]] table must stand here"),
    (f"seed = {'9' * 5_000}\n", "plan:1: no TOML that a person writes"),
    ('[[fault]]\naction = "slow"\ndelay_ms = 99999999\n', "plan:1: fault: a delay"),
    ('[[fault]]\naction = "status"\nstatus_word = "XYZ"\n', "plan:1: a value"),
    ('[[fault]]\naction = "status"\nstatus_word = "12345"\n', "plan:1: fault: a status"),
    ('[[fault]]\naction = "answer"\ndata = "9"\n', "plan:1: a value"),
    ('[[fault]]\naction = "missing object"\n', "plan:1: fault: 'missing object' needs a tag"),
    ('[[fault]]\naction = "mute"\nstate = "ASLEEP"\n', "plan:1: fault: unknown card state"),
    ('[[fault]]\naction = "mute"\nprobability = 1.5\n', "plan:1: fault: a probability"),
    ('seed = -1\n[[fault]]\naction = "mute"\n', "plan:2: fault: a probability"),
    ("colour = 1\n", "plan:1: only"),
]


def test_fault_plan_that_is_wrong_is_an_error_with_file_and_line() -> None:
    wrong = []
    for text, words in WRONG_PLANS:
        with pytest.raises(FaultPlanError) as caught:
            parse_faults(text, "plan")
        if not caught.value.external.startswith(words):
            wrong.append((words, caught.value.external))
    assert not wrong


def test_fault_plan_gives_its_faults_in_order() -> None:
    faults = parse_faults(
        '[[fault]]\naction = "status"\ncommand = "SELECT"\nordinal = 2\nstatus_word = "6A81"\n'
        '[[fault]]\naction = "slow"\ndelay_ms = 20\nevery = true\n',
        "plan",
    )
    assert faults == (
        Fault(A.STATUS, "SELECT", 2, status_word=0x6A81),
        Fault(A.SLOW, delay_ms=20, every=True),
    )


def test_fault_plan_beyond_its_bound_is_refused() -> None:
    with pytest.raises(FaultPlanError, match="more than"):
        layer(*[Fault(A.MUTE)] * (limits.FAULTS + 1))


async def test_channel_makes_every_write_durable_before_the_command_goes_on() -> None:
    card = make_card()
    seen: list[tuple[int, bool]] = []

    def persist(image: CardImage) -> None:
        state = CardImage.from_json(image.to_json()).applications[0].state
        seen.append((state.atc, state.online_pending))

    channel = InProcessChannel(card, persist=persist)
    await channel.connect()
    length = card.applications[0].lengths[0]
    arqc = commands.generate_ac(commands.AcType.ARQC, bytes(length)).encoded()
    for command in (SELECT, GPO, arqc):
        await channel.transmit(command, timeout_ms=100)
    assert seen == [(1, False), (1, True)]


async def test_channel_whose_image_cannot_be_written_answers_nothing_and_powers_down(
    tmp_path: Path,
) -> None:
    card = make_card()
    gone = tmp_path / "gone" / "card.json"
    channel = InProcessChannel(card, persist=lambda image: image.save(gone))
    await channel.connect()
    await channel.transmit(SELECT, timeout_ms=100)
    with pytest.raises(CardImageError, match="cannot be written"):
        await channel.transmit(GPO, timeout_ms=100)
    assert not card.powered
    gone.parent.mkdir()
    await channel.connect()
    await channel.transmit(SELECT, timeout_ms=100)
    await channel.transmit(GPO, timeout_ms=100)
    assert CardImage.load(gone).applications[0].state.atc == 2


async def test_reference_page_example_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "card.md"
    example = page.read_text("utf-8").split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "card.md", "exec"), names)
    slot = names["slot"]
    assert isinstance(slot, InProcessChannel)
    await slot.connect()
    await slot.transmit(SELECT, timeout_ms=100)
    await slot.transmit(GPO, timeout_ms=100)
    assert CardImage.load(tmp_path / "card.json").applications[0].state.atc == 1


async def test_channel_before_connect_and_after_disconnect_has_no_card() -> None:
    channel = InProcessChannel(make_card())
    with pytest.raises(CardRemovedError):
        await channel.transmit(SELECT, timeout_ms=10)
    await channel.connect()
    await channel.disconnect()
    await channel.disconnect()
    with pytest.raises(CardRemovedError):
        await channel.transmit(SELECT, timeout_ms=10)
    channel.remove()
    with pytest.raises(CardRemovedError):
        await channel.connect()
    with pytest.raises(CardRemovedError):
        await channel.reset()


def test_reference_page_fault_plan_reads_as_printed() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "card.md"
    [fault] = parse_faults(page.read_text("utf-8").split("```toml\n")[1].split("```")[0], "card.md")
    assert (fault.tag, fault.seed, fault.stream, fault.probability) == ("5F24", 7, "card-1", 0.1)
    named = set(re.findall(r"`([a-z ]+)`", page.read_text("utf-8")))
    assert {action.value for action in FaultAction} <= named
