"""The journal's file: append, make durable, recover. One writer, held by a lock.

What is durable: when `append` returns, its records survive a power cut. A tail without its line
feed is a write that was never acknowledged; opening cuts it off. Anything else that does not read
back is damage to acknowledged data: opening refuses, naming file and offset.
"""

import os
from pathlib import Path

from terminal.errors import (
    JournalDamagedError,
    JournalVersionError,
    JournalWriteError,
    SealBrokenError,
)
from terminal.journal.codec import LineError, decode_line, encode_line
from terminal.journal.records import JOURNAL_VERSION, READABLE_VERSIONS, Header, Record
from terminal.journal.state import JournalState
from terminal.journal.transactions import OrderError
from terminal.limits import JOURNAL_LINE_MAX_BYTES, JOURNAL_MAX_BYTES, JOURNAL_RESERVE_BYTES
from terminal.sealing import Sealer


class Journal:
    """An open journal: the state that opening recovered, and the way to add to it.

    The host session takes `state` over and applies each record when it hands it out. Appends are
    durable on return. A failed write or sync closes the journal for good: what the disk holds is
    then unknown until the next opening reads it.
    """

    def __init__(self, path: Path, descriptor: int, sealer: Sealer) -> None:
        """Use `Journal.open`."""
        self.path = path
        self.state = JournalState()
        self._descriptor = descriptor
        self._sealer = sealer
        self._crc = 0
        self._size = 0

    @classmethod
    def open(
        cls,
        path: Path,
        terminal_id: str,
        sealer: Sealer,
        *,
        now_ns: int,
        used: bool = False,
        training: bool = False,
    ) -> "Journal":
        """Open or create the journal of a terminal and recover its state.

        Raises JournalDamagedError, JournalVersionError, JournalWriteError, and SealBrokenError for
        another storage key. The caller holds the lock of the directory. `used` says that this
        terminal has talked to its host: then an empty or missing journal is a lost one, because
        its header was durable before that. A training terminal's journal opens for training only,
        and the reverse.
        """
        existed = path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        journal = cls(path, descriptor, sealer)
        try:
            journal._recover(terminal_id, used=used)
            journal._check_purpose(training)
            if not journal.state.terminal_id:
                header = Header(
                    version=JOURNAL_VERSION,
                    terminal_id=terminal_id,
                    created_ns=now_ns,
                    training=training,
                )
                journal.append(header)
                journal.state.apply(header)
            if not existed:
                _sync_directory(path.parent)
        except BaseException:
            journal.close()
            raise
        return journal

    @property
    def has_room(self) -> bool:
        """Tell whether one more sale, with its reversal and repeats, surely fits."""
        return self._size + JOURNAL_RESERVE_BYTES <= JOURNAL_MAX_BYTES

    def check_open(self) -> None:
        """Raise JournalWriteError after a failed write or `close`: memory is no record then."""
        if self._descriptor < 0:
            raise JournalWriteError(
                f"{self.path}: the journal is closed.", fix="Start the terminal again."
            )

    def append(self, *records: Record) -> None:
        """Add records in order and make them durable, all with one sync.

        Raises JournalWriteError; the journal is closed then and takes no more.
        """
        self.check_open()
        lines, crc = [], self._crc
        for record in records:
            line, crc = encode_line(record, crc, self._sealer)
            assert len(line) <= JOURNAL_LINE_MAX_BYTES, "a record outgrew its limit"
            lines.append(line)
        content = b"".join(lines)
        if self._size + len(content) > JOURNAL_MAX_BYTES:
            raise JournalWriteError(
                f"{self.path}: the journal has reached {JOURNAL_MAX_BYTES} bytes.",
                fix="Move the directory away after settlement and enrol the terminal again.",
            )
        try:
            _write_all(self._descriptor, content)
            os.fdatasync(self._descriptor)
        except OSError as failed:
            self.close()
            raise JournalWriteError(
                f"{self.path}: cannot write: {failed.strerror}.",
                fix="Free the disk or replace it, then start the terminal again.",
            ) from failed
        self._crc = crc
        self._size += len(content)

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _recover(self, terminal_id: str, *, used: bool) -> None:
        size = os.fstat(self._descriptor).st_size
        if size > JOURNAL_MAX_BYTES:
            raise self._damaged(JOURNAL_MAX_BYTES, "it is larger than any journal")
        content = os.pread(self._descriptor, size, 0) if size else b""
        end = content.rfind(b"\n") + 1
        if used and not end:
            raise self._damaged(0, "nothing is left of it, and this terminal was at work before")
        offset = 0
        for line in content[:end].split(b"\n")[:-1]:
            self._take(line, offset, terminal_id)
            offset += len(line) + 1
        self._cut_torn_tail(content[end:], end)
        self._size = end

    def _take(self, line: bytes, offset: int, terminal_id: str) -> None:
        if len(line) >= JOURNAL_LINE_MAX_BYTES:
            raise self._damaged(offset, "a line is longer than any record")
        try:
            record, self._crc = decode_line(line, self._crc, self._sealer)
            if offset == 0:
                self._check_header(record, terminal_id)
            elif isinstance(record, Header):
                raise self._damaged(offset, "a second header stands here")
            self.state.apply(record)
        except (LineError, OrderError) as wrong:
            if offset == 0:
                raise JournalVersionError(
                    f"{self.path}: this is no journal of a terminal: {wrong}.",
                    fix="Point the terminal at its own directory.",
                ) from wrong
            raise self._damaged(offset, str(wrong)) from wrong
        except SealBrokenError as wrong:
            raise SealBrokenError(
                f"{self.path}:{offset}: sealed under another storage key.", fix=wrong.fix
            ) from wrong

    def _check_header(self, record: Record, terminal_id: str) -> None:
        if not isinstance(record, Header):
            raise LineError("its first record is no header")
        if record.version not in READABLE_VERSIONS:
            raise JournalVersionError(
                f"{self.path}: version {record.version}, this program reads {JOURNAL_VERSION}.",
                fix="Use the program that wrote it.",
            )
        if record.terminal_id != terminal_id:
            raise JournalVersionError(
                f"{self.path}: belongs to terminal {record.terminal_id}, not {terminal_id}.",
                fix="Point the terminal at its own directory.",
            )

    def _check_purpose(self, training: bool) -> None:
        if self.state.terminal_id and self.state.training != training:
            kept = "training" if self.state.training else "real sales"
            raise JournalVersionError(
                f"{self.path}: holds {kept}; training and real sales never share a directory.",
                fix="Give training a data directory and a switch of its own.",
            )

    def _cut_torn_tail(self, tail: bytes, end: int) -> None:
        if not tail:
            return
        if self._is_whole(tail[:-1]):
            raise self._damaged(end, "its line feed is damaged")
        os.ftruncate(self._descriptor, end)
        os.fsync(self._descriptor)

    def _is_whole(self, line: bytes) -> bool:
        """Tell whether a tail is an acknowledged line whose last byte was altered."""
        try:
            decode_line(line, self._crc, self._sealer)
        except (LineError, SealBrokenError):
            return False
        return True

    def _damaged(self, offset: int, what: str) -> JournalDamagedError:
        return JournalDamagedError(
            f"{self.path}:{offset}: the journal is damaged here: {what}.",
            fix="Keep the file, do not sell on this terminal, and call the bank to settle it.",
        )


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
