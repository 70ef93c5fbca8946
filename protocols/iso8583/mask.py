"""Masked bytes of a message: what nobody may see is overwritten, every length stays.

For hexadecimal dumps, captures and journals that people read. The masked bytes still decode: digits
become 0, letters X, bytes zero; a card number keeps its last four digits, track 2 its separator.
It fails closed: parts that the spec does not know become zeros, and so does everything from the
first fault on.
"""

from protocols.iso8583.charsets import CHARSETS, TEXT_CODECS
from protocols.iso8583.content import wire_size
from protocols.iso8583.errors import MessageError
from protocols.iso8583.limits import MESSAGE_BYTES_MAX
from protocols.iso8583.model import COMPOSITES, Element, Kind, Sensitivity, Spec
from protocols.iso8583.walk import Node, Walk

#: A card number shorter than this shows nothing: its last four would be half of it.
_SHOWN_DIGITS_MIN = 8
_SHOWN_DIGITS = 4


def mask_message(spec: Spec, raw: bytes) -> bytes:
    """Give the bytes with everything sensitive overwritten; never raises for bytes."""
    nodes: list[Node] = []
    out = bytearray(raw)
    if len(raw) > MESSAGE_BYTES_MAX:
        return bytes(len(raw))
    try:
        Walk(spec, raw, nodes).message()
        read_to = len(raw)
    except MessageError:
        leaves = [node.end for node in nodes if not _is_composite(node)]
        read_to = max(leaves, default=0)
    for node in nodes:
        _mask_node(spec, out, node)
    out[read_to:] = bytes(len(out) - read_to)
    return bytes(out)


def _is_composite(node: Node) -> bool:
    return node.element is not None and node.element.kind in COMPOSITES


def _mask_node(spec: Spec, out: bytearray, node: Node) -> None:
    if node.path in ("mti", "bitmap") or (_is_composite(node) and not _is_packed(node)):
        return
    top = spec.elements[int(node.path.partition(".")[0])]
    if node.element is None:
        _zero(out, node.end - len(_bytes(node)) * (2 if top.encoding == "hex" else 1), node, top)
    elif _is_packed(node):
        if _is_hidden(top, node.path) or any(
            sub.sensitive is not Sensitivity.NONE for sub in node.element.sub
        ):
            _zero(out, _content(node, node.element), node, top)
    elif _is_hidden(top, node.path):
        _overwrite(out, node, node.element, top, may_show=False)
    elif node.element.sensitive is not Sensitivity.NONE:
        _overwrite(out, node, node.element, top, may_show=True)


def _is_packed(node: Node) -> bool:
    element = node.element
    return element is not None and element.kind is Kind.POSITIONAL and element.encoding == "bcd"


def _is_hidden(top: Element, path: str) -> bool:
    """Tell whether a composite around this part hides all of it."""
    around: Element | None = top
    for key in path.split(".")[1:]:
        assert around is not None
        if around.sensitive not in (Sensitivity.NONE, Sensitivity.EMV, Sensitivity.PAN):
            return True
        around = next((sub for sub in around.sub if sub.key == key), None)
        if around is None:
            return False
    return False


def _bytes(node: Node) -> bytes:
    assert isinstance(node.value, bytes)
    return node.value


def _content(node: Node, element: Element) -> int:
    """Give where the content of a part begins, behind its prefix."""
    return node.start + (element.prefix.size if element.prefix else 0)


def _zero(out: bytearray, begin: int, node: Node, top: Element) -> None:
    filler = b"0" if top.encoding == "hex" else b"\0"
    out[begin : node.end] = filler * (node.end - begin)


def _overwrite(out: bytearray, node: Node, element: Element, top: Element, may_show: bool) -> None:
    """Overwrite a value without parts, in its own encoding."""
    begin = _content(node, element)
    if top.encoding == "hex" and element is not top:
        _overwrite_in_hex(out, node, element, may_show)
        return
    field = bytes(out[begin : node.end])
    out[begin : node.end] = masked_field(element, field, node.value, may_show)


def _overwrite_in_hex(out: bytearray, node: Node, element: Element, may_show: bool) -> None:
    begin = node.start + (element.prefix.size * 2 if element.prefix else 0)
    field = bytes.fromhex(out[begin : node.end].decode("ascii"))
    shown = masked_field(element, field, node.value, may_show)
    out[begin : node.end] = shown.hex().upper().encode("ascii")


def masked_field(element: Element, field: bytes, value: object, may_show: bool) -> bytes:
    """Give the masked content of a part, as long as it was."""
    if element.kind in (Kind.BYTES, Kind.BITMAP):
        page = {"hex": "ascii", "ebcdic-hex": "cp500"}.get(element.encoding)
        return bytes(len(field)) if page is None else "0".encode(page) * len(field)
    assert isinstance(value, str)
    is_pan = may_show and element.sensitive is Sensitivity.PAN
    kept = _SHOWN_DIGITS if is_pan and len(value) >= _SHOWN_DIGITS_MIN else 0
    filler = "X" if element.kind is Kind.TEXT and "0" not in CHARSETS[element.charset] else "0"
    hidden = value[: len(value) - kept]
    if element.kind is Kind.TRACK2:
        text = "".join("=" if one == "=" else filler for one in hidden) + value[len(hidden) :]
    else:
        text = filler * len(hidden) + value[len(hidden) :]
    if element.encoding != "bcd":
        return text.encode(TEXT_CODECS[element.encoding])
    digits = text.replace("=", "D")
    if wire_size(element, len(text)) * 2 != len(digits):
        nibble = element.odd[-1].upper()
        digits = nibble + digits if element.odd.startswith("left") else digits + nibble
    return bytes.fromhex(digits)
