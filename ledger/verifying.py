"""Verification: the whole log again from genesis, into fresh books, compared with the live ones.

Checked are all checksums, the frame hash chain, the Merkle root, every balance after every record,
the limits, that debits equal credits, and that the index of each sealed segment and every snapshot
are what the records give, byte for byte. The first thing that is wrong is raised with file and
offset.
"""

import time
from collections import Counter
from typing import NamedTuple

from ledger.books import Books
from ledger.dense import Ends, build_sealed, tree_nodes
from ledger.errors import LedgerCorruptError
from ledger.log import Segment, SegmentedLog
from ledger.merkle import Frontier
from ledger.pages import snapshot_name
from ledger.port import Progress, VerifyReport
from ledger.record import KIND_OFFSET, Kind
from ledger.recovery import Scanner, corrupt
from ledger.restoring import state_after
from ledger.sealed import SealedSegment
from ledger.snapshot import snapshot_numbers
from ledger.structures import Account


class Expectation(NamedTuple):
    """What the live ledger believes, at one moment."""

    frame_number: int
    last_sequence: int
    chain_head: bytes
    root_hash: bytes
    accounts: list[Account]


def expect(log: SegmentedLog, accounts: list[Account]) -> Expectation:
    """Give what a verification must find; the caller keeps the writer away meanwhile."""
    return Expectation(
        log.frame_number, log.last_sequence, log.chain_head, log.frontier.root(), accounts
    )


def verify_log(
    live: SegmentedLog, wanted: Expectation, progress: Progress | None = None
) -> VerifyReport:
    """Replay the files up to the expectation; raise `LedgerCorruptError` when one differs.

    `progress` is told after each segment.
    """
    started = time.perf_counter()
    log, books = SegmentedLog(live.storage, live.identity), Books()
    kinds: Counter[int] = Counter()
    derived = _Derived(log, books)

    def replay(body: bytes) -> str | None:
        kinds[body[KIND_OFFSET]] += 1
        return books.replay(body)

    def segment_ends(segment: Segment, last: bool) -> None:
        derived.check(segment, last)
        if progress is not None:
            progress(log.last_sequence, wanted.last_sequence)

    stop = wanted.frame_number
    Scanner(log, None, replay, stop_frame=stop, on_end=segment_ends).scan()
    if progress is not None:
        progress(log.last_sequence, wanted.last_sequence)
    found = expect(log, [row.account(row.save()) for row in books.rows])
    for name in Expectation._fields:
        if getattr(found, name) != getattr(wanted, name):
            raise LedgerCorruptError(
                f"{live.storage.location}: replayed from genesis, {name} is not what the running "
                "ledger holds; stop it and compare with a backup"
            )
    if books.sum_minor() != 0:
        raise LedgerCorruptError(f"{live.storage.location}: debits and credits do not balance")
    return VerifyReport(
        records=log.last_sequence,
        frames=log.frame_number,
        accounts=kinds[Kind.ACCOUNT],
        transfers=log.last_sequence - kinds[Kind.ACCOUNT] - kinds[Kind.REFUSAL],
        refusals=kinds[Kind.REFUSAL],
        sum_minor=books.sum_minor(),
        root_hash=found.root_hash,
        chain_head=found.chain_head,
        seconds=time.perf_counter() - started,
    )


class _Derived:
    """Checks, segment by segment, the files that follow from the records alone."""

    def __init__(self, log: SegmentedLog, books: Books) -> None:
        self._log = log
        self._books = books
        #: The Merkle tree before the segment.
        self._tree = Frontier()
        self._snapshots = set(snapshot_numbers(log.storage.names()))

    def check(self, segment: Segment, _last: bool) -> None:
        """Compare the segment's file and its snapshot with what the replay gave."""
        if isinstance(segment, SealedSegment):
            place = segment.parts.records
            records, tree = segment.records(), self._tree
            nodes = tree_nodes(records, tree)
            ends = Ends(self._log.chain_head, tree.root())
            due = build_sealed(segment.segment, records, segment.counts(), ends, nodes)
            for offset in range(0, len(due), place.offset):
                stored = self._log.storage.read(segment.name, offset, place.offset)
                if stored != due[offset : offset + place.offset]:
                    what = "the index is not what the records give"
                    segment.corrupt(offset + _first_difference(stored, due[offset:]), what)
            self._books.cool_all(self._log.segments)
        self._tree = self._log.frontier.copy()
        if segment.number in self._snapshots:
            self._check_snapshot(segment.number)

    def _check_snapshot(self, number: int) -> None:
        name, storage = snapshot_name(number), self._log.storage
        try:
            stored = storage.read(name, 0, storage.size(name))
        except FileNotFoundError:  # The writer keeps the newest only.
            return
        due = state_after(self._log, self._books).pack()
        if stored != due:
            what = "the snapshot is not the state that the records give"
            corrupt(self._log, name, _first_difference(stored, due), what)


def _first_difference(stored: bytes, due: bytes) -> int:
    pairs = enumerate(zip(stored, due, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(stored), len(due)))
