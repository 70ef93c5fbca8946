"""Lines of the standard input: all of them, in order, and no more in memory than have room."""

import asyncio
import sys
from collections.abc import Iterator

import pytest

from lumbung.typed_lines import _AHEAD_MAX, typed_lines

LINES = 500


async def test_lines_come_in_order_and_no_more_are_read_ahead_than_have_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = 0

    def source() -> Iterator[str]:
        nonlocal read
        for number in range(LINES):
            read += 1
            yield f" {number}\n"

    monkeypatch.setattr(sys, "stdin", source())
    lines = typed_lines()
    assert await anext(lines) == "0"
    # As long as a reader without a bound needs for all of them, and longer.
    for _ in range(20 * LINES):
        await asyncio.sleep(0)
    # The line that waits for room was read as well.
    assert read <= 1 + _AHEAD_MAX + 1
    assert [await anext(lines) for _ in range(1, LINES)] == [str(n) for n in range(1, LINES)]
