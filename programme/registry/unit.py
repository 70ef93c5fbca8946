"""One change of the registry: a transaction, its audit rows, and the views after it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from programme.registry.audit import chained, head
from programme.registry.sealing import Sealer
from programme.registry.storage import Storage
from programme.registry.views import Views, current_version
from protocols.business_time import wita
from protocols.clock import Clock, RandomBytes

_T = TypeVar("_T")
_ACCOUNT_ID_BYTES = 16
#: Ids at both ends are the ledger's own and the tombstone's (programme.chart): never allotted.
_RESERVED_IDS = frozenset({0, *range(TOMBSTONE_ACCOUNT_ID - 13, 1 << 128)})
_AUDIT_COLUMNS = tuple(column.name for column in schema.changes.columns)


def _as_json(values: Mapping[str, Any] | None) -> str:
    return json.dumps(values, separators=(",", ":"), sort_keys=True) if values else ""


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
    storage: Storage
    audit: list[tuple[Any, ...]] = field(default_factory=list)

    def record(
        self,
        subject: str,
        number: int,
        action: str,
        detail: str = "",
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Note one change for the audit trail; nothing in it ever identifies a person.

        `before` and `after` name the columns that changed, with their values.
        """
        actor = self.actor
        self.audit.append(
            (
                self.at_ns, actor.agency.value, actor.person, subject, number, action, detail,
                _as_json(before), _as_json(after),
            )
        )  # fmt: skip

    def write_audit(self) -> None:
        """Add the rows noted so far to the chain; last of what a change does."""
        version, chain = head(self.connection)
        rows = []
        for row in self.audit:
            version += 1
            chain = chained(chain, (version, *row))
            rows.append((version, *row, chain))
        if rows:
            self.storage.insert(self.connection, schema.changes.name, _AUDIT_COLUMNS, rows)

    def next_number(self, table: Table, column: str) -> int:
        """Give the next dense number of a table."""
        newest = self.connection.execute(select(func.max(table.c[column]))).scalar()
        return int(newest or 0) + 1

    def add(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows of the same columns; none is allowed."""
        if not rows:
            return
        names = list(rows[0])
        assert len(names) > 1
        assert all(name in table.c for name in names)
        values = list(map(itemgetter(*names), rows))
        self.storage.insert(self.connection, table.name, names, values)

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

    @contextmanager
    def change(self, actor: Actor) -> Iterator[Unit]:
        """Run a block as one durable change; the views follow before the block's caller goes on.

        Inside, the views are at least as new as the file, so rules are checked against the truth
        even when several processes write.
        """
        with self.lock:
            with self.storage.transaction() as connection:
                self._catch_up(connection)
                unit = Unit(connection, actor, self.clock.now_ns(), self.views, self.storage)
                yield unit
                unit.write_audit()
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
        if current_version(connection) == self.views.version:
            return False
        self.views.catch_up(connection)
        return True
