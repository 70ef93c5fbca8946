"""A compiled plan and the native reader accept nothing that the walk or the packer refuses.

Every codec here has met the bitmap before, so that its quick way is the one that is tried.
"""

from collections.abc import Callable
from functools import partial

import pytest

from protocols.iso8583 import Message, MessageError, PureCodec, Spec, load_spec, parse_spec
from protocols.iso8583.message import Value
from protocols.iso8583.pack import pack_message
from protocols.iso8583.walk import Walk
from tests.test_protocols.iso8583_samples import twins

PACKED = parse_spec(
    """
[spec]
name = "packed"
extends = "iso87"
title = "packed"
version = "1"
source = "test"
mti = "bcd"
[defaults]
digits = { encoding = "bcd" }
track2 = { encoding = "bcd", odd = "right-f" }
prefix = { encoding = "bcd" }
""",
    "packed.toml",
)
ELEMENTS: dict[int, Value] = {
    2: "9360099912344821",
    3: "009800",
    4: "000014150000",
    11: "000345",
    22: "051",
    32: "12400",
    35: "9360099912344821=301222000000000",
    37: "600509000345",
    41: "12400017",
    43: "E-WARONG BERKAH SEMPAJA  SAMARINDA   IDN",
    49: "360",
    60: "000012",
}
#: Bytes that are no digit, no half-byte of one, no letter or nothing at all somewhere.
ODD_BYTES = bytes.fromhex("000a0f1f20292a2f3a3d40617fa0b2c3f0f9faff")
#: Characters that some check would let through: digits of other scripts, half-bytes, separators.
ODD_CHARACTERS = "aAfF-= \x00\x7f٣²é𝟑"
TRACKS = [
    "",
    "=",
    "=301",
    "1=",
    "1",
    "12345678901234567890=1",
    "1=2=3",
    "1=2x",
    "1f=2",
    "1d2",
    "٣=1",
]

specs = pytest.mark.parametrize("spec", [PACKED, load_spec("iso87")], ids=lambda spec: spec.name)


def outcome(job: Callable[[], object]) -> object:
    """Give what a job gives, or the words of its refusal."""
    try:
        return job()
    except MessageError as error:
        return str(error)


def read(codec: PureCodec, raw: bytes) -> object:
    message = codec.decode(raw)
    return message.mti, message.elements


def walked(spec: Spec, raw: bytes) -> object:
    return Walk(spec, raw).message()[:2]


@pytest.mark.slow
@twins
@specs
def test_changed_byte_is_read_as_the_walk_reads_it(
    spec: Spec, codec_class: type[PureCodec]
) -> None:
    codec = codec_class(spec)
    raw = codec.encode(Message("0200", ELEMENTS))
    assert read(codec, raw) == read(codec, raw) == ("0200", ELEMENTS)
    for at in range(len(raw)):
        for odd in ODD_BYTES:
            changed = raw[:at] + bytes((odd,)) + raw[at + 1 :]
            found = outcome(partial(read, codec, changed))
            assert found == outcome(partial(walked, spec, changed)), (at, odd)


@twins
@specs
def test_changed_value_is_written_as_the_packer_writes_it(
    spec: Spec, codec_class: type[PureCodec]
) -> None:
    codec = codec_class(spec)
    for _ in range(2):
        codec.encode(Message("0200", ELEMENTS))
    changes: list[tuple[int, str]] = [(35, track) for track in TRACKS]
    for number, value in ELEMENTS.items():
        assert isinstance(value, str)
        for at in (0, len(value) // 2, len(value) - 1):
            changes += [(number, value[:at] + odd + value[at + 1 :]) for odd in ODD_CHARACTERS]
        changes += [(number, value[:-1]), (number, value + "0"), (number, "")]
    for number, changed in changes:
        elements = {**ELEMENTS, number: changed}
        found = outcome(partial(codec.encode, Message("0200", elements)))
        assert found == outcome(partial(pack_message, spec, "0200", elements)), (number, changed)
