"""The scrub: segments read from disk again, checksums and hash chain, without a replay.

Each segment is checked for itself and against its neighbour, so a scrub can go round in small
steps beside the writer. What it does not check, `verify` does.
"""

import time
from hashlib import sha256
from typing import NamedTuple

from ledger.frame import (
    BLOCK_BYTES,
    HEADER_BYTES,
    FrameHeader,
    frame_bytes,
    frame_header,
    genesis_hash,
)
from ledger.log import SegmentedLog
from ledger.pages import Identity, read_segment_header, segment_name
from ledger.port import ScrubReport
from ledger.record import RECORD_BYTES, unseal
from ledger.recovery import corrupt, list_segments
from ledger.sealed import SealedSegment
from ledger.storage import Storage
from ledger.superblock import read_durable_superblock


class _Scrubbed(NamedTuple):
    """One segment that verified: what it holds, what it continues and what continues it."""

    previous_hash: bytes
    chain_head: bytes
    records: int
    frames: int
    bytes_read: int


def scrub_storage(
    storage: Storage, *, first_segment: int = 1, segments: int | None = None
) -> ScrubReport:
    """Check so many segments (all, when None) from the first named one on.

    Raises:
        LedgerCorruptError: something does not verify; names file and offset.
    """
    assert first_segment > 0
    started = time.perf_counter()
    identity, mark, _ = read_durable_superblock(storage)
    log = SegmentedLog(storage, identity)
    durable = 0 if mark is None else mark.frame_number
    # Segments that came after the mark was read are for the next round.
    last = 1 if mark is None else mark.segment_number
    list_segments(storage)
    stop = last + 1 if segments is None else min(last + 1, first_segment + segments)
    head = genesis_hash(identity.uuid) if first_segment == 1 else None
    found: list[_Scrubbed] = []
    for number in range(first_segment, stop):
        scrubbed = _scrub_segment(log, identity, number, durable)
        if head is not None and scrubbed.previous_hash != head:
            corrupt(log, segment_name(number), 96, "the segment does not continue the hash chain")
        head = scrubbed.chain_head
        found.append(scrubbed)
    return ScrubReport(
        segments=len(found),
        records=sum(one.records for one in found),
        frames=sum(one.frames for one in found),
        bytes_read=sum(one.bytes_read for one in found),
        next_segment=0 if stop > last else stop,
        seconds=time.perf_counter() - started,
    )


def _scrub_segment(log: SegmentedLog, identity: Identity, number: int, durable: int) -> _Scrubbed:
    try:
        raw = log.storage.read(segment_name(number), 0, identity.segment_size)
    except FileNotFoundError:
        return _scrub_sealed(SealedSegment(log.storage, number), identity)
    return _scrub_raw(log, raw, number, durable)


def _scrub_sealed(sealed: SealedSegment, identity: Identity) -> _Scrubbed:
    segment, header = sealed.segment, sealed.header
    if (segment.uuid, segment.segment_size, segment.block_bytes) != identity:
        sealed.corrupt(0, "the segment's header page is not of this ledger")
    sealed.verify_blocks()
    frames = sum(1 for _ in sealed.frames())
    size = sealed.parts.checksums.end
    return _Scrubbed(segment.previous_hash, header.chain_head, header.records, frames, size)


def _scrub_raw(log: SegmentedLog, raw: bytes, number: int, durable: int) -> _Scrubbed:
    name, header = segment_name(number), read_segment_header(raw[:BLOCK_BYTES])
    if header is None or (header.number, header.uuid) != (number, log.identity.uuid):
        corrupt(log, name, 0, "the segment's header page does not verify")
    head, frame, sequence = header.previous_hash, header.first_frame, header.first_sequence
    offset = BLOCK_BYTES
    while frame <= durable:
        found = FrameHeader.unpack(raw[offset : offset + HEADER_BYTES])
        if found is None:
            if not raw[offset:].strip(b"\0"):
                break  # The segment ends here; the next one must continue this head.
            corrupt(log, name, offset, f"frame {frame} does not verify")
        start = offset + HEADER_BYTES
        payload = raw[start : start + RECORD_BYTES * found.record_count]
        due = frame_header(frame, header.nonce, head, sequence, payload)
        if due != raw[offset : offset + HEADER_BYTES]:
            corrupt(log, name, offset, f"frame {frame} does not verify")
        for at in range(0, len(payload), RECORD_BYTES):
            if unseal(payload[at : at + RECORD_BYTES]) is None:
                corrupt(log, name, start + at, "the record's checksum is wrong")
        head = sha256(due).digest()
        frame, sequence = frame + 1, sequence + found.record_count
        offset += frame_bytes(found.record_count)
    records, frames = sequence - header.first_sequence, frame - header.first_frame
    return _Scrubbed(header.previous_hash, head, records, frames, len(raw))
