"""Write a journal for other tools, masked: JSON lines, or a capture that packet tools open.

In a capture every message is encoded anew with its sensitive elements blanked: card numbers keep
their last four digits; tracks, PIN blocks, keys and the chip's own card data become zeros.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

from protocols.framing import FrameSpec, frame
from protocols.iso8583 import (
    Codec,
    Element,
    Message,
    MessageError,
    PureCodec,
    Sensitivity,
    Value,
    load_spec,
)
from protocols.iso8583.describe import one_line
from switch.journal import Entry, EntryKind

#: Raw IPv4 packets. Source: LINKTYPE_RAW of the pcap link types.
_LINKTYPE_RAW = 101
_SWITCH, _PEER = bytes((127, 0, 0, 1)), bytes((127, 0, 0, 2))


def as_json_lines(entries: Iterable[Entry], codecs: dict[str, PureCodec]) -> Iterator[str]:
    """Yield one JSON object an entry; elements as `explain` shows them."""
    for entry in entries:
        found: dict[str, Any] = {
            "time": told_time(entry.time_ns), "kind": entry.kind.name.lower(),
        }  # fmt: skip
        if entry.kind is EntryKind.EVENT:
            found |= entry.event()
        else:
            found |= {"link": entry.link, "connection": entry.connection}
            if entry.payload:
                found["message"] = shown(entry, codecs)
        yield json.dumps(found, ensure_ascii=False)


def told_time(time_ns: int) -> str:
    """Give an instant in UTC to the microsecond.

    >>> told_time(1_767_575_647_000_001_000)
    '2026-01-05T01:14:07.000001Z'
    """
    seconds, rest = divmod(time_ns, 1_000_000_000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def shown(entry: Entry, codecs: dict[str, PureCodec]) -> str:
    """Give a message on one line, masked; what cannot be read by its length only."""
    try:
        return one_line(codecs[entry.link].decode(entry.payload))
    except MessageError as error:
        return f"<{len(entry.payload)} bytes, not readable: {error.external}>"


def as_capture(
    entries: Iterable[Entry], codecs: dict[str, PureCodec], frames: dict[str, FrameSpec]
) -> Iterator[bytes]:
    """Yield the pieces of a pcap file; what cannot be read is left out.

    Source: libpcap file format 2.4, nanosecond magic; RFC 791 and RFC 9293 headers.
    """
    yield struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65_535, _LINKTYPE_RAW)
    sent: dict[tuple[int, bool], int] = {}
    for entry in entries:
        if entry.kind not in (EntryKind.REQUEST, EntryKind.ANSWER):
            continue
        try:
            payload = blanked(codecs[entry.link], entry.payload)
        except MessageError:
            continue
        data = frame(payload, entry.tpdu, frames[entry.link])
        is_request = entry.kind is EntryKind.REQUEST
        at, back = (entry.connection, is_request), (entry.connection, not is_request)
        packet = _packet(entry.connection, is_request, data, sent.get(at, 0), sent.get(back, 0))
        sent[at] = (sent.get(at, 0) + len(data)) & 0xFFFFFFFF
        seconds, rest = divmod(entry.time_ns, 1_000_000_000)
        yield struct.pack("<IIII", seconds, rest, len(packet), len(packet)) + packet


def _packet(connection: int, is_request: bool, data: bytes, at: int, back: int) -> bytes:
    peer_port, port = 1_024 + connection % 60_000, 8_583
    ends = (_PEER, _SWITCH, peer_port, port) if is_request else (_SWITCH, _PEER, port, peer_port)
    tcp = struct.pack(">HHIIHHHH", ends[2], ends[3], at, back, 0x5018, 65_535, 0, 0)
    total = 20 + len(tcp) + len(data)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, total, 0, 0x4000, 64, 6, 0, ends[0], ends[1])
    return ip[:10] + struct.pack(">H", _checksum(ip)) + ip[12:] + tcp + data


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def blanked(codec: PureCodec, payload: bytes) -> bytes:
    """Give the message encoded anew without anything sensitive; raise MessageError."""
    message = codec.decode(payload)
    elements = {
        number: _blank(codec.spec.elements.get(number), value)
        for number, value in message.elements.items()
    }
    return codec.encode(Message(message.mti, elements, message.spec))


def _blank(element: Element | None, value: Value) -> Value:
    if isinstance(value, dict):
        subs = {sub.key: sub for sub in element.sub} if element else {}
        is_all = element is not None and element.sensitive is not Sensitivity.NONE
        return {
            key: _blank(element if is_all and key not in subs else subs.get(key), part)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [cast(dict[str, Value], _blank(element, part)) for part in value]
    if element is not None and element.sensitive is Sensitivity.NONE:
        return value
    if element is not None and element.sensitive is Sensitivity.PAN and isinstance(value, str):
        return "0" * max(0, len(value) - 4) + value[-4:]
    if isinstance(value, bytes):
        return bytes(len(value))
    return "".join("0" if c.isalnum() else c for c in value)


def codecs_for(specs: dict[str, str]) -> dict[str, PureCodec]:
    """Give a codec for each link by the name of its spec."""
    return {link: Codec(load_spec(spec)) for link, spec in specs.items()}
