"""Masked bytes: nothing sensitive is left, lengths stay, both twins the same, damage hides more."""

import random

import pytest

from protocols.iso8583 import Message, MessageError, PureCodec, Spec
from protocols.iso8583.codec import CODECS
from tests.test_protocols.iso8583_samples import WARM, sample_messages, specs, twins

PAN, TRACK = "9360099912344821", "9360099912344821=301222000000000"
SECRETS = [PAN[:12], "30122200000000"]
CHIP = {"5A": bytes.fromhex(PAN), "57": bytes.fromhex("9360099912344821D30122200000000000"),
        "9F26": bytes(range(1, 9)), "DF01": b"\x93\x60"}  # fmt: skip
SALE = Message(
    "0200",
    {2: PAN, 3: "009800", 4: "000014150000", 11: "000345", 14: "3012", 35: TRACK,
     41: "12400017", 52: bytes.fromhex("DB7C2A3918F05E64"), 55: CHIP},
)  # fmt: skip


@twins
@pytest.mark.parametrize("name", ["edc", "bank"])
def test_masked_sale_shows_the_sale_and_no_card(codec_class: type[PureCodec], name: str) -> None:
    codec = WARM[codec_class, name]
    raw = codec.encode(SALE)
    masked = codec.mask(raw)
    assert len(masked) == len(raw)
    for secret in SECRETS:
        assert secret.encode() not in masked
        assert secret not in masked.hex()
    shown = codec.decode(masked)
    assert [shown[n] for n in (3, 4, 11, 41)] == [SALE[n] for n in (3, 4, 11, 41)]
    assert shown[2] == "0000000000004821"
    assert shown[35] == "0000000000000000=000000000000000"
    assert shown[52] == bytes(8)
    assert shown[55] == {"5A": bytes(8), "57": bytes(17), "9F26": CHIP["9F26"], "DF01": bytes(2)}
    assert codec.mask(masked) == masked


@twins
@specs
def test_masked_bytes_of_every_sample_are_the_pure_twins(
    codec_class: type[PureCodec], spec: Spec
) -> None:
    codec, pure = WARM[codec_class, spec.name], WARM[PureCodec, spec.name]
    for message in sample_messages(spec):
        raw = codec.encode(message)
        masked = codec.mask(raw)
        assert masked == pure.mask(raw)
        assert len(masked) == len(raw)
        lazy, original = codec.decode_lazy(masked), codec.decode_lazy(raw)
        assert list(lazy) == list(original)
        for number in lazy:
            element = spec.elements[number]
            if element.sensitive.value == "none" and not element.is_composite:
                assert lazy.wire(number) == original.wire(number)
            if element.sensitive.value in ("pin", "track", "wipe", "name"):
                assert len(set(lazy.wire(number))) <= len(set(original.wire(number)))


@twins
def test_masked_bytes_behind_a_fault_are_zero(codec_class: type[PureCodec]) -> None:
    codec = WARM[codec_class, "edc"]
    raw = codec.encode(SALE)
    for size in range(len(raw)):
        cut = codec.mask(raw[:size])
        assert len(cut) == size
        assert all(secret not in cut.hex() for secret in SECRETS)
    place = codec.decode_lazy(raw).wire(4)
    at = raw.index(place)
    damaged = raw[:at] + b"\xaa" + raw[at + 1 :]
    masked = codec.mask(damaged)
    assert masked[at:] == bytes(len(raw) - at)
    assert masked[:4] == raw[:4]
    assert codec.mask(bytes(20_000)) == bytes(20_000)
    with pytest.raises(MessageError):
        codec.mask("0200")  # type: ignore[arg-type]


@pytest.mark.slow
@specs
def test_masked_bytes_of_damaged_messages_are_the_same_in_both_twins(spec: Spec) -> None:
    chance = random.Random(20260105)
    codecs = [WARM[codec_class, spec.name] for codec_class in CODECS]
    raws = [codecs[0].encode(message) for message in sample_messages(spec)]
    raws = [raw for raw in raws if len(raw) < 700] or raws
    for _ in range(300):
        raw = bytearray(chance.choice(raws))
        for _ in range(chance.choice((1, 1, 3))):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        masked = {codec.mask(bytes(raw)) for codec in codecs}
        assert len(masked) == 1, raw.hex()
