"""The pages around the frames: superblock identity, commit marks, segment headers.

Source: docs/reference/ledger-format.md, sections 3 and 4. Every page is one zero-padded block with
a CRC-32; a page that is not exactly that is None.
"""

import struct
from typing import NamedTuple
from zlib import crc32

from ledger.frame import BLOCK_BYTES, VERSION

SUPERBLOCK_BYTES = 3 * BLOCK_BYTES
_VERSION = VERSION.to_bytes(2, "little")
_IDENTITY_MAGIC = b"LMBLGR"
_MARK_MAGIC = b"LMBMRK"
_SEGMENT_MAGIC = b"LMBSEG"
_IDENTITY = struct.Struct("<6s2s16sQI")
_MARK = struct.Struct("<6s2sQQQ32s")
_SEGMENT = struct.Struct("<6s2s16sQ16sQQ32s32sQI")
ZERO_BLOCK = bytes(BLOCK_BYTES)
#: Where in the superblock the commit marks stand.
MARK_OFFSETS = (BLOCK_BYTES, 2 * BLOCK_BYTES)


class Identity(NamedTuple):
    """What a ledger is for ever: its uuid and the size of its segments."""

    uuid: bytes
    segment_size: int
    block_bytes: int = BLOCK_BYTES

    def pack(self) -> bytes:
        """Give the page."""
        return _page(_IDENTITY.pack(_IDENTITY_MAGIC, _VERSION, *self))


class CommitMark(NamedTuple):
    """The statement that everything up to a frame was durable."""

    frame_number: int
    durable_upto: int
    segment_number: int
    frame_hash: bytes

    def pack(self) -> bytes:
        """Give the page."""
        return _page(_MARK.pack(_MARK_MAGIC, _VERSION, *self))

    @property
    def offset(self) -> int:
        """Give where in the superblock this mark stands."""
        return MARK_OFFSETS[self.frame_number % 2]


class SegmentHeader(NamedTuple):
    """The first page of a segment: where it stands in the ledger and what came before."""

    uuid: bytes
    number: int
    nonce: bytes
    first_sequence: int
    first_frame: int
    previous_root: bytes
    previous_hash: bytes
    segment_size: int
    block_bytes: int = BLOCK_BYTES

    def pack(self) -> bytes:
        """Give the page."""
        return _page(_SEGMENT.pack(_SEGMENT_MAGIC, _VERSION, *self))

    def fields(self) -> bytes:
        """Give the page's values alone, version included: what a sealed segment keeps of it."""
        return _SEGMENT.pack(_SEGMENT_MAGIC, _VERSION, *self)[len(_SEGMENT_MAGIC) :]

    @classmethod
    def read_fields(cls, fields: bytes) -> "SegmentHeader | None":
        """Give the header whose `fields` these are, None when they are of another version."""
        values = _SEGMENT.unpack(_SEGMENT_MAGIC + fields)
        return cls(*values[2:]) if values[1] == _VERSION else None


def read_version(page: bytes) -> int | None:
    """Give the format version that an identity page claims, None when it is no ledger's at all."""
    if len(page) < BLOCK_BYTES or page[:6] != _IDENTITY_MAGIC:
        return None
    return int.from_bytes(page[6:8], "little")


def read_identity(page: bytes) -> Identity | None:
    """Give the identity that a page holds, None when it is not a sound one of this version."""
    body = _body(page, _IDENTITY, _IDENTITY_MAGIC)
    return None if body is None else Identity(*_IDENTITY.unpack(body)[2:])


def read_mark(page: bytes) -> CommitMark | None:
    """Give the commit mark that a slot holds, None when it is not a sound one."""
    body = _body(page, _MARK, _MARK_MAGIC)
    return None if body is None else CommitMark(*_MARK.unpack(body)[2:])


def read_segment_header(page: bytes) -> SegmentHeader | None:
    """Give the segment header that a page holds, None when it is not a sound one."""
    body = _body(page, _SEGMENT, _SEGMENT_MAGIC)
    return None if body is None else SegmentHeader(*_SEGMENT.unpack(body)[2:])


def segment_name(number: int) -> str:
    """Give a segment's file name.

    >>> segment_name(12)
    '00000012.seg'
    """
    return f"{number:08d}.seg"


def seal_name(number: int) -> str:
    """Give a sealed segment's file name.

    >>> seal_name(12)
    '00000012.seal'
    """
    return f"{number:08d}.seal"


def snapshot_name(number: int) -> str:
    """Give the name of the snapshot behind a segment.

    >>> snapshot_name(12)
    '00000012.snap'
    """
    return f"{number:08d}.snap"


def _page(body: bytes) -> bytes:
    return (body + struct.pack("<I", crc32(body))).ljust(BLOCK_BYTES, b"\0")


def _body(page: bytes, layout: struct.Struct, magic: bytes) -> bytes | None:
    body = page[: layout.size]
    return body if body[:6] == magic and page == _page(body) and body[6:8] == _VERSION else None
