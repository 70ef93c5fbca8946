"""SQLite behind the registry: opening, checking, and one transaction at a time.

WAL with synchronous FULL: what a call has returned is on disk (R22, design decision 9's rule for
state that is not money). One connection, guarded by a lock; other processes are seen through
`PRAGMA data_version` and the table of changes.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from programme.errors import (
    RegistryBusyError,
    RegistryForeignError,
    RegistryKeyError,
    RegistryVersionError,
)
from programme.limits import REGISTRY_BUSY_TIMEOUT_MS
from programme.registry import schema


class Storage:
    """One open registry file."""

    def __init__(self, path_or_url: str | Path, *, key_check: bytes, now_ns: int) -> None:
        """Open the file or make a new one.

        Raises: RegistryForeignError, RegistryVersionError, RegistryKeyError, RegistryBusyError.
        """
        self._path = _path_of(path_or_url)
        self._lock = RLock()
        if not _make_private(self._path):
            self._refuse_foreign()
        self._engine = _engine(self._path)
        with self._mapped_errors():
            self._connection = self._engine.connect()
        try:
            with self._mapped_errors():
                self._prepare(key_check, now_ns)
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> Path:
        """Give the file's path."""
        return self._path

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run a block as one durable transaction; an exception inside undoes all of it."""
        with self._lock, self._mapped_errors():
            self._connection.info["begin"] = "BEGIN IMMEDIATE"
            with self._connection.begin():
                yield self._connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run a block that only reads, all of it at one version."""
        with self._lock, self._mapped_errors():
            self._connection.info["begin"] = "BEGIN"
            with self._connection.begin():
                yield self._connection

    def data_version(self) -> int:
        """Give a number that differs once another process has committed a change."""
        with self.reading() as connection:
            return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            if hasattr(self, "_connection"):
                self._connection.close()
            self._engine.dispose()

    def _prepare(self, key_check: bytes, now_ns: int) -> None:
        with self._connection.begin():
            tables = inspect(self._connection).get_table_names()
            if not tables:
                schema.metadata.create_all(self._connection)
                row = {
                    "version": schema.SCHEMA_VERSION,
                    "applied_at_ns": now_ns,
                    "key_check": key_check,
                }
                self._connection.execute(insert(schema.schema_version).values(row))
                return
            newest = select(func.max(schema.schema_version.c.version))
            version = self._connection.execute(newest).scalar()
            if version != schema.SCHEMA_VERSION:
                raise RegistryVersionError(
                    f"{self._path}: the registry has schema version {version}, this programme "
                    f"reads version {schema.SCHEMA_VERSION}.",
                    fix="Run the programme version that wrote it, or start a new registry.",
                )
            found = self._connection.execute(select(schema.schema_version.c.key_check)).scalar()
            if found != key_check:
                raise RegistryKeyError(
                    f"{self._path}: the registry was made with other keys.",
                    fix="Give the keys (keystore and master key) that belong to this directory.",
                )

    def _refuse_foreign(self) -> None:
        """Look before opening for writing, so that a foreign file stays as it is."""
        try:
            looking = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            with closing(looking):
                rows = looking.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                tables = {name for (name,) in rows}
        except sqlite3.OperationalError as error:
            raise self._unavailable(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise self._foreign() from error
        if tables and schema.schema_version.name not in tables:
            raise self._foreign()

    def _foreign(self) -> RegistryForeignError:
        return RegistryForeignError(
            f"{self._path}: not a registry of this programme.",
            fix="Name another file; this one was left as it is.",
        )

    def _unavailable(self, why: str) -> RegistryBusyError:
        return RegistryBusyError(
            f"{self._path}: the registry cannot be read or written just now.",
            internal=f"{self._path}: {why}",
            fix="Check its rights, the disk and whether another process holds it; then try again.",
        )

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise self._unavailable(str(error.orig)) from error
        except DatabaseError as error:
            code = getattr(error.orig, "sqlite_errorcode", None)
            if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise self._foreign() from error
            raise


def _path_of(path_or_url: str | Path) -> Path:
    text = str(path_or_url)
    if text.startswith("sqlite:///"):
        return Path(text.removeprefix("sqlite:///"))
    if "://" in text:
        scheme = text.partition("://")[0]
        raise RegistryForeignError(
            f"a registry on `{scheme}` is not supported by this version.",
            fix="Give a file path or a URL that begins with sqlite:///.",
        )
    return Path(text)


def _make_private(path: Path) -> bool:
    """Create the file with mode 0600 when it is not there; give whether it was created."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise RegistryBusyError(
            f"{path}: the registry cannot be created: {error.strerror}.",
            fix="Name a directory that exists and can be written.",
        ) from error
    os.close(descriptor)
    return True


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite+pysqlite:///{path}",
        poolclass=StaticPool,
        connect_args={
            "check_same_thread": False,
            "timeout": REGISTRY_BUSY_TIMEOUT_MS / 1000,
            "isolation_level": None,
        },
        hide_parameters=True,
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.info.get("begin", "BEGIN IMMEDIATE"))
