"""Masked text of a card exchange: what a trace may hold (design decision 19).

Fails closed: data are shown for tags that the dictionary calls public and for commands named
here; everything else is given as a length. Card and terminal traces use the same function.
"""

from protocols.emv import tags, tlv
from protocols.emv.errors import EmvDataError

_SELECT, _EXTERNAL_AUTHENTICATE = 0xA4, 0x82
_GET_PROCESSING_OPTIONS, _GENERATE_AC = 0xA8, 0xAE
_SHOWN_COMMANDS = frozenset((_SELECT, _EXTERNAL_AUTHENTICATE))
#: Longest name and longest proof: an AID, an ARPC with its code. EMV 4.4 Book 1, 12.2.1.
_SHOWN_BYTES = 16
#: A card number has 13 digits at least (design decision 19).
_DIGITS_HIDDEN = 13
#: Commands whose answer in format 1 (tag 80) is AIP and AFL, or a cryptogram: public objects.
_SHOWN_FORMAT_1 = frozenset((_GET_PROCESSING_OPTIONS, _GENERATE_AC))
_FORMAT_1 = "80"


def masked_command(raw: bytes) -> str:
    """Give header, Lc and Le in hex; data for SELECT and EXTERNAL AUTHENTICATE, else a length.

    What no name and no proof is, by its length or as a run of digits, is a length there too.

    >>> masked_command(bytes.fromhex("00A4040005F053534E0100"))
    '00A40400 05 F053534E01 00'
    >>> masked_command(bytes.fromhex("0020008008241234FFFFFFFFFF"))
    '00200080 08 [8 bytes]'
    """
    if len(raw) < 5:
        return f"[{len(raw)} bytes]"
    head = f"{raw[:4].hex().upper()} {raw[4]:02X}"
    body = raw[5:]
    if not body:
        return head
    data, rest = body[: raw[4]], body[raw[4] :]
    if len(data) < raw[4] or len(rest) > 1:
        return f"{head} [{len(body)} bytes]"
    shown = data.hex().upper()
    is_number = raw[1] == _SELECT and len(shown) >= _DIGITS_HIDDEN and shown.isdecimal()
    if raw[1] not in _SHOWN_COMMANDS or len(data) > _SHOWN_BYTES or is_number:
        shown = f"[{len(data)} bytes]"
    return f"{head} {shown} {rest.hex().upper()}".rstrip()


def masked_response(raw: bytes, command: bytes) -> str:
    """Give the public objects of an answer, the lengths of the others, and the status word.

    >>> masked_response(bytes.fromhex("700A5A0812345678901234569000"), bytes.fromhex("00B2011400"))
    '70{5A[8]} 9000'
    """
    if len(raw) < 2:
        return f"[{len(raw)} bytes, no status]"
    status = raw[-2:].hex().upper()
    data = raw[:-2]
    if not data:
        return status
    try:
        objects = tlv.parse(data)
    except EmvDataError:
        return f"[{len(data)} bytes] {status}"
    ins = command[1] if len(command) > 1 else 0
    return f"{' '.join(_shown(item, ins) for item in objects)} {status}"


def _shown(item: tlv.Tlv, ins: int) -> str:
    if item.children:
        return f"{item.tag}{{{' '.join(_shown(child, ins) for child in item.children)}}}"
    public = ins in _SHOWN_FORMAT_1 if item.tag == _FORMAT_1 else tags.may_show(item.tag)
    return f"{item.tag}={item.value.hex().upper()}" if public else f"{item.tag}[{len(item.value)}]"
