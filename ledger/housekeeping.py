"""What a writer does beside its commits: spares ahead, sealed segments and snapshots behind.

Nothing acknowledged depends on it. A disk error leaves everything as it was and is tried again;
damage that is found on the way stops the writer. On threads of its own where that is allowed, else
where the commit ends (docs/reference/ledger-format.md, sections 3, 9 and 10).
"""

import threading
from collections.abc import Callable
from hashlib import sha256

from ledger.books import Books
from ledger.dense import Ends, build_sealed, frame_headers
from ledger.errors import LedgerCorruptError
from ledger.frame import HEADER_BYTES, FrameHeader
from ledger.limits import SNAPSHOTS_KEPT
from ledger.log import RawSegment, SegmentedLog
from ledger.pages import seal_name, segment_name, snapshot_name
from ledger.recovery import corrupt
from ledger.snapshot import Snapshot, snapshot_numbers

SEAL_TEMPORARY_NAME = "seal.tmp"
SNAPSHOT_TEMPORARY_NAME = "snapshot.tmp"


class Housekeeper:
    """Makes spares, seals closed segments and writes snapshots for one writer."""

    def __init__(
        self, log: SegmentedLog, books: Books, state_lock: threading.Lock, *, background: bool
    ) -> None:
        self._log = log
        self._books = books
        self._state_lock = state_lock
        self._background = background
        self._spare_maker: threading.Thread | None = None
        self._sealer: threading.Thread | None = None
        self.spare_error = ""
        self.seal_error = ""
        #: Damage of acknowledged data that sealing came upon.
        self.damage: LedgerCorruptError | None = None
        #: The last sequence of the newest snapshot that was opened from or written.
        self.snapshot_sequence = 0

    def prepare_spare(self) -> None:
        """Make the next segment, in the background where that is allowed."""
        making = self._spare_maker is not None and self._spare_maker.is_alive()
        if self._log.has_spare or making:
            return
        self._spare_maker = self._run(self.make_spare, "ledger-spare")

    def make_spare(self) -> None:
        """Make the next segment now."""
        # Without a spare the ledger goes on until the segment is full, then refuses up front, so
        # an error here poisons nothing; it is named when it comes to matter.
        try:
            self._log.prepare_spare()
            self.spare_error = ""
        except OSError as error:
            self.spare_error = str(error)

    def wait_for_spare(self) -> None:
        """Wait until a spare that is being made is there, or has failed."""
        if self._spare_maker is not None:
            self._spare_maker.join()
            self._spare_maker = None

    def seal(self, snapshot: Snapshot | None) -> None:
        """Seal what is closed; then write the snapshot, when it is that of the last one sealed.

        One sealing runs at a time: a second one waits for the first.
        """
        self.wait_for_sealing()
        if self._closed_segments() and self.damage is None:
            self._sealer = self._run(lambda: self._seal_all(snapshot), "ledger-sealer")

    def wait_for_sealing(self) -> None:
        """Wait until a sealing that runs is done, or has failed."""
        if self._sealer is not None:
            self._sealer.join()
            self._sealer = None

    def _run(self, work: Callable[[], None], name: str) -> threading.Thread | None:
        if not self._background:
            work()
            return None
        thread = threading.Thread(target=work, name=name)
        thread.start()
        return thread

    def _closed_segments(self) -> list[RawSegment]:
        return [s for s in self._log.segments[:-1] if isinstance(s, RawSegment)]

    def _seal_all(self, snapshot: Snapshot | None) -> None:
        try:
            for segment in self._closed_segments():
                self._seal_one(segment)
                if snapshot is not None and snapshot.number == segment.number:
                    self._write_snapshot(snapshot)
            self.seal_error = ""
        except OSError as error:
            self.seal_error = str(error)
            self._remove_half_made()
        except LedgerCorruptError as error:
            self.damage = error  # The next call of any kind raises it.

    def _remove_half_made(self) -> None:
        """Give back the space of what could not be finished: a commit may need it."""
        storage = self._log.storage
        for name in (SEAL_TEMPORARY_NAME, SNAPSHOT_TEMPORARY_NAME):
            try:
                if name in storage.names():
                    storage.remove(name)
            except OSError as error:
                self.seal_error += f"; {name}: {error}"

    def _seal_one(self, segment: RawSegment) -> None:
        storage, number = self._log.storage, segment.number
        content = seal_bytes(self._log, segment)
        storage.create(SEAL_TEMPORARY_NAME, content)
        storage.sync(SEAL_TEMPORARY_NAME)
        if storage.read(SEAL_TEMPORARY_NAME, 0, len(content) + 1) != content:
            raise OSError(f"{storage.location}/{SEAL_TEMPORARY_NAME}: read back otherwise")
        storage.rename(SEAL_TEMPORARY_NAME, seal_name(number))
        storage.sync_directory()
        # From here on two files hold the segment, and readers are sent to the sealed one.
        self._log.adopt_sealed(number)
        self._books.cool_all(self._log.segments, self._state_lock)
        storage.remove(segment_name(number))

    def _write_snapshot(self, snapshot: Snapshot) -> None:
        storage = self._log.storage
        storage.create(SNAPSHOT_TEMPORARY_NAME, snapshot.pack())
        storage.sync(SNAPSHOT_TEMPORARY_NAME)
        storage.rename(SNAPSHOT_TEMPORARY_NAME, snapshot_name(snapshot.number))
        storage.sync_directory()
        self.snapshot_sequence = snapshot.last_sequence
        for number in snapshot_numbers(storage.names())[:-SNAPSHOTS_KEPT]:
            storage.remove(snapshot_name(number))


def seal_bytes(log: SegmentedLog, segment: RawSegment) -> bytes:
    """Give the sealed file of a closed raw segment; raise where a frame is not what it was."""
    storage, name = log.storage, segment_name(segment.number)
    raw = storage.read(name, 0, log.identity.segment_size)
    heads, payloads = [], []
    for offset in segment.offsets():
        head = raw[offset : offset + HEADER_BYTES]
        header = FrameHeader.unpack(head)
        if header is None:
            corrupt(log, name, offset, "the frame's header does not verify any more")
        heads.append(head)
        start = offset + HEADER_BYTES
        payloads.append((header.record_count, raw[start : start + header.payload_bytes]))
    records, counts = b"".join([p for _, p in payloads]), [count for count, _ in payloads]
    for index, rebuilt in enumerate(frame_headers(segment.segment, records, counts)):
        if rebuilt != heads[index]:
            offset = segment.offsets()[index]
            corrupt(log, name, offset, "the frame does not verify any more")
    # The records are those that were hashed into the tree: the chain of the frames says so.
    following = log.segments[segment.number].segment
    ends = Ends(sha256(heads[-1]).digest(), following.previous_root)
    if ends.chain_head != following.previous_hash:
        corrupt(log, name, 0, "the records are not what the next segment continues")
    return build_sealed(segment.segment, records, counts, ends, segment.nodes)
