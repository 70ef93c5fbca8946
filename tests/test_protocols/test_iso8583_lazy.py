"""Lazy messages and partial reads: what `decode` gives, element by element, in both twins."""

import random

import pytest

from protocols.iso8583 import Message, MessageError, PureCodec, Spec
from protocols.iso8583.codec import CODECS
from protocols.iso8583.lazy import PureLazyMessage
from tests.test_protocols.iso8583_samples import EDC, WARM, sample_messages, specs, twins

SEED = 20260105


def outcome(codec: PureCodec, raw: bytes) -> object:
    """Give everything that a lazy reading shows: parts and errors, element by element."""
    try:
        lazy = codec.decode_lazy(raw)
    except MessageError as error:
        return _error(error)
    parts: dict[int, object] = {}
    for number in lazy:
        try:
            parts[number] = (lazy[number], lazy.wire(number))
        except MessageError as error:
            parts[number] = _error(error)
    return lazy.mti, list(lazy), len(lazy), parts


def _error(error: MessageError) -> tuple[object, ...]:
    return (error.path, error.offset, error.reason, error.detail)


@twins
@specs
def test_lazy_message_gives_what_decode_gives(codec_class: type[PureCodec], spec: Spec) -> None:
    codec = WARM[codec_class, spec.name]
    for message in sample_messages(spec):
        raw = codec.encode(message)
        lazy = codec.decode_lazy(raw)
        assert (lazy.raw, lazy.mti, lazy.spec) == (raw, message.mti, spec)
        assert {number: lazy[number] for number in lazy} == message.elements
        assert lazy.message() == message
        numbers = sorted(message.elements)
        first = raw.index(lazy.wire(numbers[0]))
        assert raw[first:] == b"".join(lazy.wire(number) for number in numbers)
        for number in range(200):
            assert (number in lazy) == (number in message.elements)
            assert lazy.get(number, "none") == message.get(number, "none")


@twins
def test_lazy_message_without_an_element_raises_missing(codec_class: type[PureCodec]) -> None:
    codec = WARM[codec_class, "edc"]
    lazy = codec.decode_lazy(codec.encode(Message("0800", {11: "000001", 70: "301"})))
    for number in (1, 2, 65, 128, 129, 192, 193, -1, 1_000_000):
        with pytest.raises(MessageError) as caught:
            lazy[number]
        assert (caught.value.path, caught.value.reason.name) == (str(number), "MISSING")
        with pytest.raises(MessageError):
            lazy.wire(number)
    assert repr(lazy) == "<LazyMessage 0800 11 70>"


@twins
def test_lazy_message_finds_the_element_that_decode_refuses(codec_class: type[PureCodec]) -> None:
    codec = WARM[codec_class, "edc"]
    raw = bytearray(codec.encode(Message("0800", {7: "0105011407", 11: "000001", 70: "301"})))
    raw[18] = 0xAA  # inside element 7
    lazy = codec.decode_lazy(bytes(raw))
    assert lazy[11] == "000001"
    with pytest.raises(MessageError) as by_decode:
        codec.decode(bytes(raw))
    for read in (lambda: lazy[7], lazy.message):
        with pytest.raises(MessageError) as caught:
            read()
        assert _error(caught.value) == _error(by_decode.value)


@pytest.mark.slow
@specs
def test_lazy_reading_of_damaged_messages_is_the_same_in_both_twins(spec: Spec) -> None:
    chance = random.Random(SEED)
    codecs = [WARM[codec_class, spec.name] for codec_class in CODECS]
    raws = [codecs[0].encode(message) for message in sample_messages(spec)]
    raws = [raw for raw in raws if len(raw) < 700] or raws
    for _ in range(400):
        raw = bytearray(chance.choice(raws))
        for _ in range(chance.choice((1, 1, 2, 5))):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        del raw[len(raw) - chance.choice((0, 0, 0, 1, 7)) :]
        damaged = bytes(raw)
        assert len({repr(outcome(codec, damaged)) for codec in codecs}) == 1, damaged.hex()
        expected = outcome_of_decode(codecs[0], damaged)
        if isinstance(expected, Message):
            found = outcome(codecs[-1], damaged)
            assert isinstance(found, tuple)
            assert list(found[1]) == sorted(expected.elements)


def outcome_of_decode(codec: PureCodec, raw: bytes) -> object:
    """Give the message or the error's parts."""
    try:
        return codec.decode(raw)
    except MessageError as error:
        return _error(error)


@twins
def test_lazy_message_of_every_truncation_raises_only_our_error(
    codec_class: type[PureCodec],
) -> None:
    codec = WARM[codec_class, "edc"]
    raw = codec.encode(sample_messages(EDC)[1])
    for size in range(len(raw)):
        with pytest.raises(MessageError):
            codec.decode_lazy(raw[:size])
        assert outcome(codec, raw[:size]) == outcome(WARM[PureCodec, "edc"], raw[:size])


@twins
@pytest.mark.parametrize("given", [None, 5, "0800", [1]])
def test_lazy_message_of_no_bytes_raises_only_our_error(
    codec_class: type[PureCodec], given: object
) -> None:
    with pytest.raises(MessageError):
        WARM[codec_class, "edc"].decode_lazy(given)  # type: ignore[arg-type]


@twins
def test_lazy_message_takes_a_bytearray(codec_class: type[PureCodec]) -> None:
    codec = WARM[codec_class, "edc"]
    raw = codec.encode(Message("0800", {11: "000001", 70: "301"}))
    assert codec.decode_lazy(bytearray(raw))[11] == "000001"  # type: ignore[arg-type]
    assert isinstance(WARM[PureCodec, "edc"].decode_lazy(raw), PureLazyMessage)


@twins
@specs
def test_peek_gives_the_wanted_elements_and_sees_no_damage_behind_them(
    codec_class: type[PureCodec], spec: Spec
) -> None:
    codec, pure = WARM[codec_class, spec.name], WARM[PureCodec, spec.name]
    for message in sample_messages(spec)[:6]:
        raw = codec.encode(message)
        numbers = sorted(message.elements)
        for wanted in ([], [numbers[0]], numbers[:3], [numbers[0], 190], numbers):
            kept = {number: message[number] for number in wanted if number in message}
            assert codec.peek(raw, wanted).elements == kept
            assert codec.peek(raw, iter(wanted)).elements == kept
            cut = raw[:-1]
            assert peeked(codec, cut, wanted) == peeked(pure, cut, wanted)


def peeked(codec: PureCodec, raw: bytes, wanted: list[int]) -> object:
    """Give the partial message or the error's parts."""
    try:
        return codec.peek(raw, wanted).elements
    except MessageError as error:
        return _error(error)


@twins
@specs
def test_lazy_message_with_a_byte_too_many_is_refused_like_decode(
    codec_class: type[PureCodec], spec: Spec
) -> None:
    codec = WARM[codec_class, spec.name]
    raw = codec.encode(sample_messages(spec)[-1]) + b"\x00"
    with pytest.raises(MessageError) as by_decode:
        codec.decode(raw)
    with pytest.raises(MessageError) as caught:
        codec.decode_lazy(raw)
    assert _error(caught.value) == _error(by_decode.value)
