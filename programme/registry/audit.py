"""The audit trail: every change, chained by hash, so that no row can be altered or taken out.

`chain` of a row is SHA-256 over the `chain` of the row before and the row itself. Who holds the
newest `chain` of an earlier day (a report's foot shows it) can prove against everybody, also
against the database's keeper, what stood before it.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from programme.registry import schema

if TYPE_CHECKING:
    from programme.registry.unit import Context

#: What stands before the first row.
GENESIS = hashlib.sha256(b"lumbung/registry/audit/1").digest()

#: Rows read at once while the chain is verified.
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One change: when (UTC), who, what, and its state before and after without personal data.

    `before` and `after` are JSON objects of the columns that changed, or empty.
    """

    version: int
    at_ns: int
    agency: str
    person: str
    subject: str
    number: int
    action: str
    detail: str
    before: str
    after: str
    chain: bytes


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What a verification found: `broken_at` is the first version that does not fit, or None.

    `version` and `chain` are those of the newest row that was looked at.
    """

    version: int
    chain: bytes
    broken_at: int | None
    why: str = ""


def chained(before: bytes, row: Sequence[Any]) -> bytes:
    """Give the chain value of a row: (version, at_ns, ..., after), after the one before it.

    >>> row = (1, 0, "Diskominfo", "staf-01", "card", 1, "printed", "", "", "")
    >>> chained(GENESIS, row)[:4].hex()
    'ed030865'
    """
    text = json.dumps(list(row), ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(before + text.encode("ascii")).digest()


def head(connection: Connection) -> tuple[int, bytes]:
    """Give the newest version and its chain value; (0, GENESIS) before the first change."""
    table = schema.changes
    query = select(table.c.version, table.c.chain).order_by(table.c.version.desc()).limit(1)
    row = connection.execute(query).first()
    return (0, GENESIS) if row is None else (row.version, bytes(row.chain))


class AuditBook:
    """Reads of the audit trail."""

    def __init__(self, context: "Context") -> None:
        """Work on one registry."""
        self._context = context

    def records(self, after_version: int = 0, limit: int | None = None) -> list[AuditRecord]:
        """Give the changes after a version, oldest first."""
        with self._context.storage.reading() as connection:
            return list(_records(connection, after_version, limit))

    def tail(self, count: int) -> list[AuditRecord]:
        """Give the newest changes, oldest first."""
        with self._context.storage.reading() as connection:
            newest, _chain = head(connection)
            return list(_records(connection, max(0, newest - count), None))

    def head(self) -> tuple[int, bytes]:
        """Give the newest version and its chain value."""
        with self._context.storage.reading() as connection:
            return head(connection)

    def verify(self, expected: tuple[int, bytes] | None = None) -> AuditCheck:
        """Compute the whole chain again, and compare with a head that was kept elsewhere.

        A chain that was cut at its end, or written anew, fits in itself: only `expected` (version,
        chain value) of an earlier day finds that.
        """
        version, chain = 0, GENESIS
        met = expected is None or expected == (0, GENESIS)
        with self._context.storage.reading() as connection:
            for record in _pages(connection):
                row = _row(record)
                if record.version != version + 1:
                    why = f"version {version + 1} is missing"
                    return AuditCheck(version, chain, version + 1, why)
                chain = chained(chain, row)
                version = record.version
                if chain != record.chain:
                    return AuditCheck(version, chain, version, "the row was altered")
                if expected is not None and version == expected[0]:
                    if chain != expected[1]:
                        why = "the chain was written anew before this version"
                        return AuditCheck(version, chain, version, why)
                    met = True
        if not met:
            assert expected is not None
            return AuditCheck(version, chain, version + 1, f"cut off before version {expected[0]}")
        return AuditCheck(version, chain, None)


def _row(record: AuditRecord) -> tuple[Any, ...]:
    return (
        record.version, record.at_ns, record.agency, record.person, record.subject, record.number,
        record.action, record.detail, record.before, record.after,
    )  # fmt: skip


def _records(connection: Connection, after: int, limit: int | None) -> Iterator[AuditRecord]:
    table = schema.changes
    query = select(table).where(table.c.version > after).order_by(table.c.version).limit(limit)
    for row in connection.execute(query):
        values = row._asdict()
        yield AuditRecord(**{**values, "chain": bytes(values["chain"])})


def _pages(connection: Connection) -> Iterator[AuditRecord]:
    after = 0
    while page := list(_records(connection, after, _ROWS_AT_ONCE)):
        yield from page
        after = page[-1].version
