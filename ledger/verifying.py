"""Verification: the whole log again from genesis, into fresh books, compared with the live ones.

Checked are all checksums, the frame hash chain, the Merkle root, every balance after every record,
the limits and that debits equal credits. The first thing that is wrong is raised with file and
offset.
"""

import time
from collections import Counter
from typing import NamedTuple

from ledger.books import Books
from ledger.errors import LedgerCorruptError
from ledger.log import SegmentedLog
from ledger.port import VerifyReport
from ledger.record import Kind
from ledger.recovery import Scanner
from ledger.structures import Account

_KIND_OFFSET = 96


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


def verify_log(live: SegmentedLog, wanted: Expectation) -> VerifyReport:
    """Replay the files up to the expectation; raise `LedgerCorruptError` when one differs."""
    started = time.perf_counter()
    log, books = SegmentedLog(live.storage, live.identity), Books()
    kinds: Counter[int] = Counter()

    def replay(body: bytes) -> str | None:
        kinds[body[_KIND_OFFSET]] += 1
        return books.replay(body)

    Scanner(log, None, replay, stop_frame=wanted.frame_number).scan()
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
