"""The journal's bytes: segment header, records, entries. Pure: bytes in, values out.

Segment: magic, u32 length of the header's JSON, the JSON, u32 CRC of all that. Record, repeated:

    u32 magic, u32 bytes of the body, u32 entries, u32 bytes of plain text, 12 bytes nonce,
    body = heads (26 bytes an entry), plain texts, sealed messages with a 16-byte tag,
    u32 CRC-32 of everything before it

The tag covers the heads and the plain texts too. All numbers are little-endian.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag

from protocols.errors import LumbungError
from switch.limits import JOURNAL_RECORD_BYTES_MAX

SEGMENT_MAGIC = b"LMBJRNL1"
_RECORD_MAGIC = 0x524A424C
_RECORD = struct.Struct("<IIII12s")
#: time ns, connection, kind, link, bytes of TPDU, bytes of message or text.
_HEAD = struct.Struct("<QIBBHI6x")
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<I")
TAG_BYTES = 16


class JournalError(LumbungError):
    """A journal cannot be read: no segment of ours, damaged before its end, another key."""

    code = "E-SW-0120"


class EntryKind(IntEnum):
    """What an entry keeps."""

    REQUEST = 1
    ANSWER = 2
    CUT = 3
    EVENT = 4


class Entry(NamedTuple):
    """One message or decision. `payload` is the raw message; of an event, its JSON."""

    time_ns: int
    kind: EntryKind
    link: str
    connection: int
    tpdu: bytes = b""
    payload: bytes = b""

    def __repr__(self) -> str:
        return f"<Entry {self.kind.name} {self.link} {self.connection} {len(self.payload)} bytes>"

    def event(self) -> dict[str, Any]:
        """Give an event's fields."""
        assert self.kind is EntryKind.EVENT
        found: dict[str, Any] = json.loads(self.payload)
        return found


#: The fields of an entry as a plain tuple: the hot path makes them by the thousand.
Fields = tuple[int, EntryKind, str, int, bytes, bytes]


class Cipher(Protocol):
    """AES-256-GCM as `cryptography` offers it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Give ciphertext and tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Give the plain text; raise when the tag does not fit."""


def segment_header(content: dict[str, Any]) -> bytes:
    """Give the first bytes of a segment."""
    text = json.dumps(content).encode()
    head = SEGMENT_MAGIC + _LENGTH.pack(len(text)) + text
    return head + _CRC.pack(zlib.crc32(head))


def read_segment_header(raw: bytes, name: str) -> tuple[dict[str, Any], int]:
    """Give the header and where the records begin; raise JournalError when it is none of ours."""
    start = len(SEGMENT_MAGIC) + _LENGTH.size
    if len(raw) >= start and raw.startswith(SEGMENT_MAGIC):
        (length,) = _LENGTH.unpack_from(raw, len(SEGMENT_MAGIC))
        end = start + length
        if end + 4 <= len(raw) and _CRC.unpack_from(raw, end)[0] == zlib.crc32(raw[:end]):
            content: dict[str, Any] = json.loads(raw[start:end])
            return content, end + 4
    raise JournalError(f"{name}: not a journal segment, or damaged at its beginning.",
                       fix="Name a directory with a switch's journal.")  # fmt: skip


def pack_record(
    entries: Sequence[Fields], links: Sequence[str], cipher: Cipher, nonce: bytes
) -> bytes:
    """Give the bytes of one record."""
    heads: list[bytes] = []
    texts: list[bytes] = []
    messages: list[bytes] = []
    for time_ns, kind, link, connection, tpdu, payload in entries:
        sizes = len(tpdu), len(payload)
        heads.append(_HEAD.pack(time_ns, connection, kind, links.index(link), *sizes))
        part = texts if kind is EntryKind.EVENT else messages
        part.append(tpdu)
        part.append(payload)
    plain = b"".join(texts)
    open_part = b"".join(heads) + plain
    body = open_part + cipher.encrypt(nonce, b"".join(messages), open_part)
    record = _RECORD.pack(_RECORD_MAGIC, len(body), len(entries), len(plain), nonce) + body
    return record + _CRC.pack(zlib.crc32(record))


def read_records(
    raw: bytes, start: int, links: Sequence[str], cipher: Cipher | None, name: str
) -> Iterator[tuple[int, list[Entry]]]:
    """Yield (offset behind the record, its entries); without a cipher messages are empty.

    A record that is torn at the very end is where a kill struck: reading ends there. Raises
    JournalError, with the offset, for damage before the end and for a key that does not fit.
    """
    offset = start
    while offset < len(raw):
        end = _end_of(raw, offset)
        is_whole = end <= len(raw) and _is_sound(raw, offset, end)
        if not is_whole:
            if end < len(raw):
                raise JournalError(
                    f"{name}:{offset}: this record is damaged.",
                    fix="Restore the segment from a copy; others can be read.",
                )
            return
        yield end, _entries(raw, offset, end, links, cipher, name)
        offset = end


def _end_of(raw: bytes, offset: int) -> int:
    if offset + _RECORD.size > len(raw):
        return len(raw) + 1
    magic, length, _count, _plain, _nonce = _RECORD.unpack_from(raw, offset)
    if magic != _RECORD_MAGIC or length > 2 * JOURNAL_RECORD_BYTES_MAX:
        # No length to be trusted: damaged unless nothing but zeros follows (space not written).
        return len(raw) if not any(raw[offset:]) else offset
    return offset + _RECORD.size + int(length) + _CRC.size


def _is_sound(raw: bytes, offset: int, end: int) -> bool:
    if end - offset < _RECORD.size + _CRC.size:
        return False
    stated: int = _CRC.unpack_from(raw, end - _CRC.size)[0]
    return stated == zlib.crc32(raw[offset : end - _CRC.size])


def _entries(
    raw: bytes, offset: int, end: int, links: Sequence[str], cipher: Cipher | None, name: str
) -> list[Entry]:
    _magic, _length, count, plain_bytes, nonce = _RECORD.unpack_from(raw, offset)
    body = raw[offset + _RECORD.size : end - _CRC.size]
    heads_end = count * _HEAD.size
    texts_end = heads_end + plain_bytes
    messages = b""
    if cipher is not None:
        try:
            messages = cipher.decrypt(nonce, body[texts_end:], body[:texts_end])
        except InvalidTag as error:
            raise JournalError(
                f"{name}:{offset}: this key does not open the record.",
                fix="Open it with the keystore of the same data directory.",
            ) from error
    found, text_at, message_at = [], heads_end, 0
    for number in range(count):
        head = _HEAD.unpack_from(body, number * _HEAD.size)
        time_ns, connection, kind, link, tpdu_bytes, payload_bytes = head
        tpdu, payload = b"", b""
        if kind == EntryKind.EVENT:
            payload = body[text_at : text_at + payload_bytes]
            text_at += payload_bytes
        elif cipher is not None:
            middle = message_at + tpdu_bytes
            tpdu, payload = messages[message_at:middle], messages[middle : middle + payload_bytes]
            message_at = middle + payload_bytes
        found.append(Entry(time_ns, EntryKind(kind), links[link], connection, tpdu, payload))
    return found
