"""Writes the journal on a thread of its own: the loop only queues, and never waits."""

import json
import os
import threading
from collections import deque
from pathlib import Path
from typing import Any

import structlog

from protocols.clock import Clock, RandomBytes
from protocols.values import SecretBytes
from switch.config import SwitchConfig
from switch.journal.records import EntryKind, Fields, pack_record, segment_header
from switch.journal.store import cipher_for, number_of, path_of, segments_of
from switch.limits import JOURNAL_QUEUE_BYTES_MAX, JOURNAL_RECORD_BYTES_MAX
from switch.session import Arrival, Departure

_log = structlog.get_logger("switch")
#: Bytes that an entry costs in the queue beside its message.
_ENTRY_BYTES = 200
#: Seconds that an entry waits for others before it is written.
_GATHER_SECONDS = 0.05


class JournalWriter:
    """A node's journal. `request`, `answer` and `event` belong to the loop's thread."""

    def __init__(
        self,
        directory: Path,
        key: SecretBytes,
        config: SwitchConfig,
        clock: Clock,
        random_bytes: RandomBytes,
    ) -> None:
        """Begin a new segment behind those that are there; raise OSError when that cannot be."""
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory
        self._cipher = cipher_for(key)
        self._config = config.journal
        self._links = [link.link for link in config.all_links]
        self._header = {
            "format": 1, "node": config.node, "links": self._links,
            "specs": [link.spec for link in config.all_links],
        }  # fmt: skip
        self._clock, self._random_bytes = clock, random_bytes
        self._queue: deque[Fields] = deque()
        self._put_bytes = 0
        self._taken_bytes = 0
        self._wake = threading.Event()
        self._is_closing = False
        self.dropped = 0
        #: Hours that the journal reached back when its oldest segment went too early; 0: never.
        self.short_hours = 0.0
        known = segments_of(directory)
        self._number = number_of(known[-1]) if known else 0
        self._size = 0
        self._descriptor = -1
        self._begin_segment()
        self._thread = threading.Thread(target=self._run, name="switch-journal", daemon=True)
        self._thread.start()

    @property
    def queued(self) -> int:
        """Give how many entries wait."""
        return len(self._queue)

    def request(self, arrival: Arrival) -> None:
        """Keep a message that came in."""
        connection, tpdu, payload, link = arrival
        self._put((self._clock.now_ns(), EntryKind.REQUEST, link, connection, tpdu, payload))

    def answer(self, departure: Departure, link: str) -> None:
        """Keep an answer, or that the connection was cut instead."""
        connection, tpdu, payload = departure
        kind = EntryKind.CUT if payload is None else EntryKind.ANSWER
        self._put((self._clock.now_ns(), kind, link, connection, tpdu, payload or b""))

    def event(self, name: str, fields: dict[str, Any]) -> None:
        """Keep a decision; its fields are free of card data, as every event of the core."""
        text = json.dumps({"event": name, **fields}, default=str).encode()
        self._put((self._clock.now_ns(), EntryKind.EVENT, self._links[0], 0, b"", text))

    def close(self) -> None:
        """Write what waits, sync, close. Idempotent."""
        self._is_closing = True
        self._wake.set()
        self._thread.join()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _put(self, entry: Fields) -> None:
        size = len(entry[-1]) + _ENTRY_BYTES
        if self._put_bytes - self._taken_bytes + size > JOURNAL_QUEUE_BYTES_MAX:
            self.dropped += 1
            return
        self._put_bytes += size
        self._queue.append(entry)

    def _run(self) -> None:
        while True:
            self._wake.wait(_GATHER_SECONDS)
            is_last = self._is_closing
            did_write = False
            while entries := self._take():
                did_write |= self._write(entries)
            if did_write or is_last:
                self._sync()
            if is_last:
                return

    def _take(self) -> list[Fields]:
        """Give entries for one record."""
        entries: list[Fields] = []
        size = 0
        while self._queue and size < JOURNAL_RECORD_BYTES_MAX - 65_536:
            entry = self._queue.popleft()
            size += len(entry[-1]) + _ENTRY_BYTES
            entries.append(entry)
        self._taken_bytes += size
        return entries

    def _write(self, entries: list[Fields]) -> bool:
        record = pack_record(entries, self._links, self._cipher, self._random_bytes(12))
        try:
            if self._size + len(record) > self._config.segment_megabytes << 20:
                self._begin_segment()
            view = memoryview(record)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            self.dropped += len(entries)
            _log.error("journal not written", why=error.strerror, entries=len(entries))
            self._take_back()
            return False
        self._size += len(record)
        return True

    def _take_back(self) -> None:
        """Take half a record away; where that cannot be done go on in a new segment."""
        try:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
        except OSError:
            self._abandon_segment()

    def _abandon_segment(self) -> None:
        """Go on in a new segment: the old one may end in half a record."""
        try:
            self._begin_segment()
        except OSError as error:
            _log.error("no journal segment", why=error.strerror)

    def _begin_segment(self) -> None:
        number = self._number + 1
        path = path_of(self._directory, number)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        header = segment_header(self._header)
        try:
            os.write(descriptor, header)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
        self._descriptor, self._number, self._size = descriptor, number, len(header)
        for old in segments_of(self._directory)[: -self._config.segments]:
            self._remove(old, os.fstat(descriptor).st_mtime)

    def _remove(self, oldest: Path, now_s: float) -> None:
        """Let a segment go, and say so; loudly where the journal then reaches back too little."""
        reaches_hours = (now_s - oldest.stat().st_mtime) / 3_600
        oldest.unlink()
        tell = _log.info
        if reaches_hours < self._config.hours:
            self.short_hours, tell = max(reaches_hours, 0.001), _log.error
        tell("journal segment removed", segment=number_of(oldest), hours=round(reaches_hours, 2))

    def _sync(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            _log.error("journal not synced", why=error.strerror)
