"""The `Ledger` port: the one contract that every engine keeps and every caller uses.

Frozen in the foundation (design decision 2). Inputs and outputs are TigerBeetle's 128-byte records
and u32 statuses, so that the embedded engines (native, pure Python) and later a TigerBeetle cluster
or PostgreSQL are interchangeable.

Guarantees, of every engine:

1. An answer is given only after its batch is durable; there is no other kind of answer.
2. Events of a batch run one by one in order; later ones see earlier ones. Each succeeds or fails
   singly, except within a linked chain.
3. A transfer's id is its idempotency key, for ever.
4. Reads see the durable state only.
5. Overload answers `LedgerBusyError` at once; a deadline is honoured only before submission;
   after a failed write or sync everything raises `LedgerPoisonedError` until reopened.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ledger.structures import Account, CreateAccountResult, CreateTransferResult, Transfer

#: Takes how many records are read, and how many there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One transfer as it stands in the log: what was posted, where, and what it left behind.

    `sequence` counts records from 1 without gaps. The balances are posted credits minus posted
    debits of each side right after this record. `status` is CREATED, or the transient refusal that
    burnt the id (then no money moved).
    """

    sequence: int
    transfer: Transfer
    status: int
    debit_balance_after: int
    credit_balance_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFilter:
    """Which entries of an account to give. Times are nanoseconds UTC, both ends included.

    `cursor` is the sequence of the last entry of the previous page (0 starts). `limit` is at most
    `ledger.limits.STATEMENT_ROWS_MAX`. `code` 0 means any.
    """

    account_id: int
    debits: bool = True
    credits: bool = True
    code: int = 0
    timestamp_min: int = 0
    timestamp_max: int = (1 << 63) - 1
    reverse: bool = False
    cursor: int = 0
    limit: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """What a verification found; a failed one raises `LedgerCorruptError` instead.

    `sum_minor` is the sum over all accounts of credits minus debits and is 0 in every sound ledger.
    """

    records: int
    frames: int
    accounts: int
    transfers: int
    refusals: int
    sum_minor: int
    root_hash: bytes
    chain_head: bytes
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """What a backup holds: every record up to `last_sequence`, in files linked or copied."""

    last_sequence: int
    root_hash: bytes
    files_linked: int
    files_copied: int
    bytes_copied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubReport:
    """What a scrub found sound; a failed one raises `LedgerCorruptError` instead.

    `next_segment` is where to go on, 0 when the end of the log was reached.
    """

    segments: int
    records: int
    frames: int
    bytes_read: int
    next_segment: int
    seconds: float


class Ledger(Protocol):
    """An open ledger. Thread-safe; one writer per directory."""

    @property
    def engine(self) -> str:
        """Give which engine answers: `native` or `pure`."""

    @property
    def last_sequence(self) -> int:
        """Give the sequence of the last durable record, 0 when empty."""

    def create_accounts(self, accounts: Sequence[Account]) -> list[CreateAccountResult]:
        """Create accounts in one durable batch; one result per event, in order."""

    def create_transfers(
        self, transfers: Sequence[Transfer], *, deadline_ns: int | None = None
    ) -> list[CreateTransferResult]:
        """Post transfers in one durable batch; one result per event, in order.

        `deadline_ns` is on the monotonic clock given at opening; it is honoured before submission.
        """

    def create_transfers_packed(self, batch: bytes | memoryview) -> bytes:
        """Post `len/128` packed transfers; give 16 bytes (timestamp, status) for each."""

    async def post(self, transfer: Transfer) -> CreateTransferResult:
        """Post one transfer as part of the commit group that is forming; await its durability."""

    async def post_many(self, transfers: Sequence[Transfer]) -> list[CreateTransferResult]:
        """Post several, adjacent and in order, in one commit group; await their durability."""

    def lookup_accounts(self, ids: Sequence[int]) -> list[Account | None]:
        """Give accounts with their balances now, None for an unknown id, in the order asked."""

    def lookup_transfers(self, ids: Sequence[int]) -> list[Transfer | None]:
        """Give posted transfers by id, None for unknown or refused ids, in the order asked."""

    def lookup_entries(self, ids: Sequence[int]) -> list[Entry | None]:
        """Give log entries by transfer id, refusals included, None where the id is unused."""

    def accounts(self) -> Iterator[Account]:
        """Yield every account in the order of creation."""

    def statement(self, wanted: StatementFilter) -> list[Entry]:
        """Give the entries of one account, oldest first unless reversed."""

    def balance_at(
        self, account_id: int, *, sequence: int | None = None, timestamp: int | None = None
    ) -> int | None:
        """Give posted credits minus debits as of a record or an instant; None if not yet born."""

    def entries(self, after_sequence: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """Yield transfer entries (refusals included) in order, from the record after the given."""

    def verify(self, progress: Progress | None = None) -> VerifyReport:
        """Replay from genesis: checksums, chain, Merkle root, balances, sealed index, snapshots.

        `progress` is told after each segment; what it raises ends the verification.
        Raise `LedgerCorruptError` with file and offset when one is wrong.
        """

    def scrub(self, *, first_segment: int = 1, segments: int | None = None) -> ScrubReport:
        """Read so many segments from disk again: checksums and hash chain, no replay.

        Runs beside the writer. Raise `LedgerCorruptError` with file and offset.
        """

    def backup(self, destination: Path) -> BackupReport:
        """Make a ledger in an empty or new directory that holds all that is durable now.

        Runs beside the writer: sealed files are linked where the file system allows, else copied.
        """

    @property
    def housekeeping_error(self) -> str:
        """Give what kept a segment from being prepared or sealed, or a snapshot; "" for nothing.

        No acknowledged record depends on it; it is tried again.
        """

    def checkpoint(self) -> dict[str, Any]:
        """Give {"sequence", "root_hash", "chain_head"} of the durable state, hashes as hex."""

    def close(self) -> None:
        """Finish what is submitted, sync, release the lock. Idempotent."""
