"""Beside pyiso8583 on specs drawn at random: same bytes, same values, for plain kinds."""

import iso8583
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.iso8583 import Message, MessageError, PureCodec, parse_spec
from protocols.iso8583.codec import CODECS

HEAD = """
[spec]
name = "drawn"
title = "drawn"
version = "1"
source = "drawn"
mti = "{mti}"
bitmap = {{ encoding = "{bitmap}" }}
"""
PEER_HEAD = {
    "h": {"data_enc": "ascii", "len_enc": "ascii", "len_type": 0, "max_len": 0, "desc": "h"},
}
DIGITS = "0123456789"
PRINTABLE = "".join(chr(code) for code in range(32, 127))

# Element 65 is a third bitmap to pyiso8583 whatever the spec says.
NUMBERS = st.integers(2, 128).filter(lambda number: number != 65)

element = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["digits", "text", "bytes"]),
        "packed": st.booleans(),
        "prefix": st.sampled_from([0, 0, 2, 3]),
        "prefix_packed": st.booleans(),
        "maximum": st.integers(1, 40),
        "page": st.sampled_from(["ascii", "cp037", "cp500", "cp1047", "cp1140"]),
        "prefix_page": st.sampled_from(["ascii", "cp500"]),
    }
)


def ours(number: int, drawn: dict[str, object], value: str) -> str:
    """Give the TOML entry of a drawn element."""
    kind = drawn["kind"]
    lines = [f"[elements.{number}]", 'name = "e"', f'kind = "{kind}"', 'source = "drawn"']
    if kind == "digits":
        lines.append(f'encoding = "{"bcd" if drawn["packed"] else drawn["page"]}"')
    if kind == "text":
        lines.append(f'encoding = "{drawn["page"]}"')
    if drawn["prefix"]:
        encoding = "bcd" if drawn["prefix_packed"] else drawn["prefix_page"]
        lines += [
            f"max = {drawn['maximum']}",
            f'prefix = {{ digits = {drawn["prefix"]}, encoding = "{encoding}" }}',
        ]
    else:
        lines.append(f"len = {drawn['maximum']}")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    lines += [f'example = "{escaped}"', 'sensitive = "wipe"']
    return "\n".join(lines) + "\n"


def theirs(drawn: dict[str, object]) -> dict[str, object]:
    """Give the same element in pyiso8583's words."""
    packed = drawn["kind"] == "digits" and drawn["packed"]
    size = drawn["prefix"]
    assert isinstance(size, int)
    if drawn["prefix_packed"]:
        size = (size + 1) // 2
    is_binary = packed or drawn["kind"] == "bytes"
    return {
        "data_enc": "b" if is_binary else drawn["page"],
        "len_enc": "bcd" if drawn["prefix_packed"] else drawn["prefix_page"],
        "len_type": size if drawn["prefix"] else 0,
        "max_len": drawn["maximum"],
        "len_count": "nibbles" if packed else "bytes",
        "left_pad": "0",
        "desc": "e",
    }


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, dict[str, object], dict[int, str | bytes]]:
    """Draw a spec in both words and one value per element."""
    is_packed, is_hex = draw(st.booleans()), draw(st.booleans())
    text = HEAD.format(mti="bcd" if is_packed else "ascii", bitmap="hex" if is_hex else "binary")
    peer: dict[str, object] = dict(PEER_HEAD)
    peer["t"] = {
        "data_enc": "b" if is_packed else "ascii",
        "len_enc": "ascii",
        "len_type": 0,
        "max_len": 2 if is_packed else 4,
        "desc": "t",
    }
    for key in ("p", "1"):
        peer[key] = {
            "data_enc": "ascii" if is_hex else "b",
            "len_enc": "ascii",
            "len_type": 0,
            "max_len": 16 if is_hex else 8,
            "desc": key,
        }
    values: dict[int, str | bytes] = {}
    numbers = draw(st.lists(NUMBERS, min_size=1, max_size=6, unique=True))
    for number in sorted(numbers):
        drawn = draw(element)
        low = 1 if drawn["prefix"] else drawn["maximum"]
        sizes = {"min_size": low, "max_size": drawn["maximum"]}
        if drawn["kind"] == "bytes":
            value: str | bytes = draw(st.binary(**sizes))
            shown = value.hex()
        else:
            alphabet = DIGITS if drawn["kind"] == "digits" else PRINTABLE
            value = shown = draw(st.text(alphabet, **sizes))
        text += ours(number, drawn, shown)
        peer[str(number)] = theirs(drawn)
        values[number] = value
    return text, peer, values


@settings(max_examples=25)
@given(case=cases(), place=st.integers(0, 400), change=st.integers(1, 255))
def test_codec_agrees_with_pyiso8583_on_drawn_specs(
    case: tuple[str, dict[str, object], dict[int, str | bytes]], place: int, change: int
) -> None:
    agree(case, place, change)


@pytest.mark.slow
@settings(max_examples=300)
@given(case=cases(), place=st.integers(0, 400), change=st.integers(1, 255))
def test_codec_agrees_with_pyiso8583_on_many_drawn_specs(
    case: tuple[str, dict[str, object], dict[int, str | bytes]], place: int, change: int
) -> None:
    agree(case, place, change)


def agree(
    case: tuple[str, dict[str, object], dict[int, str | bytes]], place: int, change: int
) -> None:
    """Both twins write what the peer writes, read it back, and accept no damage that it refuses."""
    text, peer, values = case
    spec = parse_spec(text, "drawn.toml")
    document = {"t": "0200"}
    for number, value in values.items():
        document[str(number)] = value.hex().upper() if isinstance(value, bytes) else value
    expected, _ = iso8583.encode(dict(document), peer)
    for codec_class in CODECS:
        codec = codec_class(spec)
        for _ in range(2):  # the second time through the compiled plan
            raw = codec.encode(Message("0200", dict(values)))
            assert raw == bytes(expected)
            assert codec.decode(raw).elements == values
        damaged = bytearray(raw)
        damaged[place % len(raw)] ^= change
        agree_on_damage(codec, bytes(damaged), peer)


def agree_on_damage(codec: PureCodec, raw: bytes, peer: dict[str, object]) -> None:
    """What we accept, pyiso8583 must accept with the same values; we may be stricter."""
    try:
        message = codec.decode(raw)
    except MessageError:
        return
    decoded, _ = iso8583.decode(raw, peer)
    for number, value in message.elements.items():
        shown = value.hex().upper() if isinstance(value, bytes) else value
        assert decoded[str(number)].upper() == str(shown).upper()
