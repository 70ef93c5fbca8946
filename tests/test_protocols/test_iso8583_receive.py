"""Reception in one call: message, sender's keys, MAC; one by one and in batches, in both twins."""

from collections.abc import Iterator

import pytest

from protocols.crypto import engine
from protocols.crypto.mac import RetailMac
from protocols.iso8583 import Codec, Message, MessageError, Proof, PureCodec, parse_spec
from protocols.iso8583.codec import CODECS
from protocols.values import SecretBytes
from tests.test_protocols.iso8583_samples import WARM, twins

KEYS = [bytes(range(at, at + 16)) for at in (1, 33, 65)]
MESSAGE = Message("0200", {3: "009800", 4: "000002500000", 11: "000345", 41: "12400017"})
LONG = MESSAGE.replace({70: "301"})


@pytest.fixture(params=engine.engines(), ids=lambda one: one.NAME)
def keys(request: pytest.FixtureRequest) -> Iterator[dict[str, list[RetailMac]]]:
    """Give the keys of two terminals, their contexts of either engine."""
    before = engine.current.engine
    engine.current.engine = request.param
    made = [RetailMac(SecretBytes(key)) for key in KEYS]
    yield {"12400017": made[:2], "12400018": made[2:]}
    engine.current.engine = before


@twins
@pytest.mark.parametrize("message", [MESSAGE, LONG], ids=["64", "128"])
def test_receive_names_the_key_that_made_the_mac(
    codec_class: type[PureCodec], keys: dict[str, list[RetailMac]], message: Message
) -> None:
    codec = WARM[codec_class, "edc"]
    for index, key in enumerate(keys["12400017"]):
        raw = codec.encode_signed(message, key)
        assert raw == codec.encode_with_mac(message, key.mac)
        got = codec.receive(raw, keys)
        assert (got.proof, got.key_index, got.fault) == (Proof.PROVED, index, None)
        assert got.message == codec.decode(raw)
        assert got.message.spec is codec.spec


@twins
def test_receive_does_not_believe_what_is_not_proved(
    codec_class: type[PureCodec], keys: dict[str, list[RetailMac]]
) -> None:
    codec = WARM[codec_class, "edc"]
    raw = codec.encode_signed(MESSAGE, keys["12400018"][0])
    assert codec.receive(raw, keys)[1:] == (Proof.NOT_PROVED, None, None)
    own = codec.encode_signed(MESSAGE, keys["12400017"][0])
    amount = own.index(bytes.fromhex("000002500000"))
    forged = own[: amount + 2] + b"\x90" + own[amount + 3 :]
    assert codec.receive(forged, keys).proof is Proof.NOT_PROVED
    for bit in range(64):
        damaged = bytearray(own)
        damaged[-8 + bit // 8] ^= 1 << (bit % 8)
        assert codec.receive(bytes(damaged), keys).proof is Proof.NOT_PROVED
    assert codec.receive(codec.encode(MESSAGE), keys).proof is Proof.NO_MAC
    stranger = codec.encode_signed(MESSAGE.replace(de41="99999999"), keys["12400017"][0])
    assert codec.receive(stranger, keys).proof is Proof.UNKNOWN_SENDER
    nameless = codec.encode_signed(Message("0800", {11: "000001"}), keys["12400017"][0])
    assert codec.receive(nameless, keys).proof is Proof.UNKNOWN_SENDER
    assert codec.receive(own, {"12400017": []}).proof is Proof.NOT_PROVED


@twins
def test_receive_proves_a_message_that_the_spec_refuses(
    codec_class: type[PureCodec], keys: dict[str, list[RetailMac]]
) -> None:
    codec = WARM[codec_class, "edc"]
    key = keys["12400017"][0]
    covered = bytearray(codec.encode_signed(MESSAGE.replace(de44="X"), key)[:-8])
    covered[-1] = 0x07  # no printable character, in element 44
    got = codec.receive(bytes(covered) + key.mac(bytes(covered)), keys)
    assert got.proof is Proof.PROVED
    assert got.fault is not None
    assert got.fault.path == "44"
    assert got.message.text(41) == "12400017"
    with pytest.raises(MessageError):
        codec.receive(b"\x02\x00", keys)


@twins
def test_receive_batch_gives_what_receive_gives(
    codec_class: type[PureCodec], keys: dict[str, list[RetailMac]]
) -> None:
    codec = WARM[codec_class, "edc"]
    good = codec.encode_signed(MESSAGE, keys["12400017"][1])
    cut = good[:-1]
    raws = [good, codec.encode(MESSAGE), b"\x02", cut, good[:-8] + bytes(8), b""] * 5
    got = codec.receive_batch(raws, keys)
    assert len(got) == len(raws)
    assert [str(one) for one in got] == [received(codec, raw, keys) for raw in raws]
    assert sum(isinstance(one, MessageError) for one in got) == 10
    assert codec.receive_batch([], keys) == []


def received(codec: PureCodec, raw: bytes, keys: dict[str, list[RetailMac]]) -> str:
    """Give the text of what is received, or of the error."""
    try:
        return str(codec.receive(raw, keys))
    except MessageError as error:
        return str(error)


FORMS = """
[spec]
name = "macs"
title = "forms of the MAC"
version = "1"
source = "test"
mti = "ascii"
[elements.11]
name = "Trace"
kind = "digits"
len = 6
example = "000001"
source = "test"
[elements.41]
name = "Terminal"
kind = "text"
len = 8
example = "12400017"
source = "test"
[elements.64]
name = "MAC"
kind = "bytes"
encoding = "{encoding}"
len = 8
example = "A1B2C3D4E5F60718"
source = "test"
"""


@twins
@pytest.mark.parametrize(
    ("encoding", "page"), [("binary", ""), ("hex", "ascii"), ("ebcdic-hex", "cp500")]
)
def test_mac_of_every_encoding_is_made_split_and_proved(
    codec_class: type[PureCodec], keys: dict[str, list[RetailMac]], encoding: str, page: str
) -> None:
    codec = codec_class(parse_spec(FORMS.format(encoding=encoding), "macs.toml"))
    message = Message("0200", {11: "000001", 41: "12400017"})
    key = keys["12400017"][0]
    raw = codec.encode_signed(message, key)
    covered, mac = codec.split_mac(raw) or (b"", b"")
    assert mac == key.mac(covered)
    assert raw == covered + (mac.hex().upper().encode(page) if page else mac)
    assert codec.encode_with_mac(message, key.mac) == raw
    assert codec.receive(raw, keys).proof is Proof.PROVED
    assert codec.decode(raw)[64] == mac
    if page:
        assert codec.receive(raw[:-1] + b"?", keys).proof is not Proof.PROVED


@twins
def test_encode_signed_words_the_errors_of_encode_with_mac(
    codec_class: type[PureCodec], keys: dict[str, list[RetailMac]]
) -> None:
    codec = WARM[codec_class, "edc"]
    key = keys["12400017"][0]
    for elements in ({11: "abc"}, {11: 5}, {200: "x"}, {"a": "b"}, {2: "1" * 40}):
        message = Message("0200", elements)  # type: ignore[arg-type]
        with pytest.raises(MessageError) as by_parts:
            codec.encode_with_mac(message, key.mac)
        with pytest.raises(MessageError) as by_one:
            codec.encode_signed(message, key)
        assert str(by_one.value) == str(by_parts.value)
    padded = Message("0200", {11: "7", 41: "12400017"})
    pure = WARM[PureCodec, "edc"]
    assert str(signed(codec, padded, key)) == str(signed(pure, padded, key))


def signed(codec: PureCodec, message: Message, key: RetailMac) -> bytes | MessageError:
    """Give the bytes, or the error."""
    try:
        return codec.encode_signed(message, key)
    except MessageError as error:
        return error


def test_receive_of_both_twins_is_the_same_on_every_truncation(
    keys: dict[str, list[RetailMac]],
) -> None:
    raw = Codec(WARM[PureCodec, "edc"].spec).encode_signed(LONG, keys["12400017"][0])
    for size in range(len(raw) + 1):
        shown = {received(WARM[one, "edc"], raw[:size], keys) for one in CODECS}
        assert len(shown) == 1, size
