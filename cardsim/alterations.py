"""Altered answers: what is wrong with a data object on its way out of the card. Pure.

Each function takes the data of an answer and gives it altered, or None when it does not hold the
object: then nothing strikes. Source of the kinds: reference/emv.md 4.4.
"""

from collections.abc import Callable, Sequence

from cardsim.authority import PUBLISHED, published_authority
from protocols.emv import tlv
from protocols.emv.errors import EmvDataError

#: Builds an object's replacement from its tag and value: any bytes, well-formed or not.
Rebuild = Callable[[str, bytes], bytes]
_AFL_ENTRY_BYTES = 4


def rebuild(data: bytes, tag: str, change: Rebuild) -> bytes | None:
    """Give the data with the first object of a tag, at any depth, built anew by `change`.

    The lengths of the templates around it follow. An empty tag stands for the outermost object.

    >>> rebuild(bytes.fromhex("70039C0101"), "9C", lambda tag, value: b"").hex()
    '7000'
    """
    try:
        objects = tlv.parse(data)
    except EmvDataError:
        return None
    if not tag:
        if not objects:
            return None
        first = objects[0]
        return change(first.tag, first.value) + tlv.build(objects[1:])
    return _rebuilt(objects, tag, change)


def _rebuilt(objects: Sequence[tlv.Tlv], tag: str, change: Rebuild) -> bytes | None:
    for place, item in enumerate(objects):
        if item.tag == tag:
            middle = change(item.tag, item.value)
        else:
            inner = _rebuilt(item.children, tag, change) if item.children else None
            if inner is None:
                continue
            middle = tlv.build([(item.tag, inner)])
        return tlv.build(objects[:place]) + middle + tlv.build(objects[place + 1 :])
    return None


def bad_length(data: bytes, tag: str) -> bytes | None:
    """Let an object's length say one byte more than there is in its template."""

    def longer(name: str, value: bytes) -> bytes:
        return _with_length(name, value, bytes((len(value) + 1 & 0x7F,)))

    return rebuild(data, tag, longer)


def indefinite_length(data: bytes, tag: str) -> bytes | None:
    """Give an object the indefinite form, which EMV does not allow. Book 3, Annex B2."""
    return rebuild(data, tag, lambda name, value: _with_length(name, value + bytes(2), b"\x80"))


def _with_length(tag: str, value: bytes, length: bytes) -> bytes:
    return bytes.fromhex(tag) + length + value


def duplicate(data: bytes, tag: str) -> bytes | None:
    """Let an object come twice in its template."""
    return rebuild(data, tag, lambda name, value: 2 * tlv.build([(name, value)]))


def missing(data: bytes, tag: str) -> bytes | None:
    """Leave an object out."""
    return rebuild(data, tag, lambda _name, _value: b"")


def replaced(data: bytes, tag: str, value: bytes) -> bytes | None:
    """Give an object another value."""
    return rebuild(data, tag, lambda name, _old: tlv.build([(name, value)]))


def added(data: bytes, encoded: bytes) -> bytes | None:
    """Add encoded objects at the end of the outermost template."""
    return rebuild(data, "", lambda name, value: tlv.build([(name, value + encoded)]))


def corrupt(data: bytes, tag: str) -> bytes | None:
    """Flip the lowest bit of an object's last byte."""
    return rebuild(
        data, tag, lambda name, value: tlv.build([(name, value[:-1] + _flipped(value[-1:]))])
    )


def _flipped(last: bytes) -> bytes:
    return bytes((last[0] ^ 0x01,)) if last else b""


def trailing(data: bytes, extra: bytes) -> bytes | None:
    """Leave bytes behind the outermost template."""
    return data + (extra or b"\x5f") if data else None


def wrong_template(data: bytes, tag: str) -> bytes | None:
    """Put the outermost object under another tag."""
    return rebuild(data, "", lambda _name, value: tlv.build([(tag, value)]))


def locator_beyond(data: bytes) -> bytes | None:
    """Let the AFL (94) name one record more than its last file has. EMV 4.4 Book 3, 10.2."""

    def longer(tag: str, value: bytes) -> bytes:
        entry = bytearray(value[-_AFL_ENTRY_BYTES:])
        if len(entry) == _AFL_ENTRY_BYTES:
            entry[2] = min(entry[2] + 1, 0xFF)
        return tlv.build([(tag, value[:-_AFL_ENTRY_BYTES] + bytes(entry))])

    return rebuild(data, "94", longer)


def expired_certificate(data: bytes, identifier: str) -> bytes | None:
    """Put a published authority's expired issuer certificate (90) in the place of a good one."""

    def expired(tag: str, value: bytes) -> bytes:
        for name in PUBLISHED:
            authority = published_authority(name)
            if len(authority.ca.public) == len(value):
                value = authority.certificate(identifier, expired=True).certificate
        return tlv.build([(tag, value)])

    return rebuild(data, "90", expired)
