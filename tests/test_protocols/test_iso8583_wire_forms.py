"""Message types, bitmaps and code pages in every form that a spec may ask for, in both twins.

The expected bytes are put together here by hand, not by the packer.
"""

from itertools import product

import pytest

from protocols.iso8583 import Message, MessageError, PureCodec, Reason, Spec, load_spec, parse_spec
from protocols.iso8583.charsets import EBCDIC_PAGES
from protocols.iso8583.codec import CODECS
from protocols.iso8583.loader import BITMAP_ENCODINGS, MTI_ENCODINGS

twins = pytest.mark.parametrize("codec_class", CODECS, ids=lambda one: one.__name__)

HEAD = """
[spec]
name = "forms"
title = "forms"
version = "1"
source = "tests"
mti = "{mti}"
bitmap = {{ encoding = "{bitmap}", always_128 = {always}, tertiary = {tertiary} }}
peek = [3]
"""
ELEMENT = """
[elements.{number}]
name = "e{number}"
kind = "{kind}"
encoding = "{encoding}"
max = 20
prefix = {{ digits = 2, encoding = "{prefix}" }}
example = "12"
source = "tests"
"""


def forms_spec(
    mti: str, bitmap: str, always: bool = False, tertiary: bool = False, page: str = "ascii"
) -> Spec:
    """Give a spec of elements 3, 66 and (with a third bitmap) 130 in one code page."""
    text = HEAD.format(
        mti=mti, bitmap=bitmap, always=str(always).lower(), tertiary=str(tertiary).lower()
    )
    numbers = (3, 64, 66, 128, 130, 192) if tertiary else (3, 64, 66, 128)
    for number in numbers:
        kind = "digits" if number == 3 else "text"
        text += ELEMENT.format(number=number, kind=kind, encoding=page, prefix=page)
    return parse_spec(text, "forms.toml")


def bits(*numbers: int) -> bytes:
    """Give 8 bytes with bits set, numbered 1 to 64."""
    return sum(1 << (64 - number) for number in numbers).to_bytes(8, "big")


def written(encoding: str, raw: bytes) -> bytes:
    """Give bitmap bytes as an encoding writes them."""
    if encoding == "binary":
        return raw
    return raw.hex().upper().encode("ascii" if encoding == "hex" else "cp500")


def mti_bytes(encoding: str) -> bytes:
    """Give 1200 as an encoding writes it."""
    return b"\x12\x00" if encoding == "bcd" else "1200".encode(encoding)


def check(codec_class: type[PureCodec], spec: Spec, message: Message, raw: bytes) -> None:
    """Check both directions, twice: the second time through the compiled plan."""
    codec = codec_class(spec)
    for _ in range(2):
        assert codec.encode(message) == raw
        assert codec.decode(raw) == message
    assert codec.peek(raw, message.elements) == message
    for cut in range(len(raw)):
        with pytest.raises(MessageError):
            codec.decode(raw[:cut])


@twins
@pytest.mark.parametrize(("mti", "bitmap"), list(product(MTI_ENCODINGS, BITMAP_ENCODINGS)))
def test_codec_every_mti_and_bitmap_encoding_gives_the_expected_bytes(
    codec_class: type[PureCodec], mti: str, bitmap: str
) -> None:
    spec = forms_spec(mti, bitmap)
    short = mti_bytes(mti) + written(bitmap, bits(3)) + b"0212"
    check(codec_class, spec, Message("1200", {3: "12"}), short)
    both = mti_bytes(mti) + written(bitmap, bits(1, 3) + bits(2)) + b"021203A-B"
    check(codec_class, spec, Message("1200", {3: "12", 66: "A-B"}), both)


@twins
@pytest.mark.parametrize("bitmap", BITMAP_ENCODINGS)
def test_codec_always_128_writes_the_second_bitmap_even_when_empty(
    codec_class: type[PureCodec], bitmap: str
) -> None:
    spec = forms_spec("ascii", bitmap, always=True)
    raw = b"1200" + written(bitmap, bits(1, 3) + bytes(8)) + b"0212"
    check(codec_class, spec, Message("1200", {3: "12"}), raw)
    last = b"1200" + written(bitmap, bits(1) + bits(64)) + b"01Z"
    check(codec_class, spec, Message("1200", {128: "Z"}), last)
    with pytest.raises(MessageError) as caught:
        codec_class(spec).decode(b"1200" + written(bitmap, bits(3)) + b"0212")
    assert (caught.value.path, caught.value.reason) == ("bitmap", Reason.BAD_BITMAP)


@twins
@pytest.mark.parametrize("bitmap", BITMAP_ENCODINGS)
def test_codec_third_bitmap_follows_the_second(codec_class: type[PureCodec], bitmap: str) -> None:
    spec = forms_spec("ascii", bitmap, tertiary=True)
    raw = b"1200" + written(bitmap, bits(1, 3) + bits(1) + bits(2, 64)) + b"0212" + b"01A01B"
    check(codec_class, spec, Message("1200", {3: "12", 130: "A", 192: "B"}), raw)
    two = b"1200" + written(bitmap, bits(1) + bits(2)) + b"01A"
    check(codec_class, spec, Message("1200", {66: "A"}), two)
    one = b"1200" + written(bitmap, bits(64)) + b"01A"
    check(codec_class, spec, Message("1200", {64: "A"}), one)
    with pytest.raises(MessageError) as caught:
        codec_class(spec).decode(b"1200" + written(bitmap, bits(1) + bits(1) + bytes(8)))
    assert caught.value.reason is Reason.BAD_BITMAP


@twins
@pytest.mark.parametrize("always", [False, True])
def test_codec_third_bitmap_with_always_128_agrees(
    codec_class: type[PureCodec], always: bool
) -> None:
    spec = forms_spec("bcd", "hex", always=always, tertiary=True)
    raw = b"\x12\x00" + written("hex", bits(1) + bits(1) + bits(2)) + b"01A"
    check(codec_class, spec, Message("1200", {130: "A"}), raw)


@twins
@pytest.mark.parametrize("page", EBCDIC_PAGES)
def test_codec_every_code_page_of_text_digits_and_prefix(
    codec_class: type[PureCodec], page: str
) -> None:
    spec = forms_spec("cp500", "ebcdic-hex", page=page)
    text = "Az 09 .<(+&*);-/,%_>?:'="
    raw = b"\xf1\xf2\xf0\xf0" + written("ebcdic-hex", bits(1, 3) + bits(2))
    raw += "0212".encode(page) + f"{20:02d}{text[:20]}".encode(page)
    check(codec_class, spec, Message("1200", {3: "12", 66: text[:20]}), raw)


@twins
@pytest.mark.parametrize("name", ["iso87", "iso93", "iso03"])
def test_base_spec_full_message_round_trips_in_both_twins(
    codec_class: type[PureCodec], name: str
) -> None:
    spec = load_spec(name)
    elements = {number: element.example for number, element in spec.elements.items()}
    message = Message({"iso87": "0200", "iso93": "1200", "iso03": "2200"}[name], elements)  # type: ignore[arg-type]
    codec = codec_class(spec)
    raw = codec.encode(message)
    assert codec.decode(raw) == message
    assert codec.encode(codec.decode(raw)) == raw


def test_iso93_request_written_by_hand_gives_its_values() -> None:
    raw = (
        b"1200"
        + bits(3, 4, 11, 12, 22, 24, 49)
        + b"009800"
        + b"000014150000"
        + b"000345"
        + b"260105091407"
        + b"510101513346"
        + b"200"
        + b"360"
    )
    found = PureCodec(load_spec("iso93")).decode(raw)
    assert found.text(12) == "260105091407"
    assert found.text(22, "card_input_mode") == "5"
    assert found.text(24) == "200"


def test_iso03_amount_carries_currency_and_decimals() -> None:
    raw = b"2200" + bits(4, 39) + b"3602000014150000" + b"0000"
    found = PureCodec(load_spec("iso03")).decode(raw)
    assert found[4] == {"currency": "360", "exponent": "2", "amount": "000014150000"}
    assert found[39] == "0000"


MAC_ELEMENT = """
[elements.128]
name = "MAC"
kind = "bytes"
encoding = "binary"
len = 8
example = "0011223344556677"
source = "tests"
"""


@twins
def test_encode_with_mac_of_an_element_behind_the_mac_is_refused(
    codec_class: type[PureCodec],
) -> None:
    text = HEAD.format(mti="ascii", bitmap="binary", always="false", tertiary="true")
    for number in (3, 66, 130):
        text += ELEMENT.format(number=number, kind="text", encoding="ascii", prefix="ascii")
    codec = codec_class(parse_spec(text + MAC_ELEMENT, "forms.toml"))
    signed = codec.encode_with_mac(Message("1200", {3: "12", 66: "A"}), lambda _: b"8" * 8)
    assert codec.split_mac(signed) == (signed[:-8], b"8" * 8)
    with pytest.raises(MessageError, match="behind the MAC") as caught:
        codec.encode_with_mac(Message("1200", {3: "12", 130: "A"}), lambda _: b"8" * 8)
    assert (caught.value.path, caught.value.reason) == ("130", Reason.NOT_ALLOWED)
