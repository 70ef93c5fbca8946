"""Lines typed at a command that asks: read when they are wanted, without holding up the event loop.

What was typed ahead stays with the system until it is asked for; nothing reads in a thread, so that
Ctrl-C is heard at once and the program ends without waiting for a key.
"""

import asyncio
import contextlib
import os
import sys
import termios
from collections.abc import Iterator

#: Longest line that is taken; the rest of a longer one is thrown away.
LINE_MAX_BYTES = 1_024
_READ_BYTES = 4_096
#: No file descriptor.
_NONE = -1


class TypedInput:
    """Standard input, or another file descriptor, line by line."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Take where lines come from; nothing is read yet."""
        if descriptor is None:
            # A program may be started without any standard input at all.
            descriptor = sys.stdin.fileno() if sys.stdin is not None else _NONE
        self._descriptor = descriptor
        self._typed = b""
        self._is_over = descriptor == _NONE

    @property
    def is_terminal(self) -> bool:
        """Tell whether somebody types, and sees what is typed."""
        return self._descriptor != _NONE and os.isatty(self._descriptor)

    async def line(self, *, secret: bool = False) -> str | None:
        """Give the next line without its end, None when there is no more.

        A `secret` one is not shown while it is typed at a terminal.
        """
        with self._hidden() if secret and self.is_terminal else contextlib.nullcontext():
            while b"\n" not in self._typed and not self._is_over:
                await self._read()
        if not self._typed and self._is_over:
            return None
        line, _, self._typed = self._typed.partition(b"\n")
        return line[:LINE_MAX_BYTES].decode("utf-8", "replace").rstrip("\r")

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        there: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_reader(self._descriptor, _give, there)
        except PermissionError:
            pass  # A regular file: it never lets anybody wait.
        else:
            try:
                await there
            finally:
                loop.remove_reader(self._descriptor)
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except OSError:
            data = b""  # The terminal was closed, as a lost ssh connection closes it.
        self._is_over = not data
        room = _READ_BYTES - len(self._typed)
        # Of an endless line only its beginning is kept, and its end.
        self._typed += data if b"\n" in data or room > len(data) else data[: max(0, room)]

    @contextlib.contextmanager
    def _hidden(self) -> Iterator[None]:
        shown = termios.tcgetattr(self._descriptor)
        hidden = [*shown]
        hidden[3] &= ~termios.ECHO
        hidden[3] |= termios.ECHONL
        termios.tcsetattr(self._descriptor, termios.TCSANOW, hidden)
        try:
            yield
        finally:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, shown)


def _give(there: asyncio.Future[None]) -> None:
    if not there.done():
        there.set_result(None)
