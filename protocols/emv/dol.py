"""Data object lists: what a card asks for, and the value list that answers it.

Source: EMV 4.4 Book 3, 5.4.
"""

from collections.abc import Mapping, Sequence

from protocols.emv import limits, tags
from protocols.emv.errors import DolError
from protocols.emv.tlv import is_constructed, tag_at

Dol = Sequence[tuple[str, int]]

_NO_ENTRY = "an entry is not one tag and one length of a byte"


def parse_dol(data: bytes) -> list[tuple[str, int]]:
    """Give the list's entries as (upper-case hex tag, length in bytes).

    Raises DolError for a tag without length, a length of more than one byte, a total above what
    command data can carry. The same tag may come twice.

    >>> parse_dol(bytes.fromhex("9F02069F03069F1A0295055F2A02"))[0]
    ('9F02', 6)
    """
    if len(data) > limits.DOL_BYTES:
        raise DolError("", 0, f"longer than {limits.DOL_BYTES} bytes")
    entries: list[tuple[str, int]] = []
    at = total = 0
    while at < len(data):
        tag, after = tag_at(data, at, DolError)
        if after >= len(data):
            raise DolError(tag, after, "the list ends where a length must stand")
        length = data[after]
        total += length
        if total > limits.DOL_VALUE_BYTES:
            raise DolError(
                tag, after, f"the list asks for more than {limits.DOL_VALUE_BYTES} bytes"
            )
        entries.append((tag, length))
        at = after + 1
    return entries


def build_dol(entries: Dol) -> bytes:
    """Give the encoding of a list; the inverse of `parse_dol`. Raises DolError.

    >>> build_dol([("9F02", 6), ("95", 5)]).hex()
    '9f02069505'
    """
    try:
        data = b"".join(bytes.fromhex(tag) + bytes((length,)) for tag, length in entries)
    except ValueError:
        raise DolError("", 0, _NO_ENTRY) from None
    if parse_dol(data) != list(entries):
        raise DolError("", 0, _NO_ENTRY)
    return data


def dol_length(dol: Dol) -> int:
    """Give the bytes of the value list.

    >>> dol_length([("9F02", 6), ("95", 5)])
    11
    """
    return sum(length for _, length in dol)


def fill_dol(dol: bytes | Dol, values: Mapping[str, bytes]) -> bytes:
    """Give the value list: each asked object cut or padded to its asked length.

    Missing, unknown and constructed objects are zeros. Too long: numeric values lose their left,
    others their right end. Too short: numeric values gain zeros on the left, compressed numeric
    ones FF on the right, others zeros on the right. Raises DolError for a malformed list.
    Source: EMV 4.4 Book 3, 5.4.

    >>> fill_dol([("9F02", 6), ("5A", 10), ("DF01", 1)], {"9F02": b"\\x10", "5A": b"\\x12"}).hex()
    '00000000001012ffffffffffffffffff00'
    """
    entries = parse_dol(dol) if isinstance(dol, bytes) else dol
    parts: list[bytes] = []
    for tag, length in entries:
        value = values.get(tag)
        if value is None or is_constructed(tag):
            parts.append(bytes(length))
        elif len(value) == length:
            parts.append(value)
        else:
            parts.append(_fit(tag, value, length))
    return b"".join(parts)


def split_by_dol(dol: bytes | Dol, data: bytes) -> list[tuple[str, bytes]]:
    """Give the values that `data` holds for each entry: what a card does with command data.

    Raises DolError when the data is not exactly as long as the list asks.

    >>> split_by_dol([("9A", 3), ("9C", 1)], bytes.fromhex("26010500"))
    [('9A', b'&\\x01\\x05'), ('9C', b'\\x00')]
    """
    entries = parse_dol(dol) if isinstance(dol, bytes) else dol
    if (wanted := dol_length(entries)) != len(data):
        raise DolError("", 0, f"{len(data)} bytes given, the list asks for {wanted}")
    parts: list[tuple[str, bytes]] = []
    at = 0
    for tag, length in entries:
        parts.append((tag, data[at : at + length]))
        at += length
    return parts


def _fit(tag: str, value: bytes, length: int) -> bytes:
    entry = tags.DICTIONARY.get(tag)
    form = entry.format if entry is not None else "b"
    if len(value) > length:
        return value[len(value) - length :] if form == "n" else value[:length]
    if form == "n":
        return value.rjust(length, b"\x00")
    return value.ljust(length, b"\xff" if form == "cn" else b"\x00")
