"""Sealed segments as they are read: every block checked, nothing but the filter in memory.

Source: docs/reference/ledger-format.md, section 9.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from hashlib import sha256
from typing import NoReturn
from zlib import crc32

from ledger.dense import (
    Parts,
    Place,
    SealedHeader,
    block_checksums,
    filter_mask,
    fingerprint,
    frame_headers,
    frame_payloads,
    read_column,
    record_ids,
)
from ledger.errors import LedgerCorruptError
from ledger.frame import BLOCK_BYTES
from ledger.merkle import NODE_LEVEL_MIN
from ledger.pages import SegmentHeader, seal_name
from ledger.record import KIND_OFFSET, RECORD_BYTES, Kind, unseal
from ledger.storage import Storage

#: Bytes that an iteration over records or postings reads at a time.
_CHUNK_BYTES = 64 * 1024
_ID = slice(16, 32)


class SealedSegment:
    """One sealed segment. Its header and checksums are verified; the rest is when it is read."""

    def __init__(self, storage: Storage, number: int) -> None:
        """Read the header page, the checksums and the filter.

        Raises:
            LedgerCorruptError: one of them does not verify; names file and offset.
            FileNotFoundError: there is no such file.
        """
        self.number = number
        self.name = seal_name(number)
        self._storage = storage
        header = SealedHeader.read(storage.read(self.name, 0, BLOCK_BYTES))
        if header is None or header.segment.number != number:
            self.corrupt(0, "the sealed segment's header page does not verify")
        self.header: SealedHeader = header
        self.parts: Parts = header.parts()
        place = self.parts.checksums
        if storage.size(self.name) != place.end:
            self.corrupt(storage.size(self.name), f"the file ends, {place.end} bytes are due")
        checksums = storage.read(self.name, place.offset, place.length)
        if crc32(checksums) != header.checksums_crc:
            self.corrupt(place.offset, "the block checksums do not verify")
        self._checksums = read_column("I", checksums)
        self._filter = self.read(self.parts.filter.offset, self.parts.filter.length)

    @property
    def segment(self) -> SegmentHeader:
        """Give the values of the raw segment's header page."""
        return self.header.segment

    @property
    def first_sequence(self) -> int:
        """Give the sequence of the first record."""
        return self.header.segment.first_sequence

    @property
    def last_sequence(self) -> int:
        """Give the sequence of the last record."""
        return self.header.last_sequence

    def read(self, offset: int, length: int) -> bytes:
        """Give bytes of the file. Raise `LedgerCorruptError` where a block does not verify."""
        if not length:
            return b""
        first, end = offset // BLOCK_BYTES, -(-(offset + length) // BLOCK_BYTES)
        start = first * BLOCK_BYTES
        content = self._storage.read(self.name, start, (end - first) * BLOCK_BYTES)
        for block, checksum in enumerate(block_checksums(content), first):
            if checksum != self._checksums[block - 1]:
                self.corrupt(block * BLOCK_BYTES, "the block's checksum is wrong")
        if len(content) < offset + length - start:
            self.corrupt(start + len(content), "the file ends")
        return content[offset - start : offset - start + length]

    def column(self, code: str, place: Place, start: int, stop: int) -> "array[int]":
        """Give the integers [start, stop) of a part."""
        width = array(code).itemsize
        return read_column(code, self.read(place.offset + width * start, width * (stop - start)))

    def body(self, sequence: int) -> bytes:
        """Give one record's body."""
        return next(self.bodies(sequence, sequence))

    def bodies(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the bodies of these records, both ends included."""
        step = _CHUNK_BYTES // RECORD_BYTES
        for start in range(first, last + 1, step):
            stop = min(last + 1, start + step)
            offset = self.parts.records.offset + RECORD_BYTES * (start - self.first_sequence)
            records = self.read(offset, RECORD_BYTES * (stop - start))
            for sequence in range(start, stop):
                at = RECORD_BYTES * (sequence - start)
                body = unseal(records[at : at + RECORD_BYTES])
                if body is None or int.from_bytes(body[:8], "little") != sequence:
                    self.corrupt(offset + at, f"record {sequence} does not verify")
                yield body

    def counts(self) -> "array[int]":
        """Give how many records each frame has."""
        return self.column("H", self.parts.frame_counts, 0, self.header.frames)

    def may_hold(self, transfer_id: int, mixed: int, mask: int) -> bool:
        """Say whether the id can be here: its range and its bits in the filter allow it."""
        header = self.header
        if not header.id_min <= transfer_id <= header.id_max:
            return False
        start = (mixed * header.filter_blocks >> 64) * 64
        return int.from_bytes(self._filter[start : start + 64], "little") & mask == mask

    def find(self, transfer_id: int, mixed: int) -> int:
        """Give the sequence of an id's record, negative when it was refused; 0: not here."""
        keys, wanted = self.header.ids, transfer_id.to_bytes(16, "little")
        index = self._bisect("Q", self.parts.id_fingerprints, 0, keys, mixed)
        while index < keys:
            if self.column("Q", self.parts.id_fingerprints, index, index + 1)[0] != mixed:
                return 0
            ordinal = self.column("I", self.parts.id_ordinals, index, index + 1)[0]
            sequence = self.first_sequence + ordinal
            body = self.body(sequence)
            if body[_ID] == wanted:
                return -sequence if body[KIND_OFFSET] == Kind.REFUSAL else sequence
            index += 1
        return 0

    def ids(self) -> Iterator[int]:
        """Yield the ids that the records here have taken."""
        place = self.parts.records
        for offset in range(place.offset, place.end, _CHUNK_BYTES):
            yield from record_ids(self.read(offset, min(_CHUNK_BYTES, place.end - offset)))

    def resolution(self, pending_sequence: int) -> int:
        """Give the sequence of the record that resolved a pending transfer; 0: not here."""
        count, place = self.header.resolutions, self.parts.resolved
        index = self._bisect("Q", place, 0, count, pending_sequence)
        if index == count or self.column("Q", place, index, index + 1)[0] != pending_sequence:
            return 0
        ordinal = self.column("I", self.parts.resolving, index, index + 1)[0]
        return self.first_sequence + ordinal

    def resolved(self) -> "array[int]":
        """Give the sequences of all pending transfers that a record here resolved."""
        return self.column("Q", self.parts.resolved, 0, self.header.resolutions)

    def posting_counts(self) -> Iterator[tuple[int, int]]:
        """Yield each account's number and how many postings it has here."""
        accounts = self.column("I", self.parts.posting_accounts, 0, self.header.accounts)
        ends = self.column("I", self.parts.posting_ends, 0, self.header.accounts)
        before = 0
        for number, end in zip(accounts, ends, strict=True):
            yield number, end - before
            before = end

    def postings(self, account: int, first: int, last: int, *, reverse: bool) -> Iterator[int]:
        """Yield the sequences of an account's records here from `first` to `last`."""
        low, high = max(first, self.first_sequence), min(last, self.last_sequence)
        if low > high:
            return
        base, place = self.first_sequence, self.parts.postings
        start, stop = self._posting_range(account)
        if stop > start:
            start = self._bisect("I", place, start, stop, low - base)
            stop = self._bisect("I", place, start, stop, high - base + 1)
        step = _CHUNK_BYTES // 4
        if not reverse:
            for at in range(start, stop, step):
                for ordinal in self.column("I", place, at, min(stop, at + step)):
                    yield base + ordinal
            return
        for end in range(stop, start, -step):
            for ordinal in reversed(self.column("I", place, max(start, end - step), end)):
                yield base + ordinal

    def node(self, level: int, index: int) -> bytes:
        """Give the root of leaves [index 2^level, (index + 1) 2^level), complete with one here."""
        before, last = self.first_sequence - 1, self.last_sequence
        skipped = sum((last >> at) - (before >> at) for at in range(NODE_LEVEL_MIN, level))
        position = skipped + index - (before >> level)
        assert before >> level <= index < last >> level
        return self.read(self.parts.nodes.offset + 32 * position, 32)

    def records(self) -> bytes:
        """Give all records as they stand, checked by block."""
        return self.read(self.parts.records.offset, self.parts.records.length)

    def verify_blocks(self) -> None:
        """Read the whole file; raise `LedgerCorruptError` where a block does not verify."""
        for offset in range(BLOCK_BYTES, self.parts.checksums.offset, _CHUNK_BYTES):
            self.read(offset, min(_CHUNK_BYTES, self.parts.checksums.offset - offset))

    def frames(self, skip: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield each frame's number, hash and payload, rebuilt; check the chain at the end."""
        records, counts = self.records(), self.counts()
        if sum(counts) != self.header.records or not all(counts):
            self.corrupt(self.parts.frame_counts.offset, "the frame counts contradict the header")
        frame_hash = self.segment.previous_hash
        payloads = frame_payloads(records, counts)
        for index, header in enumerate(frame_headers(self.segment, records, counts)):
            frame_hash = sha256(header).digest()
            payload = next(payloads)
            if index >= skip:
                yield self.segment.first_frame + index, frame_hash, payload
        if frame_hash != self.header.chain_head:
            self.corrupt(216, "the frames do not give the chain head of the header page")

    def corrupt(self, offset: int, what: str) -> NoReturn:
        """Raise `LedgerCorruptError` naming this file and the offset."""
        raise LedgerCorruptError(
            f"{self._storage.location}/{self.name}, offset {offset}: {what}; restore the "
            "directory from a backup, nothing was changed"
        )

    def _posting_range(self, account: int) -> tuple[int, int]:
        count, place = self.header.accounts, self.parts.posting_accounts
        index = self._bisect("I", place, 0, count, account)
        if index == count or self.column("I", place, index, index + 1)[0] != account:
            return 0, 0
        ends = self.column("I", self.parts.posting_ends, max(index - 1, 0), index + 1)
        return (ends[0], ends[1]) if index else (0, ends[0])

    def _bisect(self, code: str, place: Place, low: int, high: int, wanted: int) -> int:
        """Give the first index in [low, high) of a part whose value is not below `wanted`."""
        width = array(code).itemsize
        per_block = BLOCK_BYTES // width
        while low < high:
            middle = (low + high) // 2
            # The whole block is checked anyway; take the part of it that is in range.
            block = (place.offset + width * middle) // BLOCK_BYTES * BLOCK_BYTES
            start = max(low, (block - place.offset) // width)
            stop = min(high, start + per_block, (block + BLOCK_BYTES - place.offset) // width)
            values = self.column(code, place, start, stop)
            if values[-1] < wanted:
                low = stop
            elif values[0] >= wanted:
                high = start
            else:
                return start + bisect_left(values, wanted)
        return low


def cold_find(segments: list[SealedSegment], transfer_id: int) -> int:
    """Give the sequence of an id's record in any of the segments, negative when refused, or 0."""
    mixed = fingerprint(transfer_id)
    mask = filter_mask(mixed)
    for segment in reversed(segments):
        if segment.may_hold(transfer_id, mixed, mask):
            sequence = segment.find(transfer_id, mixed)
            if sequence:
                return sequence
    return 0
