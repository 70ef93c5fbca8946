"""One change of the registry: a transaction, its audit rows, and the views after it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from operator import itemgetter
from threading import RLock
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, func, select

from programme.actors import Actor
from programme.chart import TOMBSTONE_ACCOUNT_ID
from programme.limits import STATEMENT_VALUES_MAX
from programme.registry import schema
from programme.registry.sealing import Sealer
from programme.registry.storage import Storage
from programme.registry.views import Views
from protocols.business_time import wita
from protocols.clock import Clock, RandomBytes

_T = TypeVar("_T")
_ACCOUNT_ID_BYTES = 16
#: Ids at both ends are the ledger's own and the tombstone's (programme.chart): never allotted.
_RESERVED_IDS = frozenset({0, *range(TOMBSTONE_ACCOUNT_ID - 13, 1 << 128)})


def parts(values: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield the values in lists small enough for one SQL statement."""
    wanted = list(values)
    for start in range(0, len(wanted), STATEMENT_VALUES_MAX):
        yield wanted[start : start + STATEMENT_VALUES_MAX]


@dataclass(slots=True)
class Unit:
    """What a service needs while it changes the registry."""

    connection: Connection
    actor: Actor
    at_ns: int
    views: Views
    touched: dict[str, set[int]] = field(default_factory=dict)
    audit: list[dict[str, Any]] = field(default_factory=list)

    def record(self, subject: str, number: int, action: str, detail: str = "") -> None:
        """Note one change for the audit trail. `detail` never holds what identifies a person."""
        self.touched.setdefault(subject, set()).add(number)
        self.audit.append(
            {
                "at_ns": self.at_ns,
                "agency": self.actor.agency.value,
                "person": self.actor.person,
                "subject": subject,
                "number": number,
                "action": action,
                "detail": detail,
            }
        )

    def next_number(self, table: Table, column: str) -> int:
        """Give the next dense number of a table."""
        newest = self.connection.execute(select(func.max(table.c[column]))).scalar()
        return int(newest or 0) + 1

    def add(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows of the same columns; none is allowed.

        Straight to the driver: every column here is a number, text or bytes, and going through
        the statement compiler's converters would cost more than SQLite itself.
        """
        if not rows:
            return
        names = list(rows[0])
        assert len(names) > 1
        assert all(name in table.c for name in names)
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - our own names
        self.connection.exec_driver_sql(statement, list(map(itemgetter(*names), rows)))

    @property
    def today(self) -> date:
        """Give today's date in Samarinda."""
        return wita(self.at_ns).date()


@dataclass(slots=True)
class Context:
    """What all services of one registry share."""

    storage: Storage
    views: Views
    sealer: Sealer
    clock: Clock
    random_bytes: RandomBytes
    lock: RLock = field(default_factory=RLock)
    data_version: int = -1

    @contextmanager
    def change(self, actor: Actor) -> Iterator[Unit]:
        """Run a block as one durable change; the views follow before the block's caller goes on.

        Inside, the views are at least as new as the file, so rules are checked against the truth
        even when several processes write.
        """
        with self.lock:
            with self.storage.transaction() as connection:
                self._catch_up(connection)
                unit = Unit(connection, actor, self.clock.now_ns(), self.views)
                yield unit
                unit.add(schema.changes, unit.audit)
            if unit.audit:
                with self.storage.reading() as connection:
                    self.views.catch_up(connection)

    def refresh(self) -> bool:
        """Take over what other processes changed; give whether there was anything."""
        with self.lock, self.storage.reading() as connection:
            return self._catch_up(connection)

    def new_account_ids(self, connection: Connection, count: int) -> list[bytes]:
        """Give random account ids that no account has: registry numbers, never from a PAN."""
        fresh: list[bytes] = []
        while len(fresh) < count:
            candidate = self.random_bytes(_ACCOUNT_ID_BYTES)
            if int.from_bytes(candidate, "big") not in _RESERVED_IDS:
                fresh.append(candidate)
        assert len(set(fresh)) == count, "the generator repeats itself"
        assert not self._taken(connection, fresh), "the generator repeats itself"
        return fresh

    def _taken(self, connection: Connection, fresh: list[bytes]) -> bool:
        """Give whether one of the ids stands for an account already."""
        wanted = set(fresh)
        for table in (schema.payable_accounts, schema.system_accounts):
            if not wanted.isdisjoint(connection.execute(select(table.c.account_id)).scalars()):
                return True
        if len(fresh) > STATEMENT_VALUES_MAX:
            numbers = {int.from_bytes(account, "big") for account in fresh}
            cards = self.views.cards_by_number.values()
            return not numbers.isdisjoint(view.account_id for view in cards)
        column = schema.cards.c.account_id
        return connection.execute(select(column).where(column.in_(fresh))).first() is not None

    def _catch_up(self, connection: Connection) -> bool:
        seen = int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())
        if seen == self.data_version:
            return False
        self.data_version = seen
        before = self.views.version
        self.views.catch_up(connection)
        return self.views.version != before
