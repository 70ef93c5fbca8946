"""The codec under damage: any bytes, any values, only our error, both twins the same."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.iso8583 import Message, MessageError, PureCodec, Spec
from protocols.iso8583.codec import CODECS
from protocols.iso8583.message import Value
from protocols.iso8583.pack import pack_message
from protocols.iso8583.walk import Walk
from tests.test_protocols.iso8583_samples import (
    BANK,
    EDC,
    KINDS,
    SPECS,
    WARM,
    sample_messages,
    specs,
    twins,
)


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
    damage_and_compare(WARM[codec_class, spec.name], seed=seed, rounds=2_000)


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
