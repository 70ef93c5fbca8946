"""Masked text of a card exchange: what a trace may hold (design decision 19).

Fails closed: data are shown for tags that the dictionary calls public and for commands named
here; everything else is given as a length. Card and terminal traces use the same function.
"""

from protocols.emv import tags, tlv
from protocols.emv.errors import EmvDataError

_SELECT, _EXTERNAL_AUTHENTICATE = 0xA4, 0x82
_GET_PROCESSING_OPTIONS, _GENERATE_AC = 0xA8, 0xAE
_SHOWN_COMMANDS = frozenset((_SELECT, _EXTERNAL_AUTHENTICATE))
#: Commands whose answer in format 1 (tag 80) is AIP and AFL, or a cryptogram: public objects.
_SHOWN_FORMAT_1 = frozenset((_GET_PROCESSING_OPTIONS, _GENERATE_AC))
_FORMAT_1 = "80"


def masked_command(raw: bytes) -> str:
    """Give header and P3 in hex, data as hex for SELECT and EXTERNAL AUTHENTICATE, else a length.

    >>> masked_command(bytes.fromhex("00A4040005F053534E0100"))
    '00A40400 05 F053534E0100'
    >>> masked_command(bytes.fromhex("0020008008241234FFFFFFFFFF"))
    '00200080 08 [8 bytes]'
    """
    if len(raw) < 5:
        return f"[{len(raw)} bytes]"
    head = f"{raw[:4].hex().upper()} {raw[4]:02X}"
    body = raw[5:]
    if not body:
        return head
    shown = body.hex().upper() if raw[1] in _SHOWN_COMMANDS else f"[{len(body)} bytes]"
    return f"{head} {shown}"


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
