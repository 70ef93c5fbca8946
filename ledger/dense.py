"""The sealed segment as bytes: records back to back, and the index over them.

Source: docs/reference/ledger-format.md, section 9. The file follows from the records, the frames'
counts and the segment's header alone, so whoever builds it from the same records gets these bytes.
"""

import struct
import sys
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

from ledger.frame import BLOCK_BYTES, VERSION, frame_header
from ledger.merkle import Frontier, Nodes
from ledger.pages import SegmentHeader
from ledger.record import BODY_BYTES, KIND_OFFSET, RECORD_BYTES, TIMESTAMP, Kind

_MAGIC = b"LMBSEL"
_PAGE = struct.Struct("<6s134s7IQQ16s16s32s32sI")
_CRC = struct.Struct("<I")
#: A record as u64 words: 2 and 3 are the id, 4 is debit and credit, 6 is pending_sequence.
_RECORD_WORDS = RECORD_BYTES // 8
_ALIGNMENT_BYTES = 64
_FILTER_BLOCK_BYTES = 64
_FILTER_BLOCK_BITS = 512
_FILTER_BITS_PER_ID = 10
_MASK = (1 << 64) - 1
_ORDINAL_BITS = 32
_U32_MAX = (1 << 32) - 1
#: Leaves that are hashed into the tree at a time.
_FOLD_LEAVES = 8_192
assert _PAGE.size == 284

#: Kinds whose record moves or reserves money, and so stands in the postings of two accounts.
_POSTED_FIRST, _POSTED_LAST = int(Kind.TRANSFER), int(Kind.EXPIRE)
_RESOLVING = frozenset({int(Kind.POST), int(Kind.VOID), int(Kind.EXPIRE)})
_WITHOUT_ID = frozenset({int(Kind.ACCOUNT), int(Kind.EXPIRE)})


class Place(NamedTuple):
    """Where a part of the file stands."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """Give the offset behind the part."""
        return self.offset + self.length


class Parts(NamedTuple):
    """Where every part of a sealed segment stands."""

    records: Place
    filter: Place
    id_fingerprints: Place
    id_ordinals: Place
    posting_accounts: Place
    posting_ends: Place
    postings: Place
    resolved: Place
    resolving: Place
    nodes: Place
    frame_counts: Place
    checksums: Place


class Ends(NamedTuple):
    """What the log is bound to behind a segment."""

    chain_head: bytes
    root: bytes


class SealedHeader(NamedTuple):
    """The first page of a sealed segment: the raw one's values, and what stands in the file."""

    segment: SegmentHeader
    records: int
    frames: int
    ids: int
    accounts: int
    postings: int
    resolutions: int
    nodes: int
    first_timestamp: int
    last_timestamp: int
    id_min: int
    id_max: int
    chain_head: bytes
    root: bytes
    checksums_crc: int

    @property
    def last_sequence(self) -> int:
        """Give the sequence of the last record."""
        return self.segment.first_sequence + self.records - 1

    @property
    def last_frame(self) -> int:
        """Give the number of the last frame."""
        return self.segment.first_frame + self.frames - 1

    @property
    def filter_blocks(self) -> int:
        """Give how many blocks the filter has."""
        return -(-_FILTER_BITS_PER_ID * self.ids // _FILTER_BLOCK_BITS)

    def parts(self) -> Parts:
        """Give where everything stands."""
        lengths = (
            RECORD_BYTES * self.records, _FILTER_BLOCK_BYTES * self.filter_blocks, 8 * self.ids,
            4 * self.ids, 4 * self.accounts, 4 * self.accounts, 4 * self.postings,
            8 * self.resolutions, 4 * self.resolutions, 32 * self.nodes, 2 * self.frames,
        )  # fmt: skip
        places, offset = [], BLOCK_BYTES
        for length in lengths:
            places.append(Place(offset, length))
            offset += _padded(length, _ALIGNMENT_BYTES)
        offset = _padded(offset, BLOCK_BYTES)
        return Parts._make([*places, Place(offset, 4 * (offset // BLOCK_BYTES - 1))])

    def pack(self) -> bytes:
        """Give the page."""
        body = _PAGE.pack(
            _MAGIC, self.segment.fields(), *self[1:10],
            *(value.to_bytes(16, "little") for value in (self.id_min, self.id_max)), *self[12:],
        )  # fmt: skip
        return (body + _CRC.pack(crc32(body))).ljust(BLOCK_BYTES, b"\0")

    @classmethod
    def read(cls, page: bytes) -> "SealedHeader | None":
        """Give the header that a page holds, None when it is not a sound one of this version."""
        body = page[: _PAGE.size]
        whole = (body + _CRC.pack(crc32(body))).ljust(BLOCK_BYTES, b"\0")
        if body[: len(_MAGIC)] != _MAGIC or page != whole:
            return None
        values = _PAGE.unpack(body)
        segment = SegmentHeader.read_fields(values[1])
        if segment is None:
            return None
        low, high = (int.from_bytes(value, "little") for value in values[11:13])
        return cls._make([segment, *values[2:11], low, high, *values[13:]])


def fingerprint(transfer_id: int) -> int:
    """Give the 64 bits by which an id is looked for; the id in the record decides.

    >>> hex(fingerprint(1))
    '0x5692161d100b05e5'
    """
    return _mix(transfer_id & _MASK, transfer_id >> 64)


def _mix(low: int, high: int) -> int:
    mixed = low
    if high:
        mixed ^= ((high << 32 & _MASK | high >> 32) * 0x9E3779B97F4A7C15) & _MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return mixed ^ mixed >> 31


@cache
def _filter_tables() -> tuple[tuple[int, ...], ...]:
    """Give, for each 12 bits of a fingerprint, the bits that they set in two words of a block."""
    return tuple(
        tuple(1 << (128 * table + (bits & 63)) | 1 << (128 * table + 64 + (bits >> 6))
              for bits in range(4_096))
        for table in range(4)
    )  # fmt: skip


def filter_mask(mixed: int) -> int:
    """Give the eight bits of a fingerprint in its block of the filter, as a 512-bit integer."""
    one, two, three, four = _filter_tables()
    return (
        one[mixed & 4_095] | two[mixed >> 12 & 4_095] | three[mixed >> 24 & 4_095]
        | four[mixed >> 36 & 4_095]
    )  # fmt: skip


def build_filter(fingerprints: Sequence[int]) -> bytes:
    """Give the filter over fingerprints that ascend."""
    blocks = -(-_FILTER_BITS_PER_ID * len(fingerprints) // _FILTER_BLOCK_BITS)
    one, two, three, four = _filter_tables()
    content = bytearray(_FILTER_BLOCK_BYTES * blocks)
    block, bits = 0, 0
    for mixed in fingerprints:
        here = mixed * blocks >> 64
        if here != block:
            _put_block(content, block, bits)
            block, bits = here, 0
        bits |= (
            one[mixed & 4_095] | two[mixed >> 12 & 4_095] | three[mixed >> 24 & 4_095]
            | four[mixed >> 36 & 4_095]
        )  # fmt: skip
    if blocks:
        _put_block(content, block, bits)
    return bytes(content)


def frame_payloads(records: bytes, counts: Sequence[int]) -> Iterator[bytes]:
    """Yield the payload of each frame."""
    start = 0
    for count in counts:
        yield records[start : start + RECORD_BYTES * count]
        start += RECORD_BYTES * count


def frame_headers(segment: SegmentHeader, records: bytes, counts: Sequence[int]) -> Iterator[bytes]:
    """Yield the header of each frame of a segment, rebuilt from its payloads."""
    previous, sequence = segment.previous_hash, segment.first_sequence
    for index, payload in enumerate(frame_payloads(records, counts)):
        number = segment.first_frame + index
        header = frame_header(number, segment.nonce, previous, sequence, payload)
        yield header
        previous = sha256(header).digest()
        sequence += counts[index]


def record_ids(records: bytes) -> Iterator[int]:
    """Yield the ids of the records that take one: all but accounts and expiries."""
    words, kinds = memoryview(read_column("Q", records)), records[KIND_OFFSET::RECORD_BYTES]
    for low, high, kind in zip(
        words[2::_RECORD_WORDS], words[3::_RECORD_WORDS], kinds, strict=True
    ):
        if kind not in _WITHOUT_ID:
            yield low | high << 64


def tree_nodes(records: bytes, tree: Frontier) -> Nodes:
    """Extend the tree by records; give the nodes that a sealed segment keeps of it."""
    nodes: Nodes = {}
    for start in range(0, len(records), RECORD_BYTES * _FOLD_LEAVES):
        stop = min(len(records), start + RECORD_BYTES * _FOLD_LEAVES)
        starts = range(start, stop, RECORD_BYTES)
        tree.extend([records[at : at + BODY_BYTES] for at in starts], nodes)
    return nodes


def build_sealed(
    segment: SegmentHeader, records: bytes, counts: Sequence[int], ends: Ends, nodes: Nodes
) -> bytes:
    """Give the whole file. `nodes` are those that the records completed in the tree."""
    index = _Index(records)
    count = len(records) // RECORD_BYTES
    assert count == sum(counts)
    hashes = [node for level in sorted(nodes) for node in nodes[level]]
    header = SealedHeader(
        segment=segment,
        records=count,
        frames=len(counts),
        ids=len(index.fingerprints),
        accounts=len(index.accounts),
        postings=len(index.postings),
        resolutions=len(index.resolved),
        nodes=len(hashes),
        first_timestamp=int.from_bytes(records[TIMESTAMP], "little"),
        last_timestamp=int.from_bytes(records[-RECORD_BYTES:][TIMESTAMP], "little"),
        id_min=index.id_min,
        id_max=index.id_max,
        chain_head=ends.chain_head,
        root=ends.root,
        checksums_crc=0,
    )
    contents = (
        records, build_filter(index.fingerprints), _column("Q", index.fingerprints),
        _column("I", index.ordinals), _column("I", index.accounts), _column("I", index.ends),
        _column("I", index.postings), _column("Q", index.resolved), _column("I", index.resolving),
        b"".join(hashes), _column("H", counts),
    )  # fmt: skip
    body = b"".join([part.ljust(_padded(len(part), _ALIGNMENT_BYTES), b"\0") for part in contents])
    body = body.ljust(_padded(len(body), BLOCK_BYTES), b"\0")
    checksums = _column("I", block_checksums(body))
    return header._replace(checksums_crc=crc32(checksums)).pack() + body + checksums


def block_checksums(blocks: bytes) -> list[int]:
    """Give the CRC of each block."""
    view = memoryview(blocks)
    return [crc32(view[at : at + BLOCK_BYTES]) for at in range(0, len(blocks), BLOCK_BYTES)]


def read_column(code: str, content: bytes) -> "array[int]":
    """Give the integers of a part: `Q`, `I` or `H`, little-endian."""
    column = array(code, content)
    if sys.byteorder != "little":
        column.byteswap()
    return column


class _Index:
    """The columns of the index over a segment's records."""

    def __init__(self, records: bytes) -> None:
        words, kinds = memoryview(read_column("Q", records)), records[KIND_OFFSET::RECORD_BYTES]
        id_words = (words[2::_RECORD_WORDS].tolist(), words[3::_RECORD_WORDS].tolist())
        legs: defaultdict[int, list[int]] = defaultdict(list)
        for ordinal, both in enumerate(words[4::_RECORD_WORDS].tolist()):
            if _POSTED_FIRST <= kinds[ordinal] <= _POSTED_LAST:
                legs[both & _U32_MAX].append(ordinal)
                legs[both >> 32].append(ordinal)
        ends = [
            (pending, ordinal)
            for ordinal, pending in enumerate(words[6::_RECORD_WORDS].tolist())
            if pending and kinds[ordinal] in _RESOLVING
        ]
        keys = [
            _mix(low, high) << _ORDINAL_BITS | ordinal
            for ordinal, (low, high) in enumerate(zip(*id_words, strict=True))
            if kinds[ordinal] not in _WITHOUT_ID
        ]
        highs = [
            (high, low)
            for low, high, kind in zip(*id_words, kinds, strict=True)
            if kind not in _WITHOUT_ID
        ]
        low_high = (min(highs, default=(0, 0)), max(highs, default=(0, 0)))
        self.id_min, self.id_max = (high << 64 | low for high, low in low_high)
        keys.sort()
        ends.sort()
        self.fingerprints = [key >> _ORDINAL_BITS for key in keys]
        self.ordinals = [key & (1 << _ORDINAL_BITS) - 1 for key in keys]
        self.accounts = sorted(legs)
        self.postings = [ordinal for number in self.accounts for ordinal in legs[number]]
        self.ends: list[int] = []
        for number in self.accounts:
            self.ends.append((self.ends[-1] if self.ends else 0) + len(legs[number]))
        self.resolved = [pending for pending, _ in ends]
        self.resolving = [ordinal for _, ordinal in ends]
        assert all(early < late for early, late in pairwise(self.resolved))


def _put_block(content: bytearray, block: int, bits: int) -> None:
    start = _FILTER_BLOCK_BYTES * block
    content[start : start + _FILTER_BLOCK_BYTES] = bits.to_bytes(_FILTER_BLOCK_BYTES, "little")


def _column(code: str, values: Sequence[int]) -> bytes:
    column = array(code, values)
    if sys.byteorder != "little":
        column.byteswap()
    return column.tobytes()


def _padded(length: int, unit: int) -> int:
    return -(-length // unit) * unit


assert VERSION == 1
