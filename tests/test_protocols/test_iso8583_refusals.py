"""What the codec refuses, and where it says the fault is: one row per fault."""

import pytest

from protocols.iso8583 import Message, MessageError, PureCodec, Reason, Spec
from protocols.iso8583.message import Value
from tests.test_protocols.iso8583_samples import (
    EDC,
    KINDS,
    WARM,
    sample_messages,
    specs,
    twins,
)

# (name, elements in the bitmap, content, path, offset, reason); MTI and bitmap are 10 or 18 bytes.
REFUSED: list[tuple[str, list[int], str, str, int, Reason]] = [
    ("nothing of an element", [3], "", "3", 10, Reason.TRUNCATED),
    ("half an element", [3], "0098", "3", 12, Reason.TRUNCATED),
    ("a byte too many", [3], "00980000", "message", 13, Reason.LEFT_OVER),
    ("a letter among packed digits", [3], "00980a", "3", 12, Reason.BAD_NIBBLE),
    (
        "a letter in the second of a run",
        [3, 4],
        "0098000000000b0000" + "00",
        "4",
        16,
        Reason.BAD_NIBBLE,
    ),
    ("padding nibble", [22], "1051", "22", 10, Reason.BAD_PADDING),
    ("prefix not packed decimal", [2], "1a9360099912344821", "2", 10, Reason.BAD_PREFIX),
    ("prefix cut", [55], "01", "55", 11, Reason.TRUNCATED),
    ("number too long", [2], "20" + "00" * 10, "2", 10, Reason.TOO_LONG),
    ("number cut", [2], "16936009991234", "2", 17, Reason.TRUNCATED),
    ("odd number's padding", [2], "1519360099912344821"[:-1], "2", 11, Reason.BAD_PADDING),
    (
        "track padding",
        [35],
        "33" + "9360099912344821d30122200000000000",
        "35",
        27,
        Reason.BAD_PADDING,
    ),
    ("track without separator", [35], "0893600999", "35", 11, Reason.BAD_TRACK),
    ("track with two", [35], "08936d0d99", "35", 11, Reason.BAD_TRACK),
    ("control character", [41], "3132343030300037", "41", 16, Reason.BAD_CHARACTER),
    ("not ASCII", [41], "31323430303030e9", "41", 17, Reason.BAD_CHARACTER),
    ("an approval with a dash", [38], "374b2d4d3951", "38", 12, Reason.BAD_CHARACTER),
    ("element the spec lacks", [65], "00", "65", 18, Reason.UNKNOWN_ELEMENT),
    ("chip data longer than 255", [55], "0256" + "00" * 256, "55", 10, Reason.TOO_LONG),
    ("chip tag cut", [55], "00019f", "55", 13, Reason.TRUNCATED),
    ("chip length cut", [55], "00029f26", "55.9F26", 14, Reason.TRUNCATED),
    ("chip value cut", [55], "00059f26080102", "55.9F26", 17, Reason.TRUNCATED),
    ("chip value too long", [55], "00059c02000000", "55.9C", 14, Reason.TOO_LONG),
    ("chip value too short", [55], "00039a0126", "55.9A", 14, Reason.TOO_SHORT),
    ("chip tag twice", [55], "00069c01009c0100", "55.9C", 15, Reason.DUPLICATE_TAG),
    ("long form of a short length", [55], "00049c810100", "55.9C", 13, Reason.BAD_LENGTH_FORM),
    ("indefinite length", [55], "00029c80", "55.9C", 13, Reason.BAD_LENGTH_FORM),
    ("filler byte", [55], "0004009c0100", "55", 12, Reason.BAD_TAG),
    ("endless tag", [55], "00069f8181810100", "55", 12, Reason.BAD_TAG),
    (
        "private tag twice",
        [60],
        "0012010003000012010003000012",
        "60.batch",
        18,
        Reason.DUPLICATE_TAG,
    ),
    ("private length cut", [60], "00020100", "60.01", 14, Reason.TRUNCATED),
    ("private value cut", [60], "00050100030000", "60.01", 17, Reason.TRUNCATED),
    ("private value short", [60], "00050100020012", "60.batch", 15, Reason.TOO_SHORT),
    ("private digits", [60], "000601000300001f", "60.batch", 17, Reason.BAD_NIBBLE),
    ("half a balance", [54], "0010" + "39" * 10, "54", 10, Reason.TOO_SHORT),
    (
        "one and a half",
        [54],
        "0030" + "3938303233363043303030303735383530303030" + "39383032333630433030",
        "54.amount",
        42,
        Reason.TRUNCATED,
    ),
    ("no balance", [54], "0000", "54", 10, Reason.TOO_SHORT),
]


def raw_of(numbers: list[int], content: str) -> bytes:
    """Give a packed 0200 with these elements announced and this content."""
    bits = sum(1 << (128 - number) for number in numbers)
    if bits & (1 << 64) - 1:
        return (
            bytes.fromhex("0200") + (bits | 1 << 127).to_bytes(16, "big") + bytes.fromhex(content)
        )
    return bytes.fromhex("0200") + (bits >> 64).to_bytes(8, "big") + bytes.fromhex(content)


@twins
@pytest.mark.parametrize(
    ("numbers", "content", "path", "offset", "reason"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
def test_decode_damage_is_refused_at_its_place(
    codec_class: type[PureCodec],
    numbers: list[int],
    content: str,
    path: str,
    offset: int,
    reason: Reason,
) -> None:
    spec = EDC
    if numbers == [65]:
        elements = {n: e for n, e in EDC.elements.items() if n != 65}
        spec = _with_elements(EDC, elements)
    codec = WARM[codec_class, "edc"] if spec is EDC else codec_class(spec)
    with pytest.raises(MessageError) as caught:
        codec.decode(raw_of(numbers, content))
    error = caught.value
    assert (error.path, error.offset, error.reason) == (path, offset, reason)
    assert error.response_code_hint == "30"


def _with_elements(spec: Spec, elements: dict[int, object]) -> Spec:
    from dataclasses import replace

    return replace(spec, elements=elements)  # type: ignore[arg-type]


HEADS: list[tuple[str, bytes, str, int, Reason]] = [
    ("nothing", b"", "mti", 0, Reason.TRUNCATED),
    ("half an MTI", b"\x02", "mti", 1, Reason.TRUNCATED),
    ("MTI with a letter", bytes.fromhex("0a00") + bytes(8), "mti", 0, Reason.BAD_MTI),
    ("half a bitmap", bytes.fromhex("0200300000"), "bitmap", 5, Reason.TRUNCATED),
    (
        "no second bitmap",
        bytes.fromhex("0200") + b"\x80" + bytes(7),
        "bitmap",
        10,
        Reason.TRUNCATED,
    ),
    ("empty second", bytes.fromhex("0200") + b"\x80" + bytes(15), "bitmap", 2, Reason.BAD_BITMAP),
    ("far too long", bytes.fromhex("0200") + bytes(20_000), "message", 16_384, Reason.TOO_LONG),
]


@twins
@pytest.mark.parametrize(("raw", "path", "offset", "reason"), [h[1:] for h in HEADS])
def test_decode_bad_head_is_refused(
    codec_class: type[PureCodec], raw: bytes, path: str, offset: int, reason: Reason
) -> None:
    with pytest.raises(MessageError) as caught:
        WARM[codec_class, "edc"].decode(raw)
    assert (caught.value.path, caught.value.offset, caught.value.reason) == (path, offset, reason)


@twins
def test_decode_text_instead_of_bytes_is_refused(codec_class: type[PureCodec]) -> None:
    with pytest.raises(MessageError, match="wrong type"):
        codec_class(EDC).decode("0800")  # type: ignore[arg-type]


@twins
@specs
def test_decode_cut_at_every_byte_is_refused(codec_class: type[PureCodec], spec: Spec) -> None:
    codec = WARM[codec_class, spec.name]
    messages = sample_messages(spec)
    for message in (messages[0], messages[-1]):
        raw = codec.encode(message)
        for size in range(0, len(raw), 1 if len(raw) < 300 else 9):
            with pytest.raises(MessageError) as caught:
                codec.decode(raw[:size])
            assert caught.value.reason in (Reason.TRUNCATED, Reason.BAD_BITMAP)


@twins
@specs
def test_decode_a_byte_too_many_is_left_over(codec_class: type[PureCodec], spec: Spec) -> None:
    codec = WARM[codec_class, spec.name]
    for message in sample_messages(spec):
        raw = codec.encode(message)
        with pytest.raises(MessageError) as caught:
            codec.decode(raw + b"0")
        assert (caught.value.reason, caught.value.offset) == (Reason.LEFT_OVER, len(raw))


# (name, elements, path, reason)
NOT_ENCODABLE: list[tuple[str, dict[int, object], str, Reason]] = [
    ("an int", {11: 345}, "11", Reason.WRONG_TYPE),
    ("bytes for digits", {11: b"000345"}, "11", Reason.WRONG_TYPE),
    ("bytes for text", {41: b"12400017"}, "41", Reason.WRONG_TYPE),
    ("text for bytes", {52: "12345678"}, "52", Reason.WRONG_TYPE),
    ("too short", {11: "345"}, "11", Reason.TOO_SHORT),
    ("too long", {11: "0000345"}, "11", Reason.TOO_LONG),
    ("two wrong lengths that add up", {11: "00345", 12: "0091407"}, "11", Reason.TOO_SHORT),
    ("letters", {11: "00034X"}, "11", Reason.NOT_DIGITS),
    ("foreign digits", {11: "00034\u0663"}, "11", Reason.NOT_DIGITS),
    ("number too long", {2: "1" * 20}, "2", Reason.TOO_LONG),
    ("not ASCII", {41: "1240001\u00e9"}, "41", Reason.BAD_CHARACTER),
    ("control character", {44: "a\nb"}, "44", Reason.BAD_CHARACTER),
    ("unknown element", {200: "1"}, "200", Reason.UNKNOWN_ELEMENT),
    ("track with D", {35: "9360099912344821D3012"}, "35", Reason.BAD_TRACK),
    ("composite as text", {60: "x"}, "60", Reason.WRONG_TYPE),
    ("part as bytes", {60: {"batch": b"000012"}}, "60.batch", Reason.WRONG_TYPE),
    ("part by its tag", {60: {"01": b"\x00\x00\x12"}}, "60", Reason.BAD_TAG),
    ("part of a strange name", {60: {"bath": b"\x00"}}, "60", Reason.BAD_TAG),
    ("chip tag in small letters", {55: {"9f26": bytes(8)}}, "55", Reason.BAD_TAG),
    ("no chip tag", {55: {"9F": bytes(8)}}, "55", Reason.BAD_TAG),
    ("chip value too long", {55: {"9F26": bytes(9)}}, "55.9F26", Reason.TOO_LONG),
    ("chip data too long", {55: {"C1": bytes(300)}}, "55", Reason.TOO_LONG),
    ("chip data as text", {55: {"C1": "00"}}, "55", Reason.WRONG_TYPE),
    ("a group without list", {54: {"sign": "C"}}, "54", Reason.WRONG_TYPE),
    ("no group", {54: []}, "54", Reason.TOO_SHORT),
    ("a part missing", {90: {"mti": "0200"}}, "90.stan", Reason.MISSING),
    ("a part too many", {95: {"x": "1"}}, "95", Reason.UNKNOWN_ELEMENT),
]


@twins
@pytest.mark.parametrize(
    ("elements", "path", "reason"),
    [r[1:] for r in NOT_ENCODABLE],
    ids=[r[0] for r in NOT_ENCODABLE],
)
def test_encode_value_that_does_not_fit_is_refused(
    codec_class: type[PureCodec], elements: dict[int, Value], path: str, reason: Reason
) -> None:
    codec = WARM[codec_class, "edc"]
    known = {n: EDC.elements[n].example for n in elements if n in EDC.elements}
    codec.encode(Message("0200", known))  # type: ignore[arg-type]  # so that a plan is there
    with pytest.raises(MessageError) as caught:
        codec.encode(Message("0200", elements))
    assert (caught.value.path, caught.value.reason) == (path, reason)
    assert caught.value.offset is None


@twins
def test_encode_buffer_whose_length_is_not_its_bytes_is_refused(
    codec_class: type[PureCodec],
) -> None:
    codec = codec_class(EDC)
    for _ in range(3):  # until plan and layout are remembered
        codec.encode(Message("0200", {55: {"82": b"ab"}}))
    wide = memoryview(bytes(8)).cast("I")
    assert len(wide) == 2
    with pytest.raises(MessageError) as caught:
        codec.encode(Message("0200", {55: {"82": wide}}))  # type: ignore[dict-item]
    assert (caught.value.path, caught.value.reason) == ("55.82", Reason.TOO_LONG)


# (name, element, content with its prefix, path, reason): kinds that `edc` does not use.
REFUSED_KINDS: list[tuple[str, int, str, str, Reason]] = [
    ("bitmapped, bytes behind", 22, "07800030303031ff", "22", Reason.LEFT_OVER),
    ("bitmapped, unknown bit", 22, "024000", "22.2", Reason.UNKNOWN_ELEMENT),
    ("bitmapped, bitmap cut", 22, "0180", "22", Reason.TRUNCATED),
    ("data set, header cut", 23, "00020100", "23.01", Reason.TRUNCATED),
    ("data set, content cut", 23, "000401000300", "23.01", Reason.TRUNCATED),
    ("data set twice", 23, "0006010000010000", "23.chip", Reason.DUPLICATE_TAG),
    ("nested tag cut", 23, "0006010003e10181", "23.chip.deep.81", Reason.TRUNCATED),
    ("length before tag, too small", 21, "303035303031434f", "21.CO", Reason.BAD_COUNT),
    ("length before tag, no tag", 21, "303035303032c3a9", "21", Reason.BAD_TAG),
    ("loose digits, bad nibble", 21, "3030373030344e311a2f", "21.count", Reason.BAD_NIBBLE),
    ("prefix smaller than itself", 7, "0001", "7", Reason.BAD_PREFIX),
    ("hex in small letters", 8, "30343061", "8", Reason.TRUNCATED),
    ("hex of odd length", 8, "3033414243", "8", Reason.BAD_COUNT),
    ("hex digit", 8, "30344142434b", "8", Reason.BAD_CHARACTER),
    ("EBCDIC hex digit", 9, "c4c5c1c4c2c5c587", "9", Reason.BAD_CHARACTER),
    ("EBCDIC letters as digits", 2, "f0f2f1c1", "2", Reason.NOT_DIGITS),
    ("odd nibble count of text", 10, "0541424344", "10", Reason.BAD_COUNT),
    ("sign", 14, "583030303030313530", "14", Reason.BAD_CHARACTER),
    ("sign inside", 14, "443043303030313530", "14", Reason.BAD_CHARACTER),
    ("left f missing", 6, "01234567", "6", Reason.BAD_PADDING),
    ("groups, too many", 24, "3030383141314231433144", "24", Reason.TOO_MANY),
    ("group, rest too long", 20, "31383031323141" + "41" * 13, "20.third", Reason.TOO_LONG),
    ("group, no rest", 20, "30353031323141", "20.third", Reason.TOO_SHORT),
]


@twins
@pytest.mark.parametrize(
    ("number", "content", "path", "reason"),
    [row[1:] for row in REFUSED_KINDS],
    ids=[row[0] for row in REFUSED_KINDS],
)
def test_decode_damage_in_rarer_kinds_is_refused(
    codec_class: type[PureCodec], number: int, content: str, path: str, reason: Reason
) -> None:
    codec = WARM[codec_class, "kinds"]
    good = codec.encode(Message("0200", {number: KINDS.elements[number].example}))  # type: ignore[dict-item]
    assert codec.decode(good).mti == "0200"
    with pytest.raises(MessageError) as caught:
        codec.decode(good[:12] + bytes.fromhex(content))
    assert (caught.value.path, caught.value.reason) == (path, reason)


@twins
@pytest.mark.parametrize("mti", ["", "020", "02000", "02x0", None, 200, "02\u06630"])
def test_encode_bad_mti_is_refused(codec_class: type[PureCodec], mti: str) -> None:
    codec = WARM[codec_class, "edc"]
    with pytest.raises(MessageError) as caught:
        codec.encode(Message(mti, {11: "000345"}))
    assert caught.value.reason is Reason.BAD_MTI


@twins
def test_error_text_never_holds_content(codec_class: type[PureCodec]) -> None:
    codec = WARM[codec_class, "edc"]
    secret = "9360099912344821"
    raw = bytearray(codec.encode(Message("0200", {2: secret, 35: secret + "=30122200000000000"})))
    texts = []
    for place in range(10, len(raw)):
        for value in (0x0A, 0xFF, 0x99):
            damaged = bytearray(raw)
            damaged[place] = value
            try:
                codec.decode(bytes(damaged))
            except MessageError as error:
                texts += [str(error), repr(error), error.internal, str(error.args)]
    assert texts
    assert not any(secret[4:12] in text for text in texts)
