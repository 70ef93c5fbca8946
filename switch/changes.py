"""What a turn changes in the switch's own state: values that the state file makes durable.

The memory changes first, so that the next message of the same turn sees it (decision 10); the file
follows in one transaction before any answer that rests on the change leaves.
"""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class PinTryCharged:
    """A wrong PIN cost a try; the message that cost it is kept, so that its repeat costs none."""

    card_number: int
    transfer_id: int
    tries: int


@dataclass(frozen=True, slots=True)
class PinTriesCleared:
    """A right PIN, or the help desk, gave the tries back; `actor` is empty for a right PIN."""

    card_number: int
    actor: str


@dataclass(frozen=True, slots=True)
class KeySetIssued:
    """A terminal was given a new pair of session keys, as TR-31 blocks under its master key."""

    terminal_id: str
    number: int
    mac_block: str
    pin_block: str

    def __repr__(self) -> str:
        return f"KeySetIssued({self.terminal_id!r}, {self.number})"


@dataclass(frozen=True, slots=True)
class KeySetActivated:
    """A terminal used this set for the first time: every older one is void."""

    terminal_id: str
    number: int


@dataclass(frozen=True, slots=True)
class LoggedOn:
    """A terminal now serves this shop (R39); `number` is the log-on number that it was given."""

    terminal_id: str
    merchant_id: str
    operator: str
    number: int


@dataclass(frozen=True, slots=True)
class LoggedOff:
    """A terminal serves no shop."""

    terminal_id: str


@dataclass(frozen=True, slots=True)
class BusinessDateMoved:
    """The business date is now this day; no record up to `sequence` belongs to it."""

    day: date
    sequence: int


@dataclass(frozen=True, slots=True)
class AtcMarksKept:
    """The transaction counters (account, card tag, counter) that changed since the last keeping.

    With all that were kept before they cover every ledger record up to `sequence`, so that a start
    replays only what came after.
    """

    sequence: int
    marks: tuple[tuple[int, int, int], ...]


Change = (
    PinTryCharged
    | PinTriesCleared
    | KeySetIssued
    | KeySetActivated
    | LoggedOn
    | LoggedOff
    | BusinessDateMoved
    | AtcMarksKept
)


@dataclass(frozen=True, slots=True)
class StateSnapshot:
    """All that a state file holds.

    `pin_tries` lists the messages that cost a try, oldest first; `key_sets` the valid sets of each
    terminal, oldest first, the last one perhaps not used yet; `active_sets` the last used one.
    """

    pin_tries: dict[int, tuple[int, ...]]
    key_sets: dict[str, tuple[KeySetIssued, ...]]
    active_sets: dict[str, int]
    log_ons: dict[str, LoggedOn]
    business_date: BusinessDateMoved | None
    atc_marks: dict[tuple[int, int], int]
    marks_sequence: int
