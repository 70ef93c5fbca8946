"""The frame: one commit group on disk, a 128-byte header and its records, padded to the block.

Source: docs/reference/ledger-format.md, section 5.
"""

import struct
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

from ledger.limits import FRAME_RECORDS_MAX
from ledger.record import RECORD_BYTES

BLOCK_BYTES = 4096
VERSION = 1
FRAME_MAGIC = b"LMBFRM" + VERSION.to_bytes(2, "little")
HEADER_BYTES = 128

_HEADER = struct.Struct("<8sQ16s32s32sQQIII")
_CRC = struct.Struct("<I")
assert _HEADER.size + _CRC.size == HEADER_BYTES


class FrameHeader(NamedTuple):
    """A frame's header as values; `payload_bytes` is 128 times `record_count`."""

    number: int
    nonce: bytes
    previous_hash: bytes
    payload_sha256: bytes
    first_sequence: int
    durable_upto: int
    record_count: int
    payload_bytes: int
    payload_crc: int

    def pack(self) -> bytes:
        """Give the 128 bytes, magic and checksum included."""
        head = _HEADER.pack(FRAME_MAGIC, *self)
        return head + _CRC.pack(crc32(head))

    @classmethod
    def unpack(cls, header: bytes | memoryview) -> "FrameHeader | None":
        """Give the header, None when the magic, version or checksum is not that of a frame."""
        if len(header) != HEADER_BYTES or header[:8] != FRAME_MAGIC:
            return None
        if crc32(header[:-4]) != int.from_bytes(header[-4:], "little"):
            return None
        return cls(*_HEADER.unpack(header[:-4])[1:])

    @property
    def last_sequence(self) -> int:
        """Give the sequence of the frame's last record."""
        return self.first_sequence + self.record_count - 1


def frame_bytes(count: int) -> int:
    """Give the length of a frame of `count` records, padding included.

    >>> frame_bytes(1), frame_bytes(31), frame_bytes(32)
    (4096, 4096, 8192)
    """
    return -(-(HEADER_BYTES + RECORD_BYTES * count) // BLOCK_BYTES) * BLOCK_BYTES


def segment_records(segment_size: int) -> int:
    """Give how many records one frame may have in a ledger of this segment size."""
    fits = (segment_size - BLOCK_BYTES) // RECORD_BYTES - 1
    return min(FRAME_RECORDS_MAX, fits)


def frame_header(
    number: int, nonce: bytes, previous_hash: bytes, first_sequence: int, payload: bytes
) -> bytes:
    """Give the 128 bytes of the only header that a frame with this payload can have."""
    return FrameHeader(
        number=number,
        nonce=nonce,
        previous_hash=previous_hash,
        payload_sha256=sha256(payload).digest(),
        first_sequence=first_sequence,
        durable_upto=first_sequence - 1,
        record_count=len(payload) // RECORD_BYTES,
        payload_bytes=len(payload),
        payload_crc=crc32(payload),
    ).pack()


def build_frame(
    number: int, nonce: bytes, previous_hash: bytes, first_sequence: int, payload: bytes
) -> tuple[bytes, bytes]:
    """Give a frame's bytes, padded to the block, and its hash."""
    count = len(payload) // RECORD_BYTES
    assert 0 < count <= FRAME_RECORDS_MAX
    assert len(payload) % RECORD_BYTES == 0
    header = frame_header(number, nonce, previous_hash, first_sequence, payload)
    padding = bytes(frame_bytes(count) - HEADER_BYTES - len(payload))
    return header + payload + padding, sha256(header).digest()


def genesis_hash(uuid: bytes) -> bytes:
    """Give the hash that stands before the first frame of the ledger with this uuid."""
    return sha256(b"lumbung ledger genesis\0" + uuid).digest()
