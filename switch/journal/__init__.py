"""The binary journal: every raw message and decision of a node, off the hot path (decision 27).

Messages are sealed with AES-256-GCM (decision 19): without the keystore the journal tells when,
where and what kind, and the decisions, which hold no card data. Money does not rest on it: what
cannot be written is dropped, counted and told.
"""

from switch.journal.records import Entry, EntryKind, JournalError
from switch.journal.store import read_journal, segments_of
from switch.journal.writer import JournalWriter

__all__ = ["Entry", "EntryKind", "JournalError", "JournalWriter", "read_journal", "segments_of"]
