"""The database behind the registry: opening, migrating, and one transaction at a time.

What a call has returned is on disk (R22, design decision 9's rule for state that is not money).
One connection, guarded by a lock; other processes are seen through the table of changes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from sqlalchemy import Connection, event, func, insert, inspect, select
from sqlalchemy.exc import DatabaseError

from programme.errors import RegistryKeyError, RegistryVersionError
from programme.registry import backends, schema
from programme.registry.migrations import migrate
from programme.registry.sealing import Sealer


class Storage:
    """One open registry database."""

    def __init__(self, path_or_url: str | Path, *, sealer: Sealer, now_ns: int) -> None:
        """Open the registry, make a new one, or lead an older one to this version.

        Raises: RegistryForeignError, RegistryVersionError, RegistryKeyError, RegistryBusyError.
        """
        self._backend = backends.backend_of(path_or_url)
        self._lock = RLock()
        self._engine = self._backend.engine()
        self._begin = self._backend.begin_prepare
        event.listen(self._engine, "begin", lambda connection: self._begin(connection))
        with self._mapped_errors():
            self._connection = self._engine.connect()
        try:
            with self._mapped_errors(), self._connection.begin():
                self._prepare(sealer, now_ns)
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """Give the file's path or the database's address, without a password."""
        return self._backend.name

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run a block as one durable transaction; an exception inside undoes all of it."""
        with self._lock, self._mapped_errors():
            self._begin = self._backend.begin_change
            with self._connection.begin():
                yield self._connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run a block that only reads, all of it at one version."""
        with self._lock, self._mapped_errors():
            self._begin = self._backend.begin_reading
            with self._connection.begin():
                yield self._connection

    def insert(
        self, connection: Connection, table: str, names: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Insert tuples of numbers, texts and bytes inside a transaction."""
        self._backend.insert(connection, table, names, rows)

    def close(self) -> None:
        """Close the database. Idempotent."""
        with self._lock:
            if hasattr(self, "_connection"):
                self._connection.close()
            self._engine.dispose()

    def _prepare(self, sealer: Sealer, now_ns: int) -> None:
        tables = inspect(self._connection).get_table_names()
        if not tables:
            schema.metadata.create_all(self._connection)
            self._note_version(sealer, now_ns)
            return
        if schema.schema_version.name not in tables:
            raise backends.foreign(self.name)
        newest = select(func.max(schema.schema_version.c.version))
        version = self._connection.execute(newest).scalar()
        if version is None or not 1 <= version <= schema.SCHEMA_VERSION:
            raise RegistryVersionError.of(
                "registry.version",
                name=self.name,
                version=str(version),
                newest=schema.SCHEMA_VERSION,
            )
        found = self._connection.execute(select(schema.schema_version.c.key_check)).scalar()
        if found != sealer.key_check():
            raise RegistryKeyError.of("registry.keys", name=self.name)
        if version < schema.SCHEMA_VERSION:
            migrate(self._connection, version, sealer)
            self._note_version(sealer, now_ns)

    def _note_version(self, sealer: Sealer, now_ns: int) -> None:
        row = {
            "version": schema.SCHEMA_VERSION,
            "applied_at_ns": now_ns,
            "key_check": sealer.key_check(),
        }
        self._connection.execute(insert(schema.schema_version).values(row))

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            ours = backends.mapped(self._backend, error)
            if ours is None:
                raise
            raise ours from error
