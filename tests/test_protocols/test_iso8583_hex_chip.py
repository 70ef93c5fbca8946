"""Chip data in hex digits, as the `bank` dialect sends it: bytes, values, places of faults."""

import pytest

from protocols.iso8583 import Message, MessageError, PureCodec, Reason, inspect_message
from tests.test_protocols.iso8583_samples import BANK, WARM, twins

CHIP = {"9F26": bytes.fromhex("E0C1A2B3C4D5E6F7"), "9F36": b"\x00\x02", "DF01": b"\xab"}
WIRE = b"040" + b"9F2608E0C1A2B3C4D5E6F7" + b"9F36020002" + b"DF0101AB"
MESSAGE = Message("0100", {11: "000001", 55: CHIP})
HEAD = b"0100" + b"0020000000000200" + b"000001"


@twins
def test_chip_data_in_hex_is_written_and_read(codec_class: type[PureCodec]) -> None:
    codec = codec_class(BANK)
    for _ in range(3):  # walk, then plan, then remembered layout
        raw = codec.encode(MESSAGE)
        assert raw == HEAD + WIRE
        assert codec.decode(raw) == MESSAGE
        assert codec.decode_lazy(raw)[55] == CHIP
        assert codec.decode_lazy(raw).wire(55) == WIRE


@twins
@pytest.mark.parametrize(
    ("old", "new", "path", "place", "reason"),
    [
        (b"E0C1", b"e0C1", "55", 3 + 6, Reason.BAD_CHARACTER),
        (b"9F3602", b"9F3603", "55.9F36", 3 + 22 + 10, None),
        (b"DF01", b"9F36", "55.9F36", 3 + 32, None),
        (b"040", b"039", "55", 0, Reason.BAD_COUNT),
        (b"DF0101", b"000000", "55", 3 + 32, Reason.BAD_TAG),
        (b"DF0101", b"DF0102", "55.DF01", 3 + 40, Reason.TRUNCATED),
    ],
)
def test_fault_inside_hex_is_told_at_its_own_byte(
    codec_class: type[PureCodec],
    old: bytes,
    new: bytes,
    path: str,
    place: int,
    reason: Reason | None,
) -> None:
    codec = WARM[codec_class, "bank"]
    raw = (HEAD + WIRE).replace(old, new)
    with pytest.raises(MessageError) as caught:
        codec.decode(raw)
    assert caught.value.path == path
    if reason is not None:
        assert (caught.value.reason, caught.value.offset) == (reason, len(HEAD) + place)


def test_inspection_shows_the_bytes_of_each_tag_in_hex() -> None:
    found = inspect_message(BANK, HEAD + WIRE)
    places = {node.path: (node.start, node.end) for node in found.nodes}
    for tag, digits in (("9F26", b"E0C1A2B3C4D5E6F7"), ("9F36", b"0002")):
        start, end = places[f"55.{tag}"]
        assert (HEAD + WIRE)[start:end] == digits


@twins
def test_chip_data_in_hex_longer_than_allowed_is_refused(codec_class: type[PureCodec]) -> None:
    codec = WARM[codec_class, "bank"]
    with pytest.raises(MessageError) as caught:
        codec.encode(Message("0100", {11: "000001", 55: {"DF01": bytes(253)}}))
    assert (caught.value.path, caught.value.reason) == ("55", Reason.TOO_LONG)
    full = Message("0100", {11: "000001", 55: {"DF01": bytes(251)}})
    assert codec.decode(codec.encode(full)) == full
