"""Non-volatile memory: every write goes through one ordered writer, so a tear can fall between.

Rules that all commands keep: the transaction counter is written before anything that uses it; a
PIN try is spent before the PIN is compared; the mark of an unfinished online transaction is set
before the ARQC leaves and cleared last.
"""

from collections.abc import Callable
from typing import Any

#: Called after each write with the field's name, before the command goes on.
OnWrite = Callable[[str], None]


class PowerLost(Exception):  # noqa: N818 - an event at the contacts, not a fault of ours
    """The card lost power at a write: what was written stays, the rest never happened."""


class OrderedWriter:
    """The only way to change a card's non-volatile state.

    `on_write` makes the new state durable before the command goes on. `tear_after(n)` cuts power
    right after the n-th further write (0: before the next one).
    """

    __slots__ = ("_left", "count", "on_write")

    def __init__(self, on_write: OnWrite | None = None) -> None:
        """Keep the callback; no tear is planned."""
        self.on_write = on_write
        self.count = 0
        self._left: int | None = None

    def tear_after(self, writes: int | None) -> None:
        """Plan a power cut after so many further writes; None takes the plan back."""
        assert writes is None or writes >= 0
        self._left = writes

    def write(self, state: Any, field: str, value: object) -> None:
        """Write one field of a state; raise PowerLost when the planned cut falls here."""
        if self._left == 0:
            self._left = None
            raise PowerLost
        setattr(state, field, value)
        self.count += 1
        if self.on_write is not None:
            self.on_write(field)
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                self._left = None
                raise PowerLost
