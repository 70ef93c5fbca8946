"""Batches, vouchers and changed PINs in the state file: how they are written and read back."""

import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from switch.changes import (
    BatchClosed,
    BatchDisputed,
    BatchesKept,
    BatchOpened,
    BatchRow,
    BatchSetAside,
    BatchTotals,
    BatchUploaded,
    Change,
    KeptBatch,
    OutageCounted,
    OutageReleased,
    PinChanged,
)
from switch.limits import SETTLED_DAYS_KEPT

Run = Callable[..., sqlite3.Cursor]
#: Each terminal's last closed batch stays, however old.
_DROP_UPLOADS = """
DELETE FROM batch_upload WHERE batch_id IN (
  SELECT batch_id FROM terminal_batch
  WHERE state IN ('closed', 'set aside') AND coalesce(closed_on, opened_on) < ?
    AND batch_id NOT IN (
      SELECT max(batch_id) FROM terminal_batch WHERE state = 'closed' GROUP BY terminal_number
    )
)
"""
_DROP_BATCHES = """
DELETE FROM terminal_batch
WHERE state IN ('closed', 'set aside') AND coalesce(closed_on, opened_on) < ?
  AND batch_id NOT IN (
    SELECT max(batch_id) FROM terminal_batch WHERE state = 'closed' GROUP BY terminal_number
  )
"""
_LAST_CLOSED = """
SELECT batch_id, terminal_number, number, message_id, declared, totals, closed_on, closed_sequence
FROM terminal_batch WHERE batch_id IN (
  SELECT max(batch_id) FROM terminal_batch WHERE state = 'closed' GROUP BY terminal_number
)
"""
_EVERY_BATCH = """
SELECT batch_id, terminal_number, number, state, opened_sequence, opened_on, counted, totals,
  declared, closed_sequence, closed_on
FROM terminal_batch ORDER BY batch_id
"""
_NOT_CLOSED = """
SELECT batch_id, terminal_number, number, opened_sequence, counted, totals, state
FROM terminal_batch WHERE state IN ('open', 'disputed') ORDER BY batch_id
"""


def apply_change(run: Run, change: Change) -> None:
    """Write one change of batches, vouchers or PINs; others are none of this module's."""
    match change:
        case BatchOpened(batch_id, terminal_number, number, sequence, day):
            run(
                "INSERT INTO terminal_batch (batch_id, terminal_number, number, state,"
                " opened_sequence, opened_on, counted, totals) VALUES (?,?,?,'open',?,?,?,?)",
                (batch_id, terminal_number, number, sequence, day.isoformat(), sequence,
                 _text(BatchTotals())),
            )  # fmt: skip
        case BatchesKept(rows):
            for batch_id, counted, totals in rows:
                run(
                    "UPDATE terminal_batch SET counted = ?, totals = ? WHERE batch_id = ?",
                    (counted, _text(totals), batch_id),
                )
        case BatchDisputed(batch_id, declared):
            run(
                "UPDATE terminal_batch SET state = 'disputed', declared = ? WHERE batch_id = ?",
                (_text(declared), batch_id),
            )
        case BatchUploaded(batch_id, transfer_id, code, claimed, posted):
            run(
                "INSERT OR REPLACE INTO batch_upload VALUES (?, ?, ?, ?, ?)",
                (batch_id, _blob(transfer_id), code, claimed, posted),
            )
        case BatchSetAside(batch_id, counted, totals):
            run(
                "UPDATE terminal_batch SET state = 'set aside', counted = ?, totals = ?"
                " WHERE batch_id = ?",
                (counted, _text(totals), batch_id),
            )
        case BatchClosed():
            _close(run, change)
        case OutageCounted(transfer_id, account_id, terminal_number, day, amount_sen):
            run(
                "INSERT OR IGNORE INTO outage_sale VALUES (?, ?, ?, ?, ?)",
                (_blob(transfer_id), _blob(account_id), terminal_number, day.isoformat(),
                 amount_sen),
            )  # fmt: skip
        case OutageReleased(transfer_id):
            run("DELETE FROM outage_sale WHERE transfer_id = ?", (_blob(transfer_id),))
        case PinChanged(card_number, offset, base, transfer_id):
            run(
                "INSERT OR REPLACE INTO pin_change VALUES (?, ?, ?, ?)",
                (card_number, offset, base, _blob(transfer_id)),
            )


def prune(run: Run, today: date) -> None:
    """Drop what was settled long ago (`SETTLED_DAYS_KEPT`); each terminal's last batch stays."""
    oldest = ((today - timedelta(days=SETTLED_DAYS_KEPT)).isoformat(),)
    run(_DROP_UPLOADS, oldest)
    run(_DROP_BATCHES, oldest)
    run("DELETE FROM outage_sale WHERE day < ?", oldest)


def load(run: Run) -> dict[str, Any]:
    """Give these parts of the snapshot by their names."""
    return {
        "batches": tuple(_kept(run)),
        "closed_batches": tuple(closed_batch(row) for row in run(_LAST_CLOSED)),
        "last_batch_id": run("SELECT coalesce(max(batch_id), 0) FROM terminal_batch").fetchone()[0],
        "outage_sales": tuple(
            OutageCounted(_int(one), _int(account), terminal, date.fromisoformat(day), amount)
            for one, account, terminal, day, amount in run("SELECT * FROM outage_sale")
        ),
        "pins": {
            number: PinChanged(number, offset, base, _int(one))
            for number, offset, base, one in run("SELECT * FROM pin_change")
        },
    }


def all_batches(run: Run) -> list[BatchRow]:
    """Give every batch of the file, in the order in which they were opened."""
    return [
        BatchRow(
            batch_id,
            terminal,
            number,
            state,
            opened,
            date.fromisoformat(opened_on),
            counted,
            read_totals(totals),
            read_totals(declared) if declared else None,
            closed,
            date.fromisoformat(closed_on) if closed_on else None,
        )
        for (
            batch_id,
            terminal,
            number,
            state,
            opened,
            opened_on,
            counted,
            totals,
            declared,
            closed,
            closed_on,
        ) in run(_EVERY_BATCH)
    ]


def all_uploads(run: Run) -> list[BatchUploaded]:
    """Give every uploaded record of the file, by batch."""
    return [
        BatchUploaded(batch_id, _int(one), code, claimed, posted)
        for batch_id, one, code, claimed, posted in run(
            "SELECT batch_id, transfer_id, processing_code, claimed_sen, posted_sen"
            " FROM batch_upload ORDER BY batch_id, transfer_id"
        )
    ]


def closed_batch(row: tuple[Any, ...]) -> BatchClosed:
    """Give a closed batch from its columns in the order of `BatchClosed`."""
    batch_id, terminal, number, message_id, declared, totals, day, sequence = row
    return BatchClosed(
        batch_id, terminal, number, _int(message_id), read_totals(declared),
        read_totals(totals), date.fromisoformat(day), sequence,
    )  # fmt: skip


def read_totals(text: str) -> BatchTotals:
    """Give totals from their text in the file.

    >>> read_totals("1,25000,0,0,0,0").sales_sen
    25000
    """
    return BatchTotals(*map(int, text.split(",")))


def _close(run: Run, closed: BatchClosed) -> None:
    run(
        "INSERT OR IGNORE INTO terminal_batch (batch_id, terminal_number, number, state,"
        " opened_sequence, opened_on, counted, totals) VALUES (?,?,?,'open',?,?,?,'')",
        (closed.batch_id, closed.terminal_number, closed.number, closed.sequence,
         closed.day.isoformat(), closed.sequence),
    )  # fmt: skip
    run(
        "UPDATE terminal_batch SET state = 'closed', totals = ?, declared = ?, closed_on = ?,"
        " closed_sequence = ?, message_id = ? WHERE batch_id = ?",
        (_text(closed.totals), _text(closed.declared), closed.day.isoformat(), closed.sequence,
         _blob(closed.message_id), closed.batch_id),
    )  # fmt: skip


def _kept(run: Run) -> list[KeptBatch]:
    uploads = dict(run("SELECT batch_id, count(*) FROM batch_upload GROUP BY batch_id"))
    return [
        KeptBatch(
            batch_id,
            terminal,
            number,
            opened,
            counted,
            read_totals(totals),
            state == "disputed",
            uploads.get(batch_id, 0),
        )
        for batch_id, terminal, number, opened, counted, totals, state in run(_NOT_CLOSED)
    ]


def _text(totals: BatchTotals) -> str:
    return ",".join(map(str, totals))


def _blob(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _int(blob: bytes) -> int:
    return int.from_bytes(blob, "big")
