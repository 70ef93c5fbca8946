"""What a turn changes in the switch's own state: values that the state file makes durable.

The memory changes first, so that the next message of the same turn sees it (decision 10); the file
follows in one transaction before any answer that rests on the change leaves.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple


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
    """The counter marks (account, card tag, mark) that changed since the last keeping.

    With all that were kept before they cover every ledger record up to `sequence`, so that a start
    replays only what came after. A mark is what `switch.marks` packs.
    """

    sequence: int
    marks: tuple[tuple[int, int, int], ...]


class BatchTotals(NamedTuple):
    """What a batch holds, gross: a voided sale counts, its void too; what was reversed does not.

    Amounts in sen. Source: protocols/specs/edc.toml, notes.
    """

    sales: int = 0
    sales_sen: int = 0
    voids: int = 0
    voids_sen: int = 0
    refunds: int = 0
    refunds_sen: int = 0


@dataclass(frozen=True, slots=True)
class BatchOpened:
    """A terminal begins a batch: its records stand behind `sequence`."""

    batch_id: int
    terminal_number: int
    number: int
    sequence: int
    day: date


@dataclass(frozen=True, slots=True)
class BatchesKept:
    """Running totals: (batch id, last record counted, totals)."""

    rows: tuple[tuple[int, int, BatchTotals], ...]


@dataclass(frozen=True, slots=True)
class BatchDisputed:
    """A terminal declared other totals (95): its records are uploaded."""

    batch_id: int
    declared: BatchTotals


@dataclass(frozen=True, slots=True)
class BatchUploaded:
    """One uploaded record: what the terminal claims of a message and what the ledger has of it."""

    batch_id: int
    transfer_id: int
    processing_code: str
    claimed_sen: int
    posted_sen: int


@dataclass(frozen=True, slots=True)
class BatchSetAside:
    """A batch that was never settled made room for another with the same tag."""

    batch_id: int
    counted: int
    totals: BatchTotals


@dataclass(frozen=True, slots=True)
class BatchClosed:
    """A batch is settled; `message_id` is the key of the settlement that closed it.

    `totals` are the switch's, `declared` the terminal's: after an upload they may differ.
    """

    batch_id: int
    terminal_number: int
    number: int
    message_id: int
    declared: BatchTotals
    totals: BatchTotals
    day: date
    sequence: int


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """A batch that is not closed, as the state file has it."""

    batch_id: int
    terminal_number: int
    number: int
    opened_sequence: int
    counted: int
    totals: BatchTotals
    is_disputed: bool
    uploads: int


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as the state file has it, in whatever state, for a reconciliation.

    `declared` is None until a settlement named totals; `closed_on` until one closed it.
    """

    batch_id: int
    terminal_number: int
    number: int
    state: str
    opened_sequence: int
    opened_on: date
    counted: int
    totals: BatchTotals
    declared: BatchTotals | None
    closed_sequence: int | None
    closed_on: date | None


@dataclass(frozen=True, slots=True)
class OutageCounted:
    """A voucher that is cleared uses the outage limits of its card and terminal on its day."""

    transfer_id: int
    account_id: int
    terminal_number: int
    day: date
    amount_sen: int


@dataclass(frozen=True, slots=True)
class OutageReleased:
    """A voucher that the ledger refused uses no limit."""

    transfer_id: int


@dataclass(frozen=True, slots=True)
class PinChanged:
    """A card's PIN reference since a change over the line.

    `base` is the registry's offset at that time: when the registry has another one, the office gave
    a new PIN since and the registry's counts. `transfer_id` is the message that changed it.
    """

    card_number: int
    offset: str
    base: str
    transfer_id: int

    def __repr__(self) -> str:
        return f"PinChanged({self.card_number})"


Change = (
    PinTryCharged
    | PinTriesCleared
    | KeySetIssued
    | KeySetActivated
    | LoggedOn
    | LoggedOff
    | BusinessDateMoved
    | AtcMarksKept
    | BatchOpened
    | BatchesKept
    | BatchDisputed
    | BatchUploaded
    | BatchSetAside
    | BatchClosed
    | OutageCounted
    | OutageReleased
    | PinChanged
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
    batches: tuple[KeptBatch, ...] = ()
    closed_batches: tuple[BatchClosed, ...] = ()
    last_batch_id: int = 0
    outage_sales: tuple[OutageCounted, ...] = ()
    pins: dict[int, PinChanged] = field(default_factory=dict)
