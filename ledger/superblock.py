"""The superblock: who the ledger is, and up to where it was certainly durable.

Source: docs/reference/ledger-format.md, section 4.
"""

from typing import NamedTuple

from ledger.errors import LedgerCorruptError, LedgerForeignError
from ledger.frame import BLOCK_BYTES, HEADER_BYTES, VERSION, FrameHeader, frame_bytes
from ledger.limits import MARK_READS_MAX, SEGMENT_SIZE_MAX, SEGMENT_SIZE_MIN
from ledger.log import SUPERBLOCK_NAME
from ledger.pages import (
    SUPERBLOCK_BYTES,
    ZERO_BLOCK,
    CommitMark,
    Identity,
    read_identity,
    read_mark,
    read_version,
    seal_name,
    segment_name,
)
from ledger.storage import Storage


class Superblock(NamedTuple):
    """What the superblock says: who the ledger is, and up to where it was certainly durable."""

    identity: Identity
    mark: CommitMark | None
    #: Offset of a slot that holds something, but no mark that verifies; 0 for none.
    damaged_slot: int = 0


def read_durable_superblock(storage: Storage) -> Superblock:
    """Give the superblock to who only reads: a damaged slot might hold the newest mark.

    Without any mark a ledger is empty, unless a second frame was begun: then the first one had its
    mark, and a power cut took it. Looked at again a few times, as a writer may be writing just now.

    Raises:
        LedgerForeignError: there is no superblock of this version.
        LedgerCorruptError: a slot does not verify, or the marks are lost; names file and offset.
    """
    for _ in range(MARK_READS_MAX):
        # Looked for first: the mark that it calls for is then there to be read, or lost.
        has_second = _has_second_frame(storage)
        superblock = read_superblock(storage)
        lost = superblock.mark is None and has_second
        if not superblock.damaged_slot and not lost:
            return superblock
    what = "no commit mark is there" if lost else "the commit mark does not verify"
    raise LedgerCorruptError(
        f"{storage.location}/{SUPERBLOCK_NAME}, offset {superblock.damaged_slot or BLOCK_BYTES}: "
        f"{what}, so what is durable is not known; open the ledger for writing once, which judges "
        "every frame and writes the mark anew"
    )


def _has_second_frame(storage: Storage) -> bool:
    """Say whether more than the first frame was ever begun."""
    names = storage.names()
    if seal_name(1) in names or segment_name(2) in names:
        return True
    if segment_name(1) not in names:
        return False
    try:
        first = FrameHeader.unpack(storage.read(segment_name(1), BLOCK_BYTES, HEADER_BYTES))
        if first is None or first.number != 1:
            return False
        behind = BLOCK_BYTES + frame_bytes(first.record_count)
        second = FrameHeader.unpack(storage.read(segment_name(1), behind, HEADER_BYTES))
    except FileNotFoundError:
        return True  # Sealed since its name was read.
    return second is not None and (second.number, second.nonce) == (2, first.nonce)


def read_superblock(storage: Storage) -> Superblock:
    """Give the superblock. Raise `LedgerForeignError` or `LedgerCorruptError`."""
    where = f"{storage.location}/{SUPERBLOCK_NAME}"
    content = storage.read(SUPERBLOCK_NAME, 0, SUPERBLOCK_BYTES)
    data = content.ljust(SUPERBLOCK_BYTES, b"\0")
    version = read_version(data[:BLOCK_BYTES])
    if version is None:
        raise LedgerForeignError(
            f"{where}, offset 0: not a ledger of this program; nothing touched"
        )
    if version != VERSION:
        raise LedgerForeignError(
            f"{where}, offset 6: format version {version}, this program knows {VERSION}; "
            "open it with the version that made it"
        )
    identity = read_identity(data[:BLOCK_BYTES])
    if identity is None or not _sound_identity(identity):
        raise LedgerCorruptError(
            f"{where}, offset 0: the identity page does not verify; restore it from a backup"
        )
    slots = [data[BLOCK_BYTES : 2 * BLOCK_BYTES], data[2 * BLOCK_BYTES :]]
    marks = [mark for mark in map(read_mark, slots) if mark is not None]
    if not marks and any(slot != ZERO_BLOCK for slot in slots):
        raise LedgerCorruptError(
            f"{where}, offset {BLOCK_BYTES}: no commit mark verifies; restore the directory from "
            "a backup, nothing was changed"
        )
    offsets = [
        BLOCK_BYTES * (place + 1)
        for place, slot in enumerate(slots)
        if read_mark(slot) is None
        and (slot != ZERO_BLOCK or len(content) < BLOCK_BYTES * (place + 2))
    ]
    return Superblock(identity, max(marks, default=None), max(offsets, default=0))


def _sound_identity(identity: Identity) -> bool:
    return (
        identity.block_bytes == BLOCK_BYTES
        and identity.segment_size % BLOCK_BYTES == 0
        and SEGMENT_SIZE_MIN <= identity.segment_size <= SEGMENT_SIZE_MAX
    )
