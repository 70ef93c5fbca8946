"""What goes into the host session and what comes out of it."""

from dataclasses import dataclass
from typing import NamedTuple

from protocols.values import Pan, SecretBytes, Track2
from terminal.journal.records import Record, ReversalCause, SaleItem
from terminal.journal.transactions import Transaction
from terminal.keystore import SessionKeys


class Instant(NamedTuple):
    """One moment on both clocks: UTC for messages, monotonic for deadlines, in nanoseconds."""

    utc_ns: int
    monotonic_ns: int


@dataclass(frozen=True, slots=True)
class HostProfile:
    """What the terminal tells of itself in every message, and how long it waits.

    `nii` is DE24 and names the host in the TPDU (its low four digits as destination).
    """

    terminal_id: str
    merchant_id: str
    nii: str
    timeout_ms: int
    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipRequest:
    """A request on a card: `amount_sen` is 0 where no money moves.

    `de55` are the kernel's data objects. `pin` are the digits as ASCII, a PinBlock of a PIN pad
    under the session's PIN key, or None; `new_pin` those of a PIN change. Of these only a voucher's
    `de55` is kept. `entry` is how the card was read (`CHIP`, `TAP`), `proxy` the registry number of
    who stands in for the holder (R25).
    """

    amount_sen: int
    pan: Pan
    track2: Track2
    psn: str
    de55: dict[str, bytes]
    pin: SecretBytes | None = None
    items: tuple[SaleItem, ...] = ()
    new_pin: SecretBytes | None = None
    entry: str = "CHIP"
    proxy: str = ""


@dataclass(frozen=True, slots=True)
class Persist:
    """Make these records durable now; only then go on to the next event."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class StoreKeys:
    """Keep this key set durably now; only then go on to the next event."""

    keys: SessionKeys


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """An authentic answer closed the request or, for a sale, approved it for the chip to decide.

    `issuer_data` are the chip objects of DE55 (91 and scripts), upper-case hex tag to value.
    """

    transaction: Transaction
    issuer_data: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Completed:
    """The approved transaction stands, durably: now a receipt may be printed."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class ReversalOwed:
    """The outcome was not certain; a reversal is queued durably.

    `claimed_code` is the DE39 of an answer that could not be trusted, or empty.
    """

    transaction: Transaction
    cause: ReversalCause
    claimed_code: str = ""


@dataclass(frozen=True, slots=True)
class ReversalClosed:
    """The host has answered the reversal; `undone` tells whether nothing is left to undo."""

    transaction: Transaction
    undone: bool


@dataclass(frozen=True, slots=True)
class ReversalStillOwed:
    """A transmission of the reversal brought no final answer; it stays queued."""

    transaction: Transaction
    claimed_code: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The host has given its final answer to a stored message."""

    transaction: Transaction


@dataclass(frozen=True, slots=True)
class StillQueued:
    """A transmission of a stored message brought no final answer; it stays queued."""

    transaction: Transaction
    claimed_code: str = ""


@dataclass(frozen=True, slots=True)
class NetworkAnswered:
    """A log-on or key change was answered with `response_code`."""

    network_code: str
    response_code: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """An inquiry, log-on or key change brought no answer that can be trusted; nothing is owed."""

    cause: ReversalCause
    claimed_code: str = ""


@dataclass(frozen=True, slots=True)
class Stray:
    """A message that belongs to no exchange in flight was looked past.

    `late_stan` names the transaction when it is the late answer to one that is being undone.
    """

    late_stan: int = 0
    approved: bool = False


Event = (
    Persist
    | StoreKeys
    | Transmit
    | Answered
    | Completed
    | ReversalOwed
    | ReversalClosed
    | ReversalStillOwed
    | Delivered
    | StillQueued
    | NetworkAnswered
    | NoAnswer
    | Stray
)
