"""What went over the contacts, masked, with the faults that struck."""

from collections import deque
from dataclasses import dataclass

from cardsim import limits
from protocols.emv.trace import masked_command, masked_response

POWER, NO_ANSWER = "power", "no answer"


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """One exchange: its number from 1, masked texts, and the fault that struck ("" for none).

    `command` is "power" for power or reset; `response` is the answer to reset then.
    """

    number: int
    command: str
    response: str
    fault: str = ""


class Trace:
    """The last exchanges of a card; older ones are dropped and counted."""

    __slots__ = ("_entries", "_number", "dropped")

    def __init__(self, capacity: int = limits.TRACE_EXCHANGES) -> None:
        """Keep up to `capacity` exchanges."""
        self._entries: deque[TraceEntry] = deque(maxlen=capacity)
        self._number = 0
        self.dropped = 0

    def note(self, command: bytes, response: bytes | None, fault: str = "") -> None:
        """Add an exchange; `response` None stands for none. Content is masked here."""
        text = NO_ANSWER if response is None else masked_response(response, command)
        self._add(masked_command(command), text, fault)

    def note_power(self, atr: bytes | None, fault: str = "") -> None:
        """Add power or reset; `atr` None stands for none."""
        self._add(POWER, NO_ANSWER if atr is None else atr.hex().upper() or NO_ANSWER, fault)

    def _add(self, command: str, response: str, fault: str) -> None:
        self._number += 1
        if len(self._entries) == self._entries.maxlen:
            self.dropped += 1
        self._entries.append(TraceEntry(self._number, command, response, fault))

    @property
    def entries(self) -> tuple[TraceEntry, ...]:
        """Give the entries, oldest first."""
        return tuple(self._entries)

    def text(self) -> str:
        """Give the trace as lines for people."""
        return "\n".join(
            f"{entry.number:5d} > {entry.command}\n      < {entry.response}"
            + (f"  ! {entry.fault}" if entry.fault else "")
            for entry in self._entries
        )
