"""Append-only double-entry settlement core.

What lives here: the `Ledger` port (`ledger.port`), TigerBeetle's structures and statuses, the
pure-Python engine, the native one (`ledger._core`), audit tools. What must not: ISO 8583, cards,
people, or anything of the other packages. A ledger knows accounts, transfers and time.
"""

from ledger.choosing import open_ledger

__all__ = ["open_ledger"]
