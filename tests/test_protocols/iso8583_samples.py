"""Specs, messages and warmed codecs that the codec tests share."""

from pathlib import Path

import pytest

from protocols.iso8583 import Message, PureCodec, Spec, load_spec, parse_spec
from protocols.iso8583.codec import CODECS

KINDS = parse_spec(Path(__file__).with_name("iso8583_kinds.toml").read_text("utf-8"), "kinds")
EDC, BANK, ISO87 = load_spec("edc"), load_spec("bank"), load_spec("iso87")
SPECS = (EDC, BANK, ISO87, KINDS, load_spec("iso93"), load_spec("iso03"))

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
