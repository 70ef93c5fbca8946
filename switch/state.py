"""The switch's state that is not money, in one small SQLite file (design decision 9).

PIN tries with the messages that cost them, key sets, log-ons, the business date, batches, vouchers
and changed PINs. One transaction
per loop turn and only when something changed; WAL with synchronous FULL, so a commit that returned
survives a power cut. One process holds the file exclusively.
"""

import sqlite3
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from protocols.errors import LumbungError
from switch import state_batches
from switch.changes import (
    AtcMarksKept,
    BatchRow,
    BatchUploaded,
    BusinessDateMoved,
    Change,
    KeySetActivated,
    KeySetIssued,
    LoggedOff,
    LoggedOn,
    PinTriesCleared,
    PinTryCharged,
    StateSnapshot,
)
from switch.marks import pack_mark, unpack_mark
from switch.state_tables import KNOWN_VERSIONS, SCHEMA_VERSION, statements_from

#: `LMSW` in the header field that SQLite keeps for applications.
_APPLICATION_ID = 0x4C4D5357


class StateError(LumbungError):
    """The state file cannot be read or written: the node is unfit until it can."""

    code = "E-SW-0101"


class StateForeignError(StateError):
    """The file is not a state file of ours, or of another version."""

    code = "E-SW-0102"


class StateLostError(StateError):
    """The ledger has sales and the state file is new: what stood in it is lost."""

    code = "E-SW-0114"


class StateFile:
    """An open state file. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; raise StateError when that cannot be done."""
        self._path = path
        try:
            path.touch(mode=0o600, exist_ok=True)
        except OSError as error:
            raise StateError(
                f"The switch's state file {path} cannot be created: {error.strerror}.",
                fix="Give a directory that exists and may be written.",
            ) from error
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=0.0
            )
        except sqlite3.Error as error:
            raise self._fault("cannot be opened", error) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._connection.close()
            raise self._fault("cannot be opened", error) from error
        except StateError:
            self._connection.close()
            raise

    def load(self) -> StateSnapshot:
        """Give everything that the file holds."""
        try:
            return self._load()
        except sqlite3.Error as error:
            raise self._fault("cannot be read", error) from error

    def batches(self) -> tuple[list[BatchRow], list[BatchUploaded]]:
        """Give every batch and every uploaded record, for a reconciliation."""
        run = self._connection.execute
        try:
            return state_batches.all_batches(run), state_batches.all_uploads(run)
        except sqlite3.Error as error:
            raise self._fault("cannot be read", error) from error

    def copy_to(self, path: Path) -> None:
        """Write everything that is durable to another file, mode 0600, over what was there."""
        try:
            path.unlink(missing_ok=True)
            path.touch(mode=0o600, exist_ok=False)
        except OSError as error:
            raise StateError(
                f"The copy {path} of the switch's state cannot be made: {error.strerror}.",
                fix="Give room in the data directory.",
            ) from error
        try:
            self._connection.execute("VACUUM INTO ?", (str(path),))
        except sqlite3.Error as error:
            path.unlink(missing_ok=True)
            raise self._fault("cannot be copied", error) from error

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the changes durable in one transaction, in order; all of them or none."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for change in changes:
                    self._apply(change)
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._fault("cannot be written", error) from error

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        (application_id,) = run("PRAGMA application_id").fetchone()
        (version,) = run("PRAGMA user_version").fetchone()
        (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application_id != _APPLICATION_ID or version not in KNOWN_VERSIONS):
            raise StateForeignError(
                f"{self._path} is not a switch state file of version {SCHEMA_VERSION}.",
                fix="Name the right file, or move this one away to begin a new one.",
            )
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        # An exclusive lock is taken at the first write; take it now, not at the first sale.
        run("BEGIN EXCLUSIVE")
        for statement in statements_from(version if tables else 0):
            run(statement)
        if version != SCHEMA_VERSION:
            run(f"PRAGMA application_id = {_APPLICATION_ID}")
            run(f"PRAGMA user_version = {SCHEMA_VERSION}")
        run("COMMIT")

    def _load(self) -> StateSnapshot:
        run = self._connection.execute
        tries: dict[int, tuple[int, ...]] = {}
        for card_number, transfer_id in run(
            "SELECT card_number, transfer_id FROM pin_try ORDER BY card_number, ordinal"
        ):
            charged = int.from_bytes(transfer_id, "big")
            tries[card_number] = (*tries.get(card_number, ()), charged)
        sets: dict[str, tuple[KeySetIssued, ...]] = {}
        active: dict[str, int] = {}
        for terminal_id, number, mac_block, pin_block, is_active in run(
            "SELECT terminal_id, number, mac_block, pin_block, is_active FROM key_set"
            " ORDER BY terminal_id, is_active DESC"
        ):
            issued = KeySetIssued(terminal_id, number, mac_block, pin_block)
            sets[terminal_id] = (*sets.get(terminal_id, ()), issued)
            if is_active:
                active[terminal_id] = number
        log_ons = {
            row[0]: LoggedOn(*row)
            for row in run("SELECT terminal_id, merchant_id, operator, number FROM log_on")
        }
        day = run("SELECT day, sequence FROM business_date").fetchone()
        kept = run("SELECT sequence FROM marks_kept").fetchone()
        marks = {
            (int.from_bytes(account_id, "big"), card_tag): pack_mark(
                atc, int.from_bytes(seen, "big")
            )
            for account_id, card_tag, atc, seen in run(
                "SELECT account_id, card_tag, atc, seen FROM atc_mark"
            )
        }
        return StateSnapshot(
            pin_tries=tries,
            key_sets=sets,
            active_sets=active,
            log_ons=log_ons,
            business_date=BusinessDateMoved(date.fromisoformat(day[0]), day[1]) if day else None,
            atc_marks=marks,
            marks_sequence=kept[0] if kept else 0,
            **state_batches.load(run),
        )

    def _apply(self, change: Change) -> None:
        run = self._connection.execute
        match change:
            case PinTryCharged(card_number, transfer_id, tries):
                run(
                    "INSERT INTO pin_try VALUES (?, ?, ?)",
                    (card_number, tries, transfer_id.to_bytes(16, "big")),
                )
            case PinTriesCleared(card_number, actor):
                run("DELETE FROM pin_try WHERE card_number = ?", (card_number,))
                if actor:
                    run(
                        "INSERT INTO pin_unblock (card_number, actor) VALUES (?, ?)",
                        (card_number, actor),
                    )
            case KeySetIssued(terminal_id, number, mac_block, pin_block):
                run(
                    "INSERT INTO key_set VALUES (?, ?, ?, ?, 0)",
                    (terminal_id, number, mac_block, pin_block),
                )
            case KeySetActivated(terminal_id, number):
                run(
                    "DELETE FROM key_set WHERE terminal_id = ? AND number <> ?",
                    (terminal_id, number),
                )
                run(
                    "UPDATE key_set SET is_active = 1 WHERE terminal_id = ? AND number = ?",
                    (terminal_id, number),
                )
            case LoggedOn(terminal_id, merchant_id, operator, number):
                run(
                    "INSERT OR REPLACE INTO log_on VALUES (?, ?, ?, ?)",
                    (terminal_id, merchant_id, operator, number),
                )
            case LoggedOff(terminal_id):
                run("DELETE FROM log_on WHERE terminal_id = ?", (terminal_id,))
            case BusinessDateMoved(day, sequence):
                values = (day.isoformat(), sequence)
                run("INSERT OR REPLACE INTO business_date VALUES (1, ?, ?)", values)
                state_batches.prune(run, day)
            case AtcMarksKept(sequence, marks):
                self._connection.executemany(
                    "INSERT OR REPLACE INTO atc_mark VALUES (?, ?, ?, ?)",
                    (_mark_row(account, tag, mark) for account, tag, mark in marks),
                )
                run("INSERT OR REPLACE INTO marks_kept VALUES (1, ?)", (sequence,))
            case _:
                state_batches.apply_change(run, change)

    def _fault(self, what: str, error: sqlite3.Error) -> StateError:
        internal = f"{self._path} {what}: {error}"
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_NOTADB,
        ):
            return StateError(
                f"The switch's state file {self._path} is damaged.",
                internal=internal,
                fix="Restore it from its backup; the ledger beside it is not concerned.",
            )
        return StateError(
            f"The switch's state file {self._path} {what}.",
            internal=internal,
            fix="Is another switch running, the disk full or read-only?",
        )


def _mark_row(account_id: int, card_tag: int, mark: int) -> tuple[bytes, int, int, bytes]:
    atc, seen = unpack_mark(mark)
    return account_id.to_bytes(16, "big"), card_tag, atc, seen.to_bytes(8, "big")
