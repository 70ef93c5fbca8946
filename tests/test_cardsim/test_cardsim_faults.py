"""Faults as data: matched by command and ordinal, recorded, and their plans read strictly."""

from pathlib import Path

import pytest

from cardsim import CardImage, CardImageError, FaultPlanError, limits
from cardsim.channel import InProcessChannel
from cardsim.faults import (
    Fault,
    FaultAction,
    FaultLayer,
    ReactionKind,
    command_name,
    parse_faults,
)
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


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
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
    ],
)  # fmt: skip
def test_fault_strikes_its_command_and_no_other(fault: Fault, expected: list[str]) -> None:
    assert kinds(layer(fault), SELECT, GPO, SELECT, GET_ATC) == expected


@pytest.mark.parametrize(
    ("fault", "counter"),
    [
        (Fault(A.TORN_BEFORE, "GET_PROCESSING_OPTIONS"), 0),
        (Fault(A.TORN_AT_WRITE, "GET_PROCESSING_OPTIONS", count=0), 0),
        (Fault(A.TORN_AT_WRITE, "GET_PROCESSING_OPTIONS", count=1), 1),
        (Fault(A.TORN_AFTER, "GET_PROCESSING_OPTIONS"), 1),
        (Fault(A.STATUS, "GET_PROCESSING_OPTIONS", status_word=0x6985), 0),
        (Fault(A.ANSWER, "GET_PROCESSING_OPTIONS", data=b"\x69\x85"), 1),
    ],
)
def test_fault_before_or_after_the_card_saw_the_command_shows_in_its_counter(
    fault: Fault, counter: int
) -> None:
    struck = layer(fault)
    kinds(struck, SELECT, GPO)
    assert struck.card.image.applications[0].state.atc == counter


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


def test_command_names_tell_unknown_commands_apart() -> None:
    assert command_name(b"") == "UNKNOWN"
    assert command_name(bytes.fromhex("00C0000010")) == "GET_RESPONSE"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "plan:1: no TOML"),
        ("[other]\n", "plan:1: only"),
        ("fault = 1\n", "plan:1: only"),
        ('[[fault]]\naction = "explode"\n', "plan:1: action is one of"),
        ('\n[[fault]]\naction = "mute"\ncolour = 1\n', "plan:2: unknown key 'colour'"),
        ('[[fault]]\naction = "mute"\ncommand = "DANCE"\n', "plan:1: fault: unknown command"),
        ('[[fault]]\naction = "mute"\nordinal = 0\n', "plan:1: fault: ordinal"),
        ('[[fault]]\naction = "mute"\nordinal = "x"\n', "plan:1: a value"),
        ('[[fault]]\naction = "slow"\ndelay_ms = 99999999\n', "plan:1: fault: ordinal"),
        ('[[fault]]\naction = "status"\nstatus_word = "XYZ"\n', "plan:1: a value"),
        ('[[fault]]\naction = "status"\nstatus_word = "12345"\n', "plan:1: fault: a status"),
        ('[[fault]]\naction = "answer"\ndata = "9"\n', "plan:1: a value"),
    ],
)
def test_fault_plan_that_is_wrong_is_an_error_with_file_and_line(text: str, words: str) -> None:
    with pytest.raises(FaultPlanError) as caught:
        parse_faults(text, "plan")
    assert caught.value.external.startswith(words)


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
