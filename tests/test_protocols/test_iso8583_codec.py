"""The codec: values and bytes written by hand, round trips, MAC, partial reading, both twins."""

from typing import NoReturn

import pytest

from protocols.iso8583 import Message, MessageError, PureCodec, Reason, Spec
from tests.test_protocols.iso8583_samples import (
    BANK,
    ECHO_EDC,
    EDC,
    WARM,
    sample_messages,
    specs,
    twins,
)


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

    slow = native.Slow(no_help, no_help, no_help, no_help)
    core = native.core_class(spec, Message, native.tables(), slow)
    for message in sample_messages(spec):
        raw = WARM[PureCodec, spec.name].encode(message)
        lazy = core.decode_lazy(raw)
        assert {number: lazy[number] for number in lazy} == message.elements
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
