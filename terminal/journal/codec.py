"""Journal records as bytes: one line each, chained by CRC, card numbers sealed.

A line is `cccccccc {"record": "...", ...}\\n`. The eight hex digits are the CRC-32 (IEEE) of the
JSON text continued from the CRC of the line before, so that a line lost, doubled, moved or altered
breaks the chain at its place. This detects damage; it is no signature.
"""

import binascii
import json
import types
from dataclasses import fields
from enum import StrEnum
from typing import Any, get_args, get_type_hints
from zlib import crc32

from protocols.values import Pan
from terminal.journal.records import (
    Answer,
    Completed,
    Header,
    Intent,
    LastPurchase,
    LoggedOn,
    MonthLeft,
    Record,
    ReversalAnswered,
    ReversalQueued,
    ReversalSent,
    SaleItem,
)
from terminal.sealing import Sealer

_RECORDS: dict[str, type] = {
    "header": Header,
    "logged on": LoggedOn,
    "intent": Intent,
    "answer": Answer,
    "completed": Completed,
    "reversal queued": ReversalQueued,
    "reversal sent": ReversalSent,
    "reversal answered": ReversalAnswered,
}
_NAMES = {record: name for name, record in _RECORDS.items()}
_PARTS: dict[str, type] = {
    "items": SaleItem,
    "months": MonthLeft,
    "last_purchases": LastPurchase,
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
            sealed = sealer.seal(value.reveal().encode("ascii"), _label(record))
            value = binascii.b2a_base64(sealed, newline=False).decode("ascii")
        elif isinstance(value, tuple):
            value = [_to_json(part, sealer) for part in value]
        found[field.name] = value
    return found


def _from_json(record: type, body: dict[str, Any], sealer: Sealer) -> Any:
    if body.keys() != {field.name for field in fields(record)}:
        raise ValueError("fields are missing or unknown")
    values: dict[str, Any] = {}
    for name, kind in get_type_hints(record).items():
        value = body[name]
        if name in _PARTS:
            values[name] = tuple(_from_json(_PARTS[name], part, sealer) for part in value)
        elif name == "pan":
            values[name] = value
        else:
            values[name] = _scalar(kind, value)
    if values.get("pan") is not None:
        sealed = binascii.a2b_base64(values["pan"], strict_mode=True)
        opened = sealer.open(sealed, _label_of(values["rrn"]))
        values["pan"] = Pan(opened.decode("ascii"))
    return record(**values)


def _scalar(kind: object, value: object) -> object:
    if isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(value, str):
        return kind(value)
    wanted = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if not any(type(value) is choice for choice in wanted):
        raise TypeError("a field has another type")
    return value


def _label(record: object) -> str:
    assert isinstance(record, Intent), "only an intent holds a card number"
    return _label_of(record.rrn)


def _label_of(rrn: str) -> str:
    return f"lumbung/journal/pan/1/{rrn}"
