"""The embedded peers: SQLite and LMDB, each written as one who knows it would write a ledger.

Same rules as ours: an id is taken once, a card is never overdrawn, both balances move with the
transfer in one durable commit. They keep no hash chain, no tree and no balance history.
"""

import importlib
import sqlite3
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ledger_load import CARDS, FIRST_CARD, FIRST_SHOP, GIRO, SHOPS, Purchase

ACCOUNTS = [(GIRO, 0)]
ACCOUNTS += [(FIRST_SHOP + n, 0) for n in range(SHOPS)]
ACCOUNTS += [(FIRST_CARD + n, 1) for n in range(CARDS)]
_BALANCE = struct.Struct("<QQB")
_TRANSFER = struct.Struct("<QQQ")


class Sqlite:
    """SQLite in WAL mode, synchronous FULL: a commit is one synced append to the log."""

    name = "sqlite-wal-full"

    def __init__(self, directory: Path) -> None:
        self._db = sqlite3.connect(
            directory / "peer.sqlite", isolation_level=None, check_same_thread=False
        )
        mode = self._db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        assert mode == "wal"
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(
            """
            CREATE TABLE account(id INTEGER PRIMARY KEY, debits INTEGER NOT NULL DEFAULT 0,
              credits INTEGER NOT NULL DEFAULT 0, limited INTEGER NOT NULL,
              CHECK (limited = 0 OR debits <= credits));
            CREATE TABLE transfer(id BLOB PRIMARY KEY, debit INTEGER NOT NULL,
              credit INTEGER NOT NULL, amount INTEGER NOT NULL) WITHOUT ROWID;
            """
        )
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO account(id, limited) VALUES (?, ?)", ACCOUNTS)
        self._db.execute("COMMIT")

    def prepare(self, batch: Sequence[Purchase]) -> object:
        """Give the rows of the three statements."""
        return (
            [(p.id.to_bytes(16, "big"), p.debit, p.credit, p.amount) for p in batch],
            [(p.amount, p.debit) for p in batch],
            [(p.amount, p.credit) for p in batch],
        )

    def post(self, prepared: Any) -> None:
        """Post one batch in one transaction; a repeated id or an overdraft raises."""
        transfers, debits, credits_ = prepared
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany("INSERT INTO transfer VALUES (?, ?, ?, ?)", transfers)
            self._db.executemany("UPDATE account SET debits = debits + ? WHERE id = ?", debits)
            self._db.executemany("UPDATE account SET credits = credits + ? WHERE id = ?", credits_)
        except sqlite3.IntegrityError:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the database."""
        self._db.close()


class Lmdb:
    """LMDB with its default durability: a commit syncs data, then its meta page."""

    name = "lmdb"

    def __init__(self, directory: Path) -> None:
        lmdb = importlib.import_module("lmdb")
        (directory / "peer.lmdb").mkdir()
        self._env = lmdb.open(str(directory / "peer.lmdb"), map_size=8 << 30, max_dbs=2)
        self._accounts = self._env.open_db(b"account", integerkey=True)
        self._transfers = self._env.open_db(b"transfer")
        with self._env.begin(write=True, db=self._accounts) as work:
            for account, limited in ACCOUNTS:
                work.put(account.to_bytes(8, "little"), _BALANCE.pack(0, 0, limited))

    def prepare(self, batch: Sequence[Purchase]) -> object:
        """Give keys and values, encoded."""
        return [
            (
                p.id.to_bytes(16, "big"),
                _TRANSFER.pack(p.debit, p.credit, p.amount),
                p.debit.to_bytes(8, "little"),
                p.credit.to_bytes(8, "little"),
                p.amount,
            )
            for p in batch
        ]

    def post(self, prepared: Any) -> None:
        """Post one batch in one transaction; a repeated id or an overdraft raises."""
        accounts, transfers = self._accounts, self._transfers
        with self._env.begin(write=True, db=accounts) as work:
            for key, value, debit, credit, amount in prepared:
                if not work.put(key, value, overwrite=False, db=transfers):
                    raise ValueError("the id is taken")
                debits, credits_, limited = _BALANCE.unpack(work.get(debit))
                if limited and debits + amount > credits_:
                    raise ValueError("insufficient funds")
                work.put(debit, _BALANCE.pack(debits + amount, credits_, limited))
                debits, credits_, limited = _BALANCE.unpack(work.get(credit))
                work.put(credit, _BALANCE.pack(debits, credits_ + amount, limited))

    def close(self) -> None:
        """Close the environment."""
        self._env.close()
