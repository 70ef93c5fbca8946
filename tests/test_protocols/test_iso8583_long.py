"""Messages about the sizes at which the native writer takes another room, in both twins."""

import pytest

from protocols.iso8583 import CODECS, Message, MessageError, parse_spec
from protocols.iso8583.limits import MESSAGE_BYTES_MAX

#: One long element that may reach beyond every limit; its prefix has four digits.
SPEC = parse_spec(
    """
[spec]
name = "long"
extends = "iso87"
title = "long elements"
version = "1"
source = "test"
[elements.120]
kind = "bytes"
max = 9999
prefix = 4
name = "long"
source = "test"
example = "00"
[elements.121]
kind = "bytes"
max = 9999
prefix = 4
name = "long"
source = "test"
example = "00"
""",
    "long.toml",
)
HEAD = 4 + 16 + 8


@pytest.mark.parametrize("size", [0, 1, 7, 8, 15, 16, 17, 700, *range(730, 745), 1_023, 4_096])
def test_message_about_the_room_on_the_stack_is_written_by_both_twins(size: int) -> None:
    content = bytes(byte % 251 for byte in range(size))
    message = Message("0800", {120: content, 121: b"end"})
    written = {codec(SPEC).encode(message) for codec in CODECS}
    assert len(written) == 1
    raw = written.pop()
    assert len(raw) == HEAD + size + len(b"end")
    assert all(codec(SPEC).decode(raw) == message for codec in CODECS)


def test_message_of_the_limit_is_written_and_one_byte_more_is_refused() -> None:
    first = bytes(9_000)
    rest = MESSAGE_BYTES_MAX - HEAD - len(first)
    for codec in (codec_class(SPEC) for codec_class in CODECS):
        for _ in range(2):  # the second time by a compiled plan
            assert len(codec.encode(Message("0800", {120: first, 121: bytes(rest)}))) == 16_384
            with pytest.raises(MessageError):
                codec.encode(Message("0800", {120: first, 121: bytes(rest + 1)}))
