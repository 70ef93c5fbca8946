"""What lies in a ledger's files, block by block, and what of it verifies. It judges nothing.

Works on damaged, truncated and foreign files: what does not verify is named with its offset and is
never interpreted. Whether damage matters is `recovery`'s question.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from zlib import crc32

from ledger.dense import SealedHeader, block_checksums, read_column
from ledger.frame import (
    BLOCK_BYTES,
    FRAME_MAGIC,
    HEADER_BYTES,
    FrameHeader,
    frame_bytes,
    frame_header,
)
from ledger.limits import FRAME_RECORDS_MAX
from ledger.log import SUPERBLOCK_NAME
from ledger.pages import SUPERBLOCK_BYTES, read_identity, read_mark, read_segment_header
from ledger.record import RECORD_BYTES, Kind, Record, unpack_body, unseal
from ledger.snapshot import Snapshot
from ledger.storage import Storage


@dataclass(frozen=True, slots=True)
class Finding:
    """One stretch of a file: where, how long, what it is, whether it verifies, and its values."""

    file: str
    offset: int
    length: int
    what: str
    sound: bool
    values: dict[str, object] = field(default_factory=dict)


def inspect_storage(storage: Storage) -> Iterator[Finding]:
    """Yield everything in superblock, segments and snapshots, in the order of file and offset."""
    names = storage.names()
    if SUPERBLOCK_NAME in names:
        yield from _superblock(storage)
    else:
        yield Finding(SUPERBLOCK_NAME, 0, 0, "missing", sound=False)
    for name in names:
        stem, _, suffix = name.partition(".")
        if stem.isdigit() and suffix in _SHOWN:
            yield from _SHOWN[suffix](storage, name)


def inspect_frame(storage: Storage, number: int) -> Iterator[Finding]:
    """Yield the header and every record of each sound frame header with this number."""
    for found in inspect_storage(storage):
        if found.values.get("frame") != number or not found.what.startswith("frame"):
            continue
        yield found
        count = int(str(found.values["records"]))
        first = int(str(found.values["first_sequence"]))
        # A sealed segment keeps the records alone; their header is computed.
        start = found.offset + (HEADER_BYTES if found.file.endswith(".seg") else 0)
        payload = storage.read(found.file, start, RECORD_BYTES * count)
        for index in range(count):
            record = payload[RECORD_BYTES * index : RECORD_BYTES * (index + 1)]
            yield _record(found.file, start + RECORD_BYTES * index, record, first + index)


def _record(name: str, offset: int, record: bytes, sequence: int) -> Finding:
    body = unseal(record) if len(record) == RECORD_BYTES else None
    if body is None:
        what = "record cut off" if len(record) < RECORD_BYTES else "record, checksum wrong"
        values: dict[str, object] = {"sequence": sequence, "bytes": record.hex()}
        return Finding(name, offset, len(record), what, sound=False, values=values)
    values = dict(zip(Record._fields, unpack_body(body), strict=True))
    for field_name in ("id", "user_data_128", "unknown_id"):
        values[field_name] = f"{values[field_name]:032x}"
    kind = values["kind"]
    known = kind in Kind.__members__.values()
    values["kind"] = Kind(int(str(kind))).name.lower() if known else kind
    sound = known and values["sequence"] == sequence
    return Finding(name, offset, RECORD_BYTES, "record", sound, values)


def _superblock(storage: Storage) -> Iterator[Finding]:
    data = storage.read(SUPERBLOCK_NAME, 0, SUPERBLOCK_BYTES)
    page = data[:BLOCK_BYTES]
    identity = read_identity(page)
    values: dict[str, object] = {}
    if identity is not None:
        values = {"uuid": identity.uuid.hex(), "segment_size": identity.segment_size}
    yield Finding(SUPERBLOCK_NAME, 0, len(page), "identity page", identity is not None, values)
    for slot in (1, 2):
        offset = slot * BLOCK_BYTES
        page, offset = data[offset : offset + BLOCK_BYTES], min(offset, len(data))
        mark = read_mark(page)
        if mark is not None:
            values = {**mark._asdict(), "frame_hash": mark.frame_hash.hex()}
            yield Finding(SUPERBLOCK_NAME, offset, len(page), "commit mark", True, values)
        else:
            blank = not page.strip(b"\0") and len(page) == BLOCK_BYTES
            what = "commit mark, empty" if blank else "commit mark, does not verify"
            yield Finding(SUPERBLOCK_NAME, offset, len(page), what, blank)


def _segment(storage: Storage, name: str) -> Iterator[Finding]:
    page = storage.read(name, 0, BLOCK_BYTES)
    header = read_segment_header(page)
    values: dict[str, object] = {}
    if header is not None:
        values = {
            key: value.hex() if isinstance(value, bytes) else value
            for key, value in header._asdict().items()
        }
    what = "segment header" if header is not None else "segment header, does not verify"
    yield Finding(name, 0, len(page), what, header is not None, values)
    size = storage.size(name)
    offset, run, previous = BLOCK_BYTES, _Run(name), None
    while offset < size:
        block = storage.read(name, offset, BLOCK_BYTES)
        frame = FrameHeader.unpack(block[:HEADER_BYTES])
        if frame is None:
            yield from run.add(offset, block)
            offset += BLOCK_BYTES
            continue
        yield from run.end()
        found = _frame(storage, name, offset, frame, block[:HEADER_BYTES], previous)
        yield found
        previous = sha256(block[:HEADER_BYTES]).digest()
        offset += found.length
    yield from run.end()
    if header is not None and size != header.segment_size:
        yield Finding(name, size, 0, f"file ends, {header.segment_size} bytes expected", False)


def _frame(
    storage: Storage,
    name: str,
    offset: int,
    frame: FrameHeader,
    head: bytes,
    previous: bytes | None,
) -> Finding:
    values: dict[str, object] = {
        "frame": frame.number, "first_sequence": frame.first_sequence,
        "records": frame.record_count, "nonce": frame.nonce.hex(),
        "hash": sha256(head).hexdigest(), "previous_hash": frame.previous_hash.hex(),
    }  # fmt: skip
    count = frame.record_count
    if not 0 < count <= FRAME_RECORDS_MAX or frame.payload_bytes != RECORD_BYTES * count:
        step = min(BLOCK_BYTES, storage.size(name) - offset)
        return Finding(name, offset, step, "frame, its counts disagree", False, values)
    length = frame_bytes(count)
    raw = storage.read(name, offset, length)
    payload, padding = raw[HEADER_BYTES:][: frame.payload_bytes], raw[HEADER_BYTES + 128 * count :]
    wrong = ""
    if len(raw) < length:
        wrong = ", cut off"
    elif crc32(payload) != frame.payload_crc:
        wrong = ", payload checksum wrong"
    elif sha256(payload).digest() != frame.payload_sha256:
        wrong = ", payload hash wrong"
    elif padding.strip(b"\0"):
        wrong = ", padding not zero"
    elif previous is not None and frame.previous_hash != previous:
        wrong = ", does not continue the frame before"
    # A payload that is wrong may hide frames in it: go on block by block.
    step = BLOCK_BYTES if wrong.startswith((", cut", ", payload")) else length
    step = min(step, len(raw))
    return Finding(name, offset, step, "frame" + wrong, not wrong, values)


class _Run:
    """Blocks in a row that are no frame: zero, or something that does not verify."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = self._end = 0
        self._what = ""

    def add(self, offset: int, block: bytes) -> Iterator[Finding]:
        """Take a block; yield the run before it when that was of another kind."""
        if not block.strip(b"\0"):
            what = "zero"
        elif block[: len(FRAME_MAGIC)] == FRAME_MAGIC:
            what = "frame header, checksum wrong"
        else:
            what = "no frame"
        if what != self._what or what.startswith("frame"):
            yield from self.end()
            self._start, self._what = offset, what
        self._end = offset + len(block)

    def end(self) -> Iterator[Finding]:
        """Yield the run, if there is one."""
        if self._what:
            length = self._end - self._start
            yield Finding(self._name, self._start, length, self._what, self._what == "zero")
        self._what = ""


def _sealed(storage: Storage, name: str) -> Iterator[Finding]:
    size = storage.size(name)
    page = storage.read(name, 0, BLOCK_BYTES)
    header = SealedHeader.read(page)
    if header is None:
        yield Finding(name, 0, len(page), "sealed segment header, does not verify", sound=False)
        if size > len(page):
            what = "not interpreted without its header"
            yield Finding(name, len(page), size - len(page), what, sound=False)
        return
    shown = {**header.segment._asdict(), **header._asdict()}
    del shown["segment"]
    values = {
        key: value.hex() if isinstance(value, bytes) else value for key, value in shown.items()
    }
    yield Finding(name, 0, len(page), "sealed segment header", True, values)
    parts = header.parts()
    checksums = storage.read(name, parts.checksums.offset, parts.checksums.length)
    bad = _bad_blocks(storage, name, header, checksums)
    end = min(size, parts.records.offset)
    if parts.frame_counts.end <= size and not _touches(bad, *parts.frame_counts):
        for found in _sealed_frames(storage, name, header, bad):
            yield found
            end = found.offset + found.length
    stop = max(end, min(size, parts.checksums.offset))
    for block in sorted(bad):
        if (block + 1) * BLOCK_BYTES <= end or block * BLOCK_BYTES >= stop:
            continue
        start = max(end, block * BLOCK_BYTES)
        if start > end:
            yield Finding(name, end, start - end, "index", sound=True)
        end = min(stop, (block + 1) * BLOCK_BYTES)
        yield Finding(name, start, end - start, "block checksum wrong", sound=False)
    if end < stop:
        yield Finding(name, end, stop - end, "index", sound=True)
    if checksums:
        sound = crc32(checksums) == header.checksums_crc
        what = "block checksums" if sound else "block checksums, do not verify"
        yield Finding(name, stop, len(checksums), what, sound)
    if size != parts.checksums.end:
        yield Finding(name, size, 0, f"file ends, {parts.checksums.end} bytes expected", False)


def _sealed_frames(
    storage: Storage, name: str, header: SealedHeader, bad: set[int]
) -> Iterator[Finding]:
    parts, segment = header.parts(), header.segment
    counts = read_column("H", storage.read(name, *parts.frame_counts))
    if sum(counts) != header.records:
        return
    offset, previous, sequence = parts.records.offset, segment.previous_hash, segment.first_sequence
    for number, count in enumerate(counts, segment.first_frame):
        length = RECORD_BYTES * count
        head = frame_header(
            number, segment.nonce, previous, sequence, storage.read(name, offset, length)
        )
        values: dict[str, object] = {
            "frame": number, "first_sequence": sequence, "records": count,
            "hash": sha256(head).hexdigest(), "previous_hash": previous.hex(),
        }  # fmt: skip
        sound = not _touches(bad, offset, length)
        what = "frame" if sound else "frame, block checksum wrong"
        yield Finding(name, offset, length, what, sound, values)
        offset, sequence, previous = offset + length, sequence + count, sha256(head).digest()


def _bad_blocks(storage: Storage, name: str, header: SealedHeader, checksums: bytes) -> set[int]:
    """Give the numbers of the blocks whose checksum is not the one in the table."""
    body = storage.read(name, BLOCK_BYTES, header.parts().checksums.offset - BLOCK_BYTES)
    table = read_column("I", checksums[: len(checksums) // 4 * 4])
    found = block_checksums(body)
    return {
        block
        for block, checksum in enumerate(found, 1)
        if block > len(table) or table[block - 1] != checksum
    }


def _touches(blocks: set[int], offset: int, length: int) -> bool:
    last = (offset + max(length, 1) - 1) // BLOCK_BYTES
    return not blocks.isdisjoint(range(offset // BLOCK_BYTES, last + 1))


def _snapshot(storage: Storage, name: str) -> Iterator[Finding]:
    size = storage.size(name)
    snapshot = Snapshot.read(storage.read(name, 0, size))
    if snapshot is None:
        yield Finding(name, 0, size, "snapshot, does not verify", sound=False)
        return
    values: dict[str, object] = {
        "last_sequence": snapshot.last_sequence, "last_frame": snapshot.last_frame,
        "accounts": len(snapshot.account_sequences),
        "pendings": len(snapshot.pendings) // RECORD_BYTES,
        "chain_head": snapshot.chain_head.hex(), "root": snapshot.root.hex(),
    }  # fmt: skip
    yield Finding(name, 0, size, "snapshot", True, values)


_SHOWN: dict[str, Callable[[Storage, str], Iterator[Finding]]] = {
    "seg": _segment,
    "seal": _sealed,
    "snap": _snapshot,
}
