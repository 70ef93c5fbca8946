"""Framing: any pieces, any form, bounded, and final in its errors."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.framing import (
    BANK_FRAMES,
    EDC_FRAMES,
    Frame,
    Framer,
    FrameSpec,
    FramingError,
    frame,
    make_tpdu,
    read_length,
    swap_tpdu,
)

TPDU = bytes.fromhex("6000018312")
HEADER = b"ISO025000"

SPECS = [
    EDC_FRAMES,
    BANK_FRAMES,
    FrameSpec(length_encoding="little-endian"),
    FrameSpec(length_size=4),
    FrameSpec(length_size=4, length_encoding="little-endian", tpdu_size=0),
    FrameSpec(length_encoding="ascii", tpdu_size=0),
    FrameSpec(length_encoding="bcd"),
    FrameSpec(length_encoding="bcd", includes_self=True, tpdu_size=0),
    FrameSpec(includes_self=True),
    FrameSpec(length_size=4, length_encoding="ascii", includes_self=True, header_size=9),
    FrameSpec(tpdu_size=0, header_size=9),
]

KNOWN = [
    (EDC_FRAMES, b"\x08\x00", "000760000183120800"),
    (BANK_FRAMES, b"0800", "3030303430383030"),
    (FrameSpec(length_encoding="little-endian"), b"\x08\x00", "070060000183120800"),
    (FrameSpec(length_encoding="bcd", tpdu_size=0), b"x" * 12, "0012" + "78" * 12),
    (FrameSpec(includes_self=True, tpdu_size=0), b"ab", "00046162"),
    (FrameSpec(length_encoding="ascii", tpdu_size=0), b"ab", "30326162"),
]


def ids(spec: FrameSpec) -> str:
    """Give a short name of a spec for test output."""
    own = "-self" if spec.includes_self else ""
    return f"{spec.length_size}{spec.length_encoding}{own}-{spec.tpdu_size}-{spec.header_size}"


every_spec = pytest.mark.parametrize("spec", SPECS, ids=ids)


def tpdu_of(spec: FrameSpec) -> bytes:
    """Give a TPDU where the spec has one."""
    return TPDU if spec.tpdu_size else b""


def header_of(spec: FrameSpec) -> bytes:
    """Give a header where the spec has one."""
    return HEADER if spec.header_size else b""


@pytest.mark.parametrize(("spec", "payload", "expected"), KNOWN)
def test_frame_known_bytes(spec: FrameSpec, payload: bytes, expected: str) -> None:
    assert frame(payload, tpdu_of(spec), spec).hex() == expected
    assert Framer(spec).feed(bytes.fromhex(expected)) == [Frame(tpdu_of(spec), payload)]


@every_spec
@settings(max_examples=15)
@given(data=st.data())
def test_feed_any_cutting_gives_the_frames_in_order(spec: FrameSpec, data: st.DataObject) -> None:
    longest = min(60, spec.largest - spec.tpdu_size - spec.header_size)
    payloads = data.draw(st.lists(st.binary(max_size=longest), max_size=5))
    stream, expected = b"", []
    for payload in payloads:
        if payload:
            stream += frame(payload, tpdu_of(spec), spec, header_of(spec))
            expected.append(Frame(tpdu_of(spec), payload, header_of(spec)))
        else:
            stream += frame(b"", b"", spec)
            expected.append(Frame(b"", b""))
    for size in (1, data.draw(st.integers(1, 40)), len(stream) or 1):
        framer, found = Framer(spec), []
        for start in range(0, len(stream), size):
            found += framer.feed(stream[start : start + size])
        assert found == expected
        assert framer.waiting == 0


@every_spec
def test_feed_unfinished_frame_waits(spec: FrameSpec) -> None:
    raw = frame(b"message", tpdu_of(spec), spec, header_of(spec))
    framer = Framer(spec)
    assert framer.feed(raw[:-1]) == []
    assert framer.waiting == len(raw) - 1
    assert len(framer.feed(raw[-1:])) == 1


@every_spec
def test_feed_length_beyond_the_limit_is_refused_before_the_body(spec: FrameSpec) -> None:
    small = FrameSpec(
        spec.length_size,
        spec.length_encoding,
        spec.includes_self,
        spec.tpdu_size,
        spec.header_size,
        body_max=30,
    )
    payload = bytes(31 - spec.tpdu_size - spec.header_size)
    raw = frame(payload, tpdu_of(spec), spec, header_of(spec))
    with pytest.raises(FramingError, match="above the limit of 30"):
        Framer(small).feed(raw[: spec.length_size])
    with pytest.raises(FramingError, match="above the limit"):
        frame(payload, tpdu_of(spec), small, header_of(spec))


@pytest.mark.parametrize(
    ("spec", "raw"),
    [
        (BANK_FRAMES, b"00x4"),
        (BANK_FRAMES, b"-001"),
        (BANK_FRAMES, " 12\u00b2".encode("latin-1")),
        (FrameSpec(length_encoding="bcd"), b"\x00\x1a"),
        (EDC_FRAMES, b"\x00\x05"),
        (EDC_FRAMES, b"\x00\x01"),
        (EDC_FRAMES, b"\xff\xff"),
        (FrameSpec(includes_self=True), b"\x00\x01"),
    ],
)
def test_feed_malformed_length_is_final(spec: FrameSpec, raw: bytes) -> None:
    framer = Framer(spec)
    with pytest.raises(FramingError):
        framer.feed(raw + b"0" * 20)
    with pytest.raises(FramingError):
        framer.feed(frame(b"good", tpdu_of(spec), spec))


def test_feed_error_keeps_the_frames_before_it() -> None:
    good = frame(b"one", TPDU, EDC_FRAMES)
    with pytest.raises(FramingError) as caught:
        Framer(EDC_FRAMES).feed(good + b"\x00\x01")
    assert [one.payload for one in caught.value.frames] == [b"one"]


@given(st.lists(st.binary(max_size=64), max_size=6))
def test_feed_any_bytes_raise_only_our_error(pieces: list[bytes]) -> None:
    for spec in SPECS:
        framer = Framer(spec)
        for piece in pieces:
            try:
                framer.feed(piece)
            except FramingError:
                break
        assert framer.waiting <= spec.largest + spec.length_size


@given(st.binary(max_size=3))
def test_frame_parts_of_wrong_size_are_refused(part: bytes) -> None:
    with pytest.raises(FramingError):
        frame(b"message", part, EDC_FRAMES)
    with pytest.raises(FramingError):
        frame(b"", TPDU, EDC_FRAMES)


def test_swap_tpdu_twice_is_the_same() -> None:
    assert swap_tpdu(TPDU).hex() == "6083120001"
    assert swap_tpdu(swap_tpdu(TPDU)) == TPDU
    assert swap_tpdu(b"") == b""
    with pytest.raises(FramingError):
        swap_tpdu(b"\x60\x00")


@pytest.mark.parametrize(("destination", "source"), [("831", "0000"), ("083x", "0000"), ("", "")])
def test_make_tpdu_bad_address_is_refused(destination: str, source: str) -> None:
    with pytest.raises(ValueError, match="four digits"):
        make_tpdu(destination, source)


def test_read_length_zero_is_a_keep_alive() -> None:
    for spec in SPECS:
        raw = frame(b"", b"", spec)
        assert read_length(spec, raw) == 0
        assert Framer(spec).feed(raw) == [Frame(b"", b"")]


def test_frame_repr_shows_no_content() -> None:
    assert repr(Frame(TPDU, b"9360099912344821")) == "<Frame tpdu=6000018312 payload=16 bytes>"
