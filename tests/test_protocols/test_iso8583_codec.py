"""The strict codec: what it gives, what it refuses and where it says the fault is."""

import random
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.iso8583 import Message, MessageError, PureCodec, Reason, Spec, load_spec, parse_spec
from protocols.iso8583.codec import CODECS
from protocols.iso8583.message import Value
from protocols.iso8583.pack import pack_message
from protocols.iso8583.walk import Walk

KINDS = parse_spec(Path(__file__).with_name("iso8583_kinds.toml").read_text("utf-8"), "kinds")
EDC, BANK, ISO87 = load_spec("edc"), load_spec("bank"), load_spec("iso87")
SPECS = (EDC, BANK, ISO87, KINDS)

twins = pytest.mark.parametrize("codec_class", CODECS, ids=lambda one: one.__name__)
specs = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)


def full_message(spec: Spec) -> Message:
    """Give a message with every element of the spec at its example, as far as they fit."""
    skip = {65} if spec.bitmap_tertiary else set()
    elements = {n: e.example for n, e in spec.elements.items() if n not in skip}
    return Message("0200", elements)  # type: ignore[arg-type]


def sample_messages(spec: Spec) -> list[Message]:
    """Give one message per use, with and without its optional elements, and a full one."""
    out = [full_message(spec)]
    for use in spec.messages.values():
        for numbers in (use.mandatory, use.mandatory | use.optional):
            elements = {n: spec.elements[n].example for n in sorted(numbers)}
            out.append(Message(use.mti, elements))  # type: ignore[arg-type]
    return out


def warmed(codec_class: type[PureCodec], spec: Spec) -> PureCodec:
    """Give a codec that has a plan for every sample message."""
    codec = codec_class(spec)
    for message in sample_messages(spec):
        raw = codec.encode(message)
        assert codec.decode(raw) == codec.decode(raw) == message
        assert codec.encode(message) == raw
    return codec


WARM = {(c, s.name): warmed(c, s) for c in CODECS for s in SPECS}

ECHO_EDC = (
    "0800"  # MTI, packed
    "8220000000800000 0400000000000000"  # 7, 11, 41 and, in the second bitmap, 70
    "0105011407"  # 7
    "000001"  # 11
    "3132343030303137"  # 41 in ASCII
    "0301"  # 70: three digits in two bytes
).replace(" ", "")


@twins
def test_decode_edc_echo_written_by_hand_gives_its_values(codec_class: type[PureCodec]) -> None:
    codec = codec_class(EDC)
    expected = Message("0800", {7: "0105011407", 11: "000001", 41: "12400017", 70: "301"})
    for _ in range(2):
        assert codec.decode(bytes.fromhex(ECHO_EDC)) == expected
        assert codec.encode(expected).hex() == ECHO_EDC


@twins
def test_decode_edc_track_and_private_parts_written_by_hand(codec_class: type[PureCodec]) -> None:
    raw = bytes.fromhex(
        "0200"
        "0000000020000018"  # 35, 60, 61
        "33" + "9360099912344821d3012220000000000f"  # 33 digits and separator, F behind
        "0018" + "010003000012" + "020003000345" + "030003563432"
        "0012" + "010004" + "4f503031" + "0300020001"
    )
    expected = Message(
        "0200",
        {
            35: "9360099912344821=3012220000000000",
            60: {"batch": "000012", "invoice": "000345", "voucher": "V42"},
            61: {"operator": "OP01", "key_set": "0001"},
        },
    )
    codec = codec_class(EDC)
    for _ in range(3):
        assert codec.decode(raw) == expected
        assert codec.encode(expected) == raw


@twins
def test_decode_bank_sign_on_written_by_hand(codec_class: type[PureCodec]) -> None:
    raw = b"0800" + b"82200000000000000400000000000000" + b"0105011407" + b"000001" + b"001"
    expected = Message("0800", {7: "0105011407", 11: "000001", 70: "001"})
    codec = codec_class(BANK)
    for _ in range(2):
        assert codec.decode(raw) == expected
        assert codec.encode(expected) == raw


@twins
def test_decode_original_data_elements_are_packed_without_gaps(
    codec_class: type[PureCodec],
) -> None:
    original = "020000034501050114070000000012400000000000"
    raw = bytes.fromhex("040080000000000000000000004000000000" + original)
    expected = {
        "mti": "0200",
        "stan": "000345",
        "transmission_time": "0105011407",
        "acquirer": "00000000124",
        "forwarder": "00000000000",
    }
    codec = codec_class(EDC)
    assert codec.decode(raw).elements == {90: expected}
    assert codec.encode(Message("0400", {90: dict(expected)})) == raw


@twins
def test_decode_unknown_tags_survive(codec_class: type[PureCodec]) -> None:
    raw = bytes.fromhex("0200000000000000021000079f7a01aadf010000077f0004deadbeef")
    message = codec_class(EDC).decode(raw)
    assert message.elements == {55: {"9F7A": b"\xaa", "DF01": b""}, 60: {"7F": b"\xde\xad\xbe\xef"}}
    assert codec_class(EDC).encode(message) == raw


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
def test_decode_bytearray_and_memoryview_are_read(codec_class: type[PureCodec]) -> None:
    raw = bytes.fromhex(ECHO_EDC)
    codec = codec_class(EDC)
    assert codec.decode(bytearray(raw)) == codec.decode(memoryview(raw)) == codec.decode(raw)


@twins
@specs
def test_decode_of_every_sample_encodes_to_the_same_bytes(
    codec_class: type[PureCodec], spec: Spec
) -> None:
    codec = codec_class(spec)
    for message in sample_messages(spec):
        raw = codec.encode(message)
        for _ in range(2):
            decoded = codec.decode(raw)
            assert decoded == message
            assert codec.encode(decoded) == raw


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


def damage_and_compare(codec: PureCodec, seed: int, rounds: int) -> None:
    """Damage messages; the codec and the walk must agree in value or error, in every case."""
    chance = random.Random(seed)
    spec = codec.spec
    raws = [codec.encode(message) for message in sample_messages(spec)]
    raws = [raw for raw in raws if len(raw) < 700] or raws
    for round_number in range(rounds):
        raw = bytearray(chance.choice(raws))
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            place = chance.randrange(len(raw))
            what = chance.randrange(5)
            if what == 0:
                raw[place] ^= 1 << chance.randrange(8)
            elif what == 1:
                raw[place] = chance.choice(b"\x00\xff\x9f\x7f 09AZ\x80\x1f\x99")
            elif what == 2:
                del raw[place : place + chance.randrange(1, 4)]
            elif what == 3:
                raw[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(3)))
            elif place > 12:
                raw[place] = raw[place - 1]
            if not raw:
                raw = bytearray(b"\x02")
        same_as_walk(codec, bytes(raw), f"seed {seed} round {round_number}: {raw.hex()}")


def same_as_walk(codec: PureCodec, raw: bytes, label: str) -> None:
    """Check one decode against the walk, and its encoding against the bytes."""
    expected: object
    got: object
    try:
        mti, elements, _ = Walk(codec.spec, raw).message()
        expected = (mti, elements)
    except MessageError as error:
        expected = (error.path, error.offset, error.reason, error.detail)
    try:
        message = codec.decode(raw)
        got = (message.mti, message.elements)
        assert codec.encode(message) == raw, label
    except MessageError as error:
        got = (error.path, error.offset, error.reason, error.detail)
    assert got == expected, label


@twins
@specs
def test_decode_damaged_messages_raise_only_our_error(
    codec_class: type[PureCodec], spec: Spec
) -> None:
    damage_and_compare(WARM[codec_class, spec.name], seed=20260105, rounds=120)


@pytest.mark.slow
@twins
@specs
def test_decode_many_damaged_messages_raise_only_our_error(
    codec_class: type[PureCodec], spec: Spec
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    damage_and_compare(WARM[codec_class, spec.name], seed=seed, rounds=4_000)


@given(raw=st.binary(max_size=80), spec=st.sampled_from(SPECS), codec_class=st.sampled_from(CODECS))
def test_decode_any_bytes_raise_only_our_error(
    raw: bytes, spec: Spec, codec_class: type[PureCodec]
) -> None:
    same_as_walk(WARM[codec_class, spec.name], raw, raw.hex())


ANYTHING = st.recursive(
    st.none()
    | st.integers()
    | st.booleans()
    | st.text(max_size=12)
    | st.text("0123456789=D\u0663", max_size=20)
    | st.binary(max_size=12)
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("0123456789ABCDEFabc", max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    data=st.data(), spec=st.sampled_from((EDC, BANK, KINDS)), codec_class=st.sampled_from(CODECS)
)
def test_encode_any_value_raises_only_our_error_and_agrees_with_the_packer(
    data: st.DataObject, spec: Spec, codec_class: type[PureCodec]
) -> None:
    message = data.draw(st.sampled_from(sample_messages(spec)))
    number = data.draw(st.sampled_from(sorted(message.elements)))
    value: Value = data.draw(ANYTHING)
    elements = {**message.elements, number: value}
    expected: object
    got: object
    try:
        expected = pack_message(spec, message.mti, elements)
    except MessageError as error:
        expected = (error.path, error.offset, error.reason)
    try:
        got = WARM[codec_class, spec.name].encode(Message(message.mti, elements))
    except MessageError as error:
        got = (error.path, error.offset, error.reason)
    assert got == expected
    if isinstance(got, bytes):
        assert WARM[codec_class, spec.name].encode(codec_class(spec).decode(got)) == got


@twins
@given(
    amount=st.integers(0, 10**12 - 1),
    pan=st.text("0123456789", min_size=1, max_size=19),
    text=st.text([chr(code) for code in range(32, 127)], max_size=25),
    sizes=st.dictionaries(st.sampled_from(["C1", "DF01", "9F7A"]), st.binary(max_size=70)),
    months=st.lists(st.integers(0, 10**12 - 1), min_size=1, max_size=24),
)
def test_decode_of_encode_is_the_message(
    codec_class: type[PureCodec],
    amount: int,
    pan: str,
    text: str,
    sizes: dict[str, bytes],
    months: list[int],
) -> None:
    groups: list[dict[str, Value]] = [
        {"period": "202601", "amount": f"{one:012d}"} for one in months
    ]
    elements: dict[int, Value] = {2: pan, 4: f"{amount:012d}", 44: text, 63: {"months": groups}}
    elements[55] = dict(sizes)
    message = Message("0210", elements)
    codec = WARM[codec_class, "edc"]
    raw = codec.encode(message)
    assert codec.decode(raw) == message
    assert codec.encode(codec.decode(raw)) == raw


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
def test_encode_short_text_is_padded_as_the_spec_says(codec_class: type[PureCodec]) -> None:
    codec = WARM[codec_class, "edc"]
    assert codec.decode(codec.encode(Message("0200", {42: "EW17"}))).text(42) == "EW17           "


@twins
def test_encode_order_of_elements_in_the_dict_does_not_matter(codec_class: type[PureCodec]) -> None:
    codec = codec_class(EDC)
    one = Message("0200", {3: "009800", 11: "000345", 4: "000000000100"})
    two = Message("0200", dict(reversed(one.elements.items())))
    for _ in range(2):
        assert codec.encode(one) == codec.encode(two)


@twins
@pytest.mark.parametrize("spec", [EDC, BANK], ids=lambda spec: spec.name)
def test_encode_with_mac_covers_all_before_it_and_splits_again(
    codec_class: type[PureCodec], spec: Spec
) -> None:
    codec = codec_class(spec)
    seen: list[bytes] = []

    def mac(covered: bytes) -> bytes:
        seen.append(covered)
        return b"\xa1\xb2\xc3\xd4\xe5\xf6\x07\x18"

    short = Message("0200", {3: "009800", 11: "000345"})
    long = Message("0800", {11: "000345", 70: "301", 64: bytes(8)})
    for message, number in ((short, 64), (long, 128)):
        raw = codec.encode_with_mac(message, mac)
        assert codec.split_mac(raw) == (seen[-1], mac(b""))
        decoded = codec.decode(raw)
        assert decoded.data(number) == mac(b"")
        assert (64 in decoded) + (128 in decoded) == 1
        assert codec.encode(decoded) == raw


@twins
def test_encode_with_mac_of_wrong_size_is_refused(codec_class: type[PureCodec]) -> None:
    with pytest.raises(MessageError) as caught:
        codec_class(EDC).encode_with_mac(Message("0800", {11: "000001"}), lambda covered: b"1234")
    assert caught.value.path == "64"


@twins
def test_split_mac_of_a_message_without_mac_is_none(codec_class: type[PureCodec]) -> None:
    codec = codec_class(EDC)
    assert codec.split_mac(bytes.fromhex(ECHO_EDC)) is None
    middle = Message("0200", {64: bytes(8), 70: "301"})
    assert codec.split_mac(codec.encode(middle)) is None  # not the last element: no MAC at all


@twins
def test_split_mac_cut_message_is_refused(codec_class: type[PureCodec]) -> None:
    codec = codec_class(EDC)
    with pytest.raises(MessageError) as caught:
        codec.split_mac(bytes.fromhex("02000000000000000001a1b2"))
    assert (caught.value.path, caught.value.reason) == ("64", Reason.TRUNCATED)
    with pytest.raises(MessageError):
        codec.split_mac(b"\x02")


@twins
def test_peek_reads_only_as_far_as_it_must(codec_class: type[PureCodec]) -> None:
    codec = codec_class(EDC)
    message = Message("0200", {3: "009800", 11: "000345", 41: "12400017", 44: "P01"})
    raw = codec.encode(message)
    assert codec.peek(raw, (11, 39)).elements == {11: "000345"}
    assert codec.peek(raw).elements == {3: "009800", 11: "000345", 41: "12400017"}
    cut = raw[: raw.index(b"12400017") + 8]
    assert codec.peek(cut) == codec.peek(raw)
    with pytest.raises(MessageError):
        codec.peek(cut[:-1])


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


def test_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.iso8583.plan_decode.PLANS_MAX", 9)
    monkeypatch.setattr("protocols.iso8583.plan_encode.PLANS_MAX", 9)
    codec = PureCodec(EDC)
    for number in (3, 4, 7, 11, 12, 13, 22, 24, 25, 37, 39, 41, 42, 49):
        message = Message("0200", {number: EDC.elements[number].example})  # type: ignore[dict-item]
        assert codec.decode(codec.encode(message)) == message
    assert len(codec._decode_plans.by_bitmap) == 9
    assert len(codec._encode_plans.by_elements) == 9


@specs
def test_native_core_reads_and_writes_every_sample_without_help(spec: Spec) -> None:
    from protocols.iso8583 import native

    if native.core_class is None:
        pytest.skip("protocols._core is not built: python -m pip install -e . with Rust")

    def no_help(*args: object) -> NoReturn:
        raise AssertionError("the native core asked for help")

    core = native.core_class(spec, Message, native.tables(), no_help, no_help)
    for message in sample_messages(spec):
        raw = WARM[PureCodec, spec.name].encode(message)
        for _ in range(2):
            decoded = core.decode(raw)
            assert decoded == message
            assert decoded.spec is spec
            assert core.encode(decoded) == raw


@pytest.mark.parametrize("spec", [EDC, BANK], ids=lambda spec: spec.name)
def test_plans_read_and_write_every_sample_without_the_walk(
    spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = WARM[PureCodec, spec.name]
    messages = [(codec.encode(message), message) for message in sample_messages(spec)]
    monkeypatch.setattr("protocols.iso8583.plan_decode.Walk", None)
    monkeypatch.setattr("protocols.iso8583.plan_encode.pack_message", None)
    for raw, message in messages:
        assert codec.decode(raw) == message
        assert codec.encode(message) == raw
