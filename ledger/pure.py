"""The pure-Python engine: the reference that the native one is measured against, and its fallback.

It writes what docs/reference/ledger-format.md says, byte for byte; either engine opens, verifies
and continues the other's directory.
"""

import asyncio
import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from typing import Any

from ledger.backup import back_up
from ledger.commit import Committer, Request
from ledger.errors import LedgerError, LedgerFullError, LedgerReadOnlyError
from ledger.events import check_accounts, transfer_events, unpack_events
from ledger.limits import SEGMENT_SIZE_DEFAULT
from ledger.log import SegmentedLog
from ledger.opening import Checkpoint, OpenedLog, open_log, resume_log
from ledger.port import (
    BackupReport,
    Entry,
    Progress,
    ScrubReport,
    StatementFilter,
    VerifyReport,
)
from ledger.reading import Reader
from ledger.recovery import TornTail
from ledger.scrubbing import scrub_storage
from ledger.statuses import CreateAccountStatus, CreateTransferStatus
from ledger.storage import FileStorage, Storage
from ledger.structures import (
    RESULT_SIZE,
    Account,
    CreateAccountResult,
    CreateTransferResult,
    Transfer,
)
from ledger.verifying import expect, verify_log

_TRANSFER_STATUS = {int(status): status for status in CreateTransferStatus}
_ACCOUNT_STATUS = {int(status): status for status in CreateAccountStatus}
_pack_answer = Struct("<QII").pack
assert len(_pack_answer(0, 0, 0)) == RESULT_SIZE


class PureLedger:
    """An open ledger of the pure-Python engine; see `ledger.port.Ledger` for the contract."""

    engine = "pure"

    def __init__(self, opened: OpenedLog, committer: Committer, *, read_only: bool) -> None:
        #: The tail that recovery set to zero, None when the log ended cleanly.
        self.torn_tail: TornTail | None = opened.scanner.torn_tail
        self._opened = opened
        self._log: SegmentedLog = opened.log
        self._committer = committer
        self._read_only = read_only
        self._reader = Reader(opened.log, opened.books, committer.stage, committer.state_lock)

    @property
    def last_sequence(self) -> int:
        """Give the sequence of the last durable record, 0 when empty."""
        return self._reader.last_sequence

    def create_accounts(self, accounts: Sequence[Account]) -> list[CreateAccountResult]:
        """Create accounts in one durable batch; one result per event, in order."""
        answers = self._execute(Request(accounts=check_accounts(accounts)))
        return [CreateAccountResult(time, _ACCOUNT_STATUS[status]) for time, status in answers]

    def create_transfers(
        self, transfers: Sequence[Transfer], *, deadline_ns: int | None = None
    ) -> list[CreateTransferResult]:
        """Post transfers in one durable batch. No transfers at all release what has expired."""
        answers = self._execute(
            Request(transfers=transfer_events(transfers), deadline_ns=deadline_ns)
        )
        return [CreateTransferResult(time, _TRANSFER_STATUS[status]) for time, status in answers]

    def create_transfers_packed(self, batch: bytes | memoryview) -> bytes:
        """Post `len/128` packed transfers; give 16 bytes (timestamp, status) for each."""
        answers = self._execute(Request(transfers=unpack_events(batch)))
        return b"".join([_pack_answer(time, status, 0) for time, status in answers])

    async def post(self, transfer: Transfer) -> CreateTransferResult:
        """Post one transfer in the commit group that is forming; await its durability."""
        return (await self.post_many([transfer]))[0]

    async def post_many(self, transfers: Sequence[Transfer]) -> list[CreateTransferResult]:
        """Post several, adjacent and in order, in one commit group; await their durability."""
        self._writable()
        future: asyncio.Future[list[tuple[int, int]]]
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._committer.submit(Request(transfers=transfer_events(transfers), future=future), loop)
        answers = await future
        return [CreateTransferResult(time, _TRANSFER_STATUS[status]) for time, status in answers]

    def lookup_accounts(self, ids: Sequence[int]) -> list[Account | None]:
        """Give accounts with their balances now, None for an unknown id, in the order asked."""
        with self._reading():
            return self._reader.lookup_accounts(ids)

    def lookup_transfers(self, ids: Sequence[int]) -> list[Transfer | None]:
        """Give posted transfers by id, None for unknown or refused ids, in the order asked."""
        with self._reading():
            entries = self._reader.lookup_entries(ids, refused=False)
        return [None if entry is None else entry.transfer for entry in entries]

    def lookup_entries(self, ids: Sequence[int]) -> list[Entry | None]:
        """Give log entries by transfer id, refusals included, None where the id is unused."""
        with self._reading():
            return self._reader.lookup_entries(ids)

    def accounts(self) -> Iterator[Account]:
        """Yield every account in the order of creation."""
        with self._reading():
            return self._reader.accounts()

    def statement(self, wanted: StatementFilter) -> list[Entry]:
        """Give the entries of one account, oldest first unless reversed; no refusals."""
        with self._reading():
            return self._reader.statement(wanted)

    def balance_at(
        self, account_id: int, *, sequence: int | None = None, timestamp: int | None = None
    ) -> int | None:
        """Give posted credits minus debits as of a record or an instant; None if not yet born."""
        with self._reading():
            return self._reader.balance_at(account_id, sequence, timestamp)

    def entries(self, after_sequence: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """Yield transfer entries (refusals included) in order, from the record after the given."""
        with self._reading():
            return self._entries(self._reader.entries(after_sequence, limit))

    def _entries(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        with self._reading():
            yield from entries

    def verify(self, progress: Progress | None = None) -> VerifyReport:
        """Replay from genesis: checksums, chain, Merkle root, balances. Raise when one is wrong."""
        with self._reading():
            with self._committer.commit_lock:
                wanted = expect(self._log, list(self._reader.accounts()))
            return verify_log(self._log, wanted, progress)

    def checkpoint(self) -> dict[str, Any]:
        """Give {"sequence", "root_hash", "chain_head"} of the durable state, hashes as hex."""
        self._committer.check()
        with self._committer.commit_lock:
            return {
                "sequence": self._log.last_sequence,
                "root_hash": self._log.frontier.root().hex(),
                "chain_head": self._log.chain_head.hex(),
            }

    def scrub(self, *, first_segment: int = 1, segments: int | None = None) -> ScrubReport:
        """Read so many segments from disk again: checksums and hash chain, no replay."""
        with self._reading():
            return scrub_storage(self._log.storage, first_segment=first_segment, segments=segments)

    def backup(self, destination: Path) -> BackupReport:
        """Make a ledger in an empty or new directory that holds all that is durable now."""
        self._committer.check()
        return back_up(Path(self._log.storage.location), destination)

    @property
    def housekeeping_error(self) -> str:
        """Give what kept a segment from being prepared or sealed; "" for nothing."""
        housekeeper = self._committer.housekeeper
        return housekeeper.seal_error or housekeeper.spare_error

    def refresh(self) -> int:
        """Take in what the writer has made durable meanwhile; give the new last sequence.

        Only a ledger that was opened read-only has anything to take in.
        """
        with self._reading():
            if self._read_only:
                with self._committer.commit_lock, self._committer.state_lock:
                    resume_log(self._opened)
        return self.last_sequence

    def close(self) -> None:
        """Finish what is submitted, sync, release the lock. Idempotent."""
        try:
            self._committer.close(sync=not self._read_only)
        finally:
            self._log.storage.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self._committer.check()
        try:
            yield
        except OSError as error:
            raise LedgerError(
                f"{self._log.storage.location}: cannot read: {error.strerror or error}; nothing "
                "was changed, check the disk"
            ) from error

    def _execute(self, request: Request) -> list[tuple[int, int]]:
        self._writable()
        return self._committer.execute(request)

    def _writable(self) -> None:
        self._committer.check()
        if self._read_only:
            raise LedgerReadOnlyError(
                f"{self._log.storage.location}: the ledger was opened read-only; post through "
                "the process that writes it"
            )


def open_pure(
    path: Path,
    *,
    now_ns: Callable[[], int],
    random_bytes: Callable[[int], bytes],
    create: bool = True,
    read_only: bool = False,
    segment_size: int = SEGMENT_SIZE_DEFAULT,
    expected_checkpoint: Mapping[str, Any] | None = None,
) -> PureLedger:
    """Open a ledger directory with the pure engine; see `ledger.open_ledger`."""
    storage = FileStorage(path, read_only=read_only, create=create)
    return open_pure_on(
        storage,
        now_ns=now_ns,
        random_bytes=random_bytes,
        create=create,
        read_only=read_only,
        segment_size=segment_size,
        expected_checkpoint=expected_checkpoint,
        background=True,
    )


def open_pure_on(
    storage: Storage,
    *,
    now_ns: Callable[[], int],
    random_bytes: Callable[[int], bytes],
    create: bool = True,
    read_only: bool = False,
    segment_size: int = SEGMENT_SIZE_DEFAULT,
    expected_checkpoint: Mapping[str, Any] | None = None,
    background: bool = False,
) -> PureLedger:
    """Open a ledger on any storage; without `background` everything runs on the caller's thread.

    The storage is closed when opening fails and when the ledger is closed.
    """
    opened = False
    try:
        log = open_log(
            storage,
            random_bytes=random_bytes,
            create=create,
            read_only=read_only,
            segment_size=segment_size,
            checkpoint=Checkpoint.read(expected_checkpoint),
        )
        committer = Committer(
            log.log, log.books, now_ns=now_ns, random_bytes=random_bytes, background=background
        )
        housekeeper = committer.housekeeper
        housekeeper.snapshot_sequence = log.snapshot_sequence
        if not read_only:
            housekeeper.prepare_spare()
            housekeeper.seal(log.snapshot)
        opened = True
    except OSError as error:
        kind = LedgerFullError if error.errno == errno.ENOSPC else LedgerError
        raise kind(
            f"{storage.location}: {error.strerror or error}; nothing acknowledged was changed, "
            "mend the disk or the rights and open again"
        ) from error
    finally:
        if not opened:
            storage.close()
    return PureLedger(log, committer, read_only=read_only)
