"""The two databases behind a registry: SQLite (default) and PostgreSQL (extra `postgres`).

Both give the same: one writer at a time from the begin of its transaction, readers that see one
version, and a commit that is on disk when it has returned.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from programme.errors import RegistryBusyError, RegistryForeignError
from programme.limits import REGISTRY_BUSY_TIMEOUT_MS
from programme.registry import schema
from protocols.errors import LumbungError

#: Locks the making and migrating of tables against another process's (an arbitrary number).
_PREPARE_LOCK = 7_620_251


class Backend(Protocol):
    """What the registry needs of a database beyond SQL that both understand."""

    name: str

    def engine(self) -> Engine:
        """Give an engine with one connection; nothing is opened yet."""

    def begin_prepare(self, connection: Connection) -> None:
        """Keep other processes from making or migrating tables until this transaction ends."""

    def begin_change(self, connection: Connection) -> None:
        """Keep other writers out until this transaction ends."""

    def begin_reading(self, connection: Connection) -> None:
        """Let this transaction see one version throughout."""

    def insert(
        self, connection: Connection, table: str, names: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Insert tuples of numbers, texts and bytes, as fast as the database takes them."""

    def foreign(self, error: DatabaseError) -> bool:
        """Give whether the error says that this is no database of ours."""


class SqliteBackend:
    """A file of mode 0600; WAL with synchronous FULL."""

    def __init__(self, path: Path) -> None:
        """Look before opening for writing, so that a foreign file stays as it is.

        Raises: RegistryForeignError, RegistryBusyError.
        """
        self.name = str(path)
        self._path = path
        if not _make_private(path):
            self._refuse_foreign()

    def engine(self) -> Engine:
        """Give an engine with one connection; nothing is opened yet."""
        engine = create_engine(
            f"sqlite+pysqlite:///{self._path}",
            poolclass=StaticPool,
            connect_args={
                "check_same_thread": False,
                "timeout": REGISTRY_BUSY_TIMEOUT_MS / 1000,
                "isolation_level": None,
            },
            hide_parameters=True,
        )
        event.listen(engine, "connect", _set_pragmas)
        return engine

    def begin_prepare(self, connection: Connection) -> None:
        """Take the file's write lock."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def begin_change(self, connection: Connection) -> None:
        """Take the file's write lock."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def begin_reading(self, connection: Connection) -> None:
        """Begin without a lock: WAL gives one version from the first read on."""
        connection.exec_driver_sql("BEGIN")

    def insert(
        self, connection: Connection, table: str, names: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Insert straight through the driver: the statement compiler costs more than SQLite."""
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - our own names
        connection.exec_driver_sql(statement, list(rows))

    def foreign(self, error: DatabaseError) -> bool:
        """Give whether SQLite says that the file is none of its own, or is damaged."""
        code = getattr(error.orig, "sqlite_errorcode", None)
        return code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)

    def _refuse_foreign(self) -> None:
        try:
            looking = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            with closing(looking):
                rows = looking.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                tables = {name for (name,) in rows}
        except sqlite3.OperationalError as error:
            raise unavailable(self.name, str(error)) from error
        except sqlite3.DatabaseError as error:
            raise foreign(self.name) from error
        if tables and schema.schema_version.name not in tables:
            raise foreign(self.name)


class PostgresBackend:
    """A database of a server; its commits are synchronous unless the server was told otherwise."""

    def __init__(self, url: URL) -> None:
        """Keep the address; its password appears in no text of ours."""
        self.name = url.render_as_string(hide_password=True)
        self._url = url.set(drivername="postgresql+psycopg")

    def engine(self) -> Engine:
        """Give an engine with one connection; raise RegistryForeignError without the driver."""
        if find_spec("psycopg") is None:
            raise RegistryForeignError.of("registry.driver", name=self.name)
        settings = f"-c lock_timeout={REGISTRY_BUSY_TIMEOUT_MS} -c synchronous_commit=on"
        return create_engine(
            self._url,
            poolclass=StaticPool,
            connect_args={
                "options": settings,
                "connect_timeout": REGISTRY_BUSY_TIMEOUT_MS // 1000,
            },
            hide_parameters=True,
        )

    def begin_prepare(self, connection: Connection) -> None:
        """Take a lock of the whole database: there may be no table yet to lock."""
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PREPARE_LOCK})")

    def begin_change(self, connection: Connection) -> None:
        """Lock the audit trail, which every change writes: readers go on, writers wait."""
        connection.exec_driver_sql(f"LOCK TABLE {schema.changes.name} IN EXCLUSIVE MODE")

    def begin_reading(self, connection: Connection) -> None:
        """See the version of the first read throughout."""
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def insert(
        self, connection: Connection, table: str, names: Sequence[str], rows: Sequence[Any]
    ) -> None:
        """Copy rows in: one statement, however many there are."""
        cursor: Any = connection.connection.cursor()
        with cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def foreign(self, error: DatabaseError) -> bool:
        """Give whether the server says that there is no such database or right."""
        return getattr(error.orig, "sqlstate", None) in ("3D000", "42501")


def backend_of(path_or_url: str | Path) -> Backend:
    """Give the backend of a path, `sqlite:///path` or `postgresql://...`.

    Raises: RegistryForeignError for another kind of address, RegistryBusyError.
    """
    text = str(path_or_url)
    if text.startswith("sqlite:///"):
        return SqliteBackend(Path(text.removeprefix("sqlite:///")))
    if "://" not in text:
        return SqliteBackend(Path(text))
    if text.partition("://")[0] in ("postgresql", "postgres", "postgresql+psycopg"):
        try:
            return PostgresBackend(make_url(text.replace("postgres://", "postgresql://", 1)))
        except (ArgumentError, ValueError) as error:
            raise RegistryForeignError.of("registry.address") from error
    raise RegistryForeignError.of("registry.unsupported", kind=text.partition("://")[0])


def foreign(name: str) -> RegistryForeignError:
    """Give the error for a file or database that is none of ours."""
    return RegistryForeignError.of("registry.foreign", name=name)


def unavailable(name: str, why: str) -> RegistryBusyError:
    """Give the error for a registry that cannot be reached just now."""
    return RegistryBusyError.of("registry.busy", internal=f"{name}: {why}", name=name)


def mapped(backend: Backend, error: DatabaseError) -> LumbungError | None:
    """Give our error for one of the database's, None for what must be a bug of ours."""
    if backend.foreign(error):
        return foreign(backend.name)
    if isinstance(error, OperationalError):
        return unavailable(backend.name, str(error.orig))
    return None


def _make_private(path: Path) -> bool:
    """Create the file with mode 0600 when it is not there; give whether it was created."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise RegistryBusyError.of(
            "registry.not_made", path=str(path), why=str(error.strerror)
        ) from error
    os.close(descriptor)
    return True


def _set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
