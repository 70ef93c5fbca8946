"""Journal records as bytes: one line each, chained by CRC, card numbers sealed.

A line is `cccccccc {"record": "...", ...}\\n`. The eight hex digits are the CRC-32 (IEEE) of the
JSON text continued from the CRC of the line before, so that a line lost, doubled, moved or altered
breaks the chain at its place. This detects damage; it is no signature.
"""

import binascii
import json
import types
from dataclasses import MISSING, fields
from enum import StrEnum
from typing import Any, get_args, get_type_hints
from zlib import crc32

from protocols.values import Pan
from terminal.journal.records import (
    Answer,
    Complaint,
    Completed,
    DeadLettered,
    Header,
    Intent,
    LastPurchase,
    LoggedOff,
    LoggedOn,
    MonthLeft,
    Record,
    ReversalAnswered,
    ReversalQueued,
    ReversalSent,
    SaleItem,
    Sent,
    StatementLine,
    Totals,
)
from terminal.sealing import Sealer

_RECORDS: dict[str, type] = {
    "header": Header,
    "logged on": LoggedOn,
    "logged off": LoggedOff,
    "intent": Intent,
    "answer": Answer,
    "completed": Completed,
    "reversal queued": ReversalQueued,
    "reversal sent": ReversalSent,
    "reversal answered": ReversalAnswered,
    "sent": Sent,
    "dead letter": DeadLettered,
    "complaint": Complaint,
}
_NAMES = {record: name for name, record in _RECORDS.items()}
_PARTS: dict[str, type] = {
    "items": SaleItem,
    "months": MonthLeft,
    "last_purchases": LastPurchase,
    "statement": StatementLine,
    "totals": Totals,
}
_CRC_DIGITS = 8


class LineError(ValueError):
    """A line is not what the terminal writes; the text says why, without content."""


def encode_line(record: Record, previous_crc: int, sealer: Sealer) -> tuple[bytes, int]:
    """Give the line of a record, with its line feed, and its CRC for the next line."""
    body = {"record": _NAMES[type(record)]} | _to_json(record, sealer)
    text = json.dumps(body, separators=(",", ":"), sort_keys=True, ensure_ascii=True).encode()
    crc = crc32(text, previous_crc)
    return b"%08x %s\n" % (crc, text), crc


def decode_line(line: bytes, previous_crc: int, sealer: Sealer) -> tuple[Record, int]:
    """Give the record of one line (without its line feed) and its CRC.

    Raises LineError when the CRC or the content is wrong, SealBrokenError under another key.
    """
    digits, separator, text = line[:_CRC_DIGITS], line[_CRC_DIGITS : _CRC_DIGITS + 1], line[9:]
    crc = crc32(text, previous_crc)
    if separator != b" " or digits != b"%08x" % crc:
        raise LineError("its checksum does not fit")
    try:
        body = json.loads(text)
    except ValueError as wrong:
        raise LineError("it is no JSON") from wrong
    if not isinstance(body, dict) or body.get("record") not in _RECORDS:
        raise LineError("it names no known record")
    record = _RECORDS[body.pop("record")]
    try:
        return _from_json(record, body, sealer), crc
    except (TypeError, ValueError, KeyError) as wrong:
        raise LineError(f"its fields are not those of {_NAMES[record]!r}") from wrong


def _to_json(record: object, sealer: Sealer) -> dict[str, object]:
    found: dict[str, object] = {}
    for field in fields(record):  # type: ignore[arg-type]  # every record is a dataclass
        value = getattr(record, field.name)
        if isinstance(value, Pan):
            sealed = sealer.seal(value.reveal().encode("ascii"), _label(record, "pan"))
            value = binascii.b2a_base64(sealed, newline=False).decode("ascii")
        elif isinstance(value, bytes):
            sealed = sealer.seal(value, _label(record, "chip")) if value else b""
            value = binascii.b2a_base64(sealed, newline=False).decode("ascii")
        elif isinstance(value, tuple):
            value = [_to_json(part, sealer) for part in value]
        found[field.name] = value
    return found


def _from_json(record: type, body: dict[str, Any], sealer: Sealer) -> Any:
    optional = {field.name for field in fields(record) if field.default is not MISSING}
    known = {field.name for field in fields(record)}
    if not known - optional <= body.keys() <= known:
        raise ValueError("fields are missing or unknown")
    kinds = get_type_hints(record)
    values: dict[str, Any] = {}
    for name, value in body.items():
        if name in _PARTS:
            values[name] = tuple(_from_json(_PARTS[name], part, sealer) for part in value)
        elif name in ("pan", "chip"):
            values[name] = value
        else:
            values[name] = _scalar(kinds[name], value)
    if values.get("pan") is not None:
        opened = _opened(values["pan"], _label_of(values["rrn"], "pan"), sealer)
        values["pan"] = Pan(opened.decode("ascii"))
    if "chip" in values:
        label = _label_of(values["rrn"], "chip")
        values["chip"] = _opened(values["chip"], label, sealer) if values["chip"] else b""
    return record(**values)


def _opened(sealed: str, label: str, sealer: Sealer) -> bytes:
    return sealer.open(binascii.a2b_base64(sealed, strict_mode=True), label)


def _scalar(kind: object, value: object) -> object:
    if isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(value, str):
        return kind(value)
    wanted = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if not any(type(value) is choice for choice in wanted):
        raise TypeError("a field has another type")
    return value


def _label(record: object, what: str) -> str:
    assert isinstance(record, Intent), "only an intent holds a card number"
    return _label_of(record.rrn, what)


def _label_of(rrn: str, what: str) -> str:
    return f"lumbung/journal/{what}/1/{rrn}"
