"""jPOS GenericPackager XML to our words.

What each field class puts on the wire stands in `jpos_fields.toml`. Sub-packagers that list their
fields one after the other become positional parts, those with a bitmap bitmapped ones; of other
sub-packagers the field is kept whole and its parts are reported.
"""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from protocols.iso8583.importers.draft import Draft, Table, plain_name
from protocols.iso8583.importers.errors import SpecImportError
from protocols.iso8583.importers.safe_xml import XmlElement, read_xml
from protocols.iso8583.limits import ELEMENT_BYTES_MAX

_MTI = {
    "IFA_NUMERIC": "ascii", "IF_CHAR": "ascii", "IFB_NUMERIC": "bcd", "IFE_NUMERIC": "cp1047",
    "IFE_CHAR": "cp1047", "IF_ECHAR": "cp1047",
}  # fmt: skip
_BITMAP = {"IFA_BITMAP": "hex", "IFB_BITMAP": "binary", "IFE_BITMAP": "ebcdic-hex"}
_SUB_PACKAGERS = ("GenericSubFieldPackager", "")
_EBCDIC_BITMAP = "jPOS fills a message without elements above 32 with an empty second bitmap"


@cache
def field_classes() -> dict[str, dict[str, Any]]:
    """Give the table of field classes."""
    folder = files("protocols.iso8583.importers")
    return tomllib.loads(folder.joinpath("jpos_fields.toml").read_text("utf-8"))


def read_jpos(text: str, draft: Draft) -> None:
    """Take a GenericPackager file over into a draft.

    Raises: SpecImportError when the file is no such XML.
    """
    root = read_xml(text)
    if root.tag != "isopackager":
        raise SpecImportError(f"line {root.line}: the root is no isopackager.")
    for node in root.children:
        draft.count()
        number = _number(node)
        if number is None:
            draft.leave_out(f"line {node.line}", "no field number")
        elif number == 0:
            _take_mti(node, draft)
        elif number == 1:
            _take_bitmap(node, draft)
        elif number == 65 and _class_of(node) in _BITMAP:
            draft.leave_out("65", "a third bitmap in the place of element 65")
        elif number in draft.elements:
            draft.leave_out(str(number), f"stands twice (line {node.line})")
        else:
            table = _field(node, str(number), number, draft)
            if table is not None:
                draft.put(number, table)
    if root.attributes.get("headerLength", "0") not in ("", "0"):
        draft.leave_out("header", "belongs to the framing of the link, not to the message")


def _number(node: XmlElement) -> int | None:
    text = node.attributes.get("id", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None


def _class_of(node: XmlElement) -> str:
    return node.attributes.get("class", "").strip().rsplit(".", 1)[-1]


def _take_mti(node: XmlElement, draft: Draft) -> None:
    encoding = _MTI.get(_class_of(node))
    if encoding is None:
        draft.leave_out("0", "its class gives no message type of four digits; ASCII is assumed")
    draft.mti = encoding or "ascii"


def _take_bitmap(node: XmlElement, draft: Draft) -> None:
    encoding = _BITMAP.get(_class_of(node))
    if encoding is None:
        draft.leave_out("1", "its class is no bitmap that is known; binary is assumed")
    draft.bitmap = encoding or "binary"
    if encoding == "ebcdic-hex" and (_length(node) or 16) > 8:
        draft.leave_out("1", f"{_EBCDIC_BITMAP}, which is refused here")
    draft.tertiary = (_length(node) or 16) > 16


def _length(node: XmlElement) -> int | None:
    text = node.attributes.get("length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else None


def _field(node: XmlElement, path: str, number: int, draft: Draft) -> Table | None:
    """Give the table of one field, None when it cannot be taken over (which is then noted)."""
    name, class_name = node.attributes.get("name", ""), _class_of(node)
    known = field_classes().get(class_name)
    length = _length(node)
    if known is None or "not" in known or not length:
        why = "no length" if known else f"the field class {plain_name(class_name, '?')} is unknown"
        draft.leave_out(path, str(known["not"]) if known and "not" in known else why)
        return None
    table: Table = {"name": plain_name(name, f"Field {path}"), "kind": known["kind"]}
    if known.get("signed"):
        return _signed(node, table, length, path)
    prefix = _prefix(known)
    if number == 35 and prefix is not None and known["kind"] in ("text", "digits"):
        table["kind"] = "track2"
    if node.children:
        parts = _composite(node, table, prefix, path, draft)
        if parts is not None:
            return parts
    table["encoding"] = known.get("encoding", "binary" if known["kind"] == "bytes" else "ascii")
    if prefix is None:
        table["len"] = length
    else:
        table["max"] = min(length, ELEMENT_BYTES_MAX)
        table["prefix"] = prefix
    if table["encoding"] == "bcd":
        table["odd"] = _odd(node, known.get("odd", "right-0"))
    if known.get("filled") and table["kind"] != "track2":
        table["pad"] = "right-space" if known["kind"] == "text" else "left-0"
    if "charset" in known:
        table["charset"] = known["charset"]
    table["source"] = f"jPOS packager, field {path} ({class_name})"
    return table


def _odd(node: XmlElement, without: str) -> str:
    return "left-0" if node.attributes.get("pad", "").lower() == "true" else without


def _signed(node: XmlElement, table: Table, length: int, path: str) -> Table | None:
    """Give an amount of a sign and packed digits: two parts. The class looks at neither."""
    source = f"jPOS packager, field {path} ({_class_of(node)})"
    sign: Table = {"name": "Sign", "kind": "text", "encoding": "ascii", "len": 1, "charset": "an"}
    amount: Table = {"name": "Amount", "kind": "digits", "encoding": "bcd", "len": length - 1}
    amount["odd"] = _odd(node, "right-0")
    parts = {"sign": sign | {"source": source}, "amount": amount | {"source": source}}
    return {"name": table["name"], "kind": "positional", "source": source, "sub": parts}


def _prefix(known: dict[str, Any]) -> dict[str, Any] | None:
    if "bytes" in known:
        return {"bytes": known["bytes"]}
    if "digits" not in known:
        return None
    prefix = {"digits": known["digits"], "encoding": known.get("prefix", "ascii")}
    return prefix | ({"counts": known["counts"]} if "counts" in known else {})


def _composite(
    node: XmlElement, table: Table, prefix: dict[str, Any] | None, path: str, draft: Draft
) -> Table | None:
    """Give a positional or bitmapped element, None to keep the field whole."""
    known = field_classes()[_class_of(node)]
    packager = node.attributes.get("packager", "").rsplit(".", 1)[-1]
    has_bitmap = node.attributes.get("emitBitmap", "true").lower() == "true"
    has_bitmap = has_bitmap and any(_class_of(child) in _BITMAP for child in node.children)
    bitmap_at = node.attributes.get("bitmapField", "1" if has_bitmap else "")
    why = ""
    if packager not in _SUB_PACKAGERS:
        why = f"parts of a {plain_name(packager, '?')}: kept whole"
    elif known.get("encoding", "ascii") not in ("ascii", "binary"):
        why = "parts inside hexadecimal digits or another encoding: kept whole"
    if why:
        draft.leave_out(path, why)
        return None
    bitmap_bytes, lowest, parts = 0, 2, {}
    for child in node.children:
        draft.count()
        number = _number(child)
        if number is None or str(number) in parts:
            draft.leave_out(f"{path}, line {child.line}", "no field number of its own")
            return None
        if _class_of(child) in _BITMAP:
            size = _length(child) or 16
            bitmap_bytes = min(size, 8) if _class_of(child) == "IFB_BITMAP" else 0
            lowest = 1 if size <= 8 else 2  # of a longer one, the first bit announces more
            bitmap_at = str(number)
        elif _class_of(child) not in ("IF_NOP", "IF_UNUSED") and (number or _length(child)):
            part = _field(child, f"{path}.{number}", 0, draft)
            if part is None:
                draft.leave_out(path, "a part of it cannot be taken over: kept whole")
                return None
            parts[str(number)] = part
    bits = range(lowest, bitmap_bytes * 8 + 1)
    if has_bitmap and not (bits and all(key != bitmap_at and int(key) in bits for key in parts)):
        draft.leave_out(path, "a bitmap of another form than 64 bits: kept whole")
        return None
    return _with_parts(node, table, prefix, path, parts, bitmap_bytes if has_bitmap else 0, draft)


def _with_parts(
    node: XmlElement,
    table: Table,
    prefix: dict[str, Any] | None,
    path: str,
    parts: dict[str, Table],
    bitmap_bytes: int,
    draft: Draft,
) -> Table | None:
    ordered = {key: parts[key] for key in sorted(parts, key=int)}
    if not ordered:
        return None
    out: Table = {"name": table["name"], "kind": "bitmapped" if bitmap_bytes else "positional"}
    if bitmap_bytes:
        out["bitmap_bytes"] = bitmap_bytes
        out["max"] = min(_length(node) or 1, ELEMENT_BYTES_MAX)
    elif len(ordered) > 1:
        draft.leave_out(path, "parts at its end may be missing there; all are required here")
    if prefix is not None:
        out["prefix"] = prefix | {"counts": "bytes"}
    elif bitmap_bytes or not all("len" in part for part in ordered.values()):
        draft.leave_out(path, "parts of changing length without a length in front: kept whole")
        return None
    out["source"] = f"jPOS packager, field {path} ({_class_of(node)})"
    out["sub"] = ordered
    return out
