"""The native engine behind the `Ledger` port: a thin dress over `ledger._core`.

It writes what docs/reference/ledger-format.md says, the same bytes as the pure engine. Work is done
without the interpreter's lock; a commit group wakes each event loop once.
"""

import asyncio
import functools
import importlib
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

from ledger.backup import back_up
from ledger.errors import LedgerBatchError
from ledger.events import check_accounts
from ledger.limits import SEGMENT_SIZE_DEFAULT, STATEMENT_ROWS_MAX
from ledger.opening import Checkpoint
from ledger.pages import segment_name
from ledger.port import (
    BackupReport,
    Entry,
    Progress,
    ScrubReport,
    StatementFilter,
    VerifyReport,
)
from ledger.recovery import TornTail
from ledger.scrubbing import scrub_storage
from ledger.statuses import CreateAccountStatus, CreateTransferStatus
from ledger.storage import FileStorage, Storage
from ledger.structures import (
    ID_MAX,
    RECORD_SIZE,
    Account,
    CreateAccountResult,
    CreateTransferResult,
    Transfer,
)

if TYPE_CHECKING:
    from ledger import _core

_TRANSFER_STATUS = {int(status): status for status in CreateTransferStatus}
_ACCOUNT_STATUS = {int(status): status for status in CreateAccountStatus}
_RESULT = struct.Struct("<QII")
#: A packed entry: the transfer's 128 bytes, sequence u64, status u32, zero u32, two balances i64.
_ENTRY_SIZE = RECORD_SIZE + 32
#: Accounts and entries that an iterator holds in memory at a time.
_PAGE_ROWS = 1_000
_U64_MAX = (1 << 64) - 1
_CODE_MAX = (1 << 16) - 1


def _load_core() -> Any:
    try:
        return importlib.import_module("ledger._core")
    except ModuleNotFoundError:
        return None


_CORE = _load_core()
#: Whether the native core is built here.
NATIVE_AVAILABLE = _CORE is not None
if NATIVE_AVAILABLE:
    _ENTRIES: "_core.EntryMaker" = _CORE.EntryMaker(Transfer, Entry, _TRANSFER_STATUS)


class NativeLedger:
    """An open ledger of the native engine; see `ledger.port.Ledger` for the contract."""

    engine = "native"

    def __init__(
        self, core: "_core.NativeEngine", now_ns: Callable[[], int], directory: Path
    ) -> None:
        self._core = core
        self._directory = directory
        self._now_ns = now_ns
        self._desks: list[_LoopDesk] = []
        #: The desk that was used last; one attribute, so that loops of several threads never mix.
        self._last_desk: _LoopDesk | None = None
        torn = core.torn
        #: The tail that recovery set to zero, None when the log ended cleanly.
        self.torn_tail = torn and TornTail(segment_name(torn[0]), torn[1], torn[2])

    @property
    def last_sequence(self) -> int:
        """Give the sequence of the last durable record, 0 when empty."""
        return self._core.last_sequence

    def create_accounts(self, accounts: Sequence[Account]) -> list[CreateAccountResult]:
        """Create accounts in one durable batch; one result per event, in order."""
        packed = b"".join([account.pack() for account in check_accounts(accounts)])
        results = self._core.execute(True, packed, self._now_ns(), None)
        return [
            CreateAccountResult(timestamp, _ACCOUNT_STATUS[status])
            for timestamp, status, _ in _RESULT.iter_unpack(results)
        ]

    def create_transfers(
        self, transfers: Sequence[Transfer], *, deadline_ns: int | None = None
    ) -> list[CreateTransferResult]:
        """Post transfers in one durable batch. No transfers at all release what has expired."""
        deadline_ns = _within_u64(deadline_ns)
        results = self._core.execute_objects(list(transfers), self._now_ns(), deadline_ns)
        return _transfer_results(results)

    def create_transfers_packed(self, batch: bytes | memoryview) -> bytes:
        """Post `len/128` packed transfers; give 16 bytes (timestamp, status) for each."""
        return self._core.execute(False, batch, self._now_ns(), None)

    async def post(self, transfer: Transfer) -> CreateTransferResult:
        """Post one transfer in the commit group that is forming; await its durability."""
        desk = self._last_desk
        if desk is None or desk.loop is not asyncio.get_running_loop():
            desk = self._attend()
        return cast(CreateTransferResult, await desk.post(transfer))

    async def post_many(self, transfers: Sequence[Transfer]) -> list[CreateTransferResult]:
        """Post several, adjacent and in order, in one commit group; await their durability."""
        desk = self._attend()
        return _transfer_results(await desk.core.post_many(list(transfers)))

    def lookup_accounts(self, ids: Sequence[int]) -> list[Account | None]:
        """Give accounts with their balances now, None for an unknown id, in the order asked."""
        self._core.check()
        found = self._core.accounts_by_id(list(ids))
        return [None if packed is None else Account.unpack(packed) for packed in found]

    def lookup_transfers(self, ids: Sequence[int]) -> list[Transfer | None]:
        """Give posted transfers by id, None for unknown or refused ids, in the order asked."""
        created = CreateTransferStatus.CREATED
        return [
            entry.transfer if entry is not None and entry.status == created else None
            for entry in self.lookup_entries(ids)
        ]

    def lookup_entries(self, ids: Sequence[int]) -> list[Entry | None]:
        """Give log entries by transfer id, refusals included, None where the id is unused."""
        self._core.check()
        found = self._core.entries_by_id(list(ids))
        return _ENTRIES.each(found)

    def accounts(self) -> Iterator[Account]:
        """Yield every account in the order of creation."""
        self._core.check()
        return self._accounts()

    def _accounts(self) -> Iterator[Account]:
        skip = 0
        while page := self._core.accounts_page(skip, _PAGE_ROWS):
            for start in range(0, len(page), RECORD_SIZE):
                yield Account.unpack(page[start : start + RECORD_SIZE])
            skip += _PAGE_ROWS

    def statement(self, wanted: StatementFilter) -> list[Entry]:
        """Give the entries of one account, oldest first unless reversed; no refusals."""
        self._core.check()
        if not 0 < wanted.limit <= STATEMENT_ROWS_MAX:
            raise LedgerBatchError(
                f"limit {wanted.limit}: a page has 1 to {STATEMENT_ROWS_MAX} rows"
            )
        if not (0 < wanted.account_id <= ID_MAX and 0 <= wanted.code <= _CODE_MAX):
            return []  # Nothing was ever given such an id or code.
        packed = self._core.statement(
            (
                wanted.account_id,
                wanted.debits,
                wanted.credits,
                wanted.code,
                _within_u64(wanted.timestamp_min),
                _within_u64(wanted.timestamp_max),
                wanted.reverse,
                _within_u64(wanted.cursor),
                wanted.limit,
            )
        )
        return _ENTRIES.page(packed)

    def balance_at(
        self, account_id: int, *, sequence: int | None = None, timestamp: int | None = None
    ) -> int | None:
        """Give posted credits minus debits as of a record or an instant; None if not yet born."""
        self._core.check()
        return self._core.balance_at(account_id, _within_u64(sequence), _within_u64(timestamp))

    def entries(self, after_sequence: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """Yield transfer entries (refusals included) in order, from the record after the given."""
        self._core.check()
        upto = self.last_sequence
        return self._entries(max(after_sequence, 0), upto, upto if limit is None else limit)

    def _entries(self, after: int, upto: int, left: int) -> Iterator[Entry]:
        while after < upto and left > 0:
            packed, after = self._core.entries_page(after, upto, min(left, _PAGE_ROWS))
            left -= len(packed) // _ENTRY_SIZE
            yield from _ENTRIES.page(packed)

    def verify(self, progress: Progress | None = None) -> VerifyReport:
        """Replay from genesis: checksums, chain, Merkle root, balances. Raise when one is wrong."""
        self._core.check()
        started = time.perf_counter()
        found = self._core.verify(progress)
        records, frames, accounts, transfers, refusals, total, root, head = found
        return VerifyReport(
            records=records,
            frames=frames,
            accounts=accounts,
            transfers=transfers,
            refusals=refusals,
            sum_minor=total,
            root_hash=bytes(root),
            chain_head=bytes(head),
            seconds=time.perf_counter() - started,
        )

    def scrub(self, *, first_segment: int = 1, segments: int | None = None) -> ScrubReport:
        """Read so many segments from disk again: checksums and hash chain, no replay."""
        self._core.check()
        storage = FileStorage(self._directory, read_only=True, create=False)
        try:
            return scrub_storage(storage, first_segment=first_segment, segments=segments)
        finally:
            storage.close()

    def backup(self, destination: Path) -> BackupReport:
        """Make a ledger in an empty or new directory that holds all that is durable now."""
        self._core.check()
        return back_up(self._directory, destination)

    @property
    def housekeeping_error(self) -> str:
        """Give what kept a segment from being prepared or sealed; "" for nothing."""
        return self._core.housekeeping_error()

    def checkpoint(self) -> dict[str, Any]:
        """Give {"sequence", "root_hash", "chain_head"} of the durable state, hashes as hex."""
        self._core.check()
        sequence, root, head = self._core.checkpoint()
        return {
            "sequence": sequence,
            "root_hash": bytes(root).hex(),
            "chain_head": bytes(head).hex(),
        }

    def refresh(self) -> int:
        """Take in what the writer has made durable meanwhile; give the new last sequence.

        Only a ledger that was opened read-only has anything to take in.
        """
        self._core.check()
        self._core.refresh()
        return self.last_sequence

    def close(self) -> None:
        """Finish what is submitted, sync, release the lock. Idempotent."""
        self._core.close()
        desks, self._desks = self._desks, []
        for desk in desks:
            desk.close()

    def _attend(self) -> "_LoopDesk":
        """Give the desk of the running event loop, opening one where there is none."""
        self._core.check()
        loop = asyncio.get_running_loop()
        desk = self._last_desk
        if desk is None or desk.loop is not loop:
            desk = next((desk for desk in self._desks if desk.loop is loop), None)
            if desk is None:
                desk = _LoopDesk(self._core, loop, self._now_ns)
                self._desks = [old for old in self._desks if not old.loop.is_closed()] + [desk]
            self._last_desk = desk
        return desk


class _LoopDesk:
    """The desk of one event loop, and the loop's ear on it."""

    def __init__(
        self,
        core: "_core.NativeEngine",
        loop: asyncio.AbstractEventLoop,
        now_ns: Callable[[], int],
    ) -> None:
        self.loop = loop
        self.core: _core.Desk = _CORE.Desk(
            core,
            # What `loop.create_future` does, without a frame of Python for each.
            functools.partial(asyncio.Future, loop=loop),
            loop.call_soon,
            now_ns,
            CreateTransferResult,
            _TRANSFER_STATUS,
        )
        self.post = self.core.post
        loop.add_reader(self.core.fileno(), self.core.deliver)

    def close(self) -> None:
        """Deliver the last answers and stop listening, on the loop's own thread."""
        if self.loop.is_closed():
            return
        if _running_loop() is self.loop:
            self._finish()
        else:
            self.loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self.core.deliver()
        self.loop.remove_reader(self.core.fileno())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@overload
def _within_u64(value: int) -> int: ...
@overload
def _within_u64(value: None) -> None: ...
def _within_u64(value: int | None) -> int | None:
    """Give the nearest unsigned 64-bit number: no sequence and no time lies beyond it."""
    return None if value is None else min(max(value, 0), _U64_MAX)


def _transfer_results(packed: bytes) -> list[CreateTransferResult]:
    return [
        CreateTransferResult(timestamp, _TRANSFER_STATUS[status])
        for timestamp, status, _ in _RESULT.iter_unpack(packed)
    ]


def open_native(
    path: Path,
    *,
    now_ns: Callable[[], int],
    random_bytes: Callable[[int], bytes],
    create: bool = True,
    read_only: bool = False,
    segment_size: int = SEGMENT_SIZE_DEFAULT,
    expected_checkpoint: Mapping[str, Any] | None = None,
    storage: Storage | None = None,
    background: bool = True,
) -> NativeLedger:
    """Open a ledger directory with the native engine; see `ledger.open_ledger`.

    A `storage` stands in for the directory. Without `background` the caller's thread does
    everything in one order, so that a simulated disk sees the same operations in every run.
    """
    assert _CORE is not None, "ask NATIVE_AVAILABLE first"
    expected = Checkpoint.read(expected_checkpoint)
    if read_only:
        core = _CORE.NativeEngine.open_reader(str(path), expected, storage)
    else:
        core = _CORE.NativeEngine.open_writer(
            str(path), random_bytes, create, segment_size, expected, storage, background
        )
    return NativeLedger(core, now_ns, path)
