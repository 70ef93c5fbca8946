"""pyiso8583 specification dictionaries (JSON, or a Python literal) to our words.

A literal is read with `ast.literal_eval`: nothing of the file is ever run. The wire bytes are the
same; values differ where packed digits counted in bytes may be digits or bytes: they become digits
where ISO 8583:1987 has digits of fixed length, else bytes.
"""

import ast
import codecs
import json
import warnings
from typing import Any

from protocols.iso8583.charsets import TEXT_CODECS
from protocols.iso8583.importers.draft import Draft, Table, plain_name
from protocols.iso8583.importers.errors import SpecImportError
from protocols.iso8583.loader import MTI_ENCODINGS, load_spec
from protocols.iso8583.model import Kind

_ODD = {
    ("left", "0"): "left-0", ("left", "F"): "left-f",
    ("right", "0"): "right-0", ("right", "F"): "right-f",
}  # fmt: skip


class _NotSaid(Exception):  # noqa: N818 - no error of the project: it ends one field's reading
    """A field's form cannot be said in our words; the text is the reason."""


def read_peer_dict(text: str, draft: Draft) -> None:
    """Take a pyiso8583 dictionary over into a draft.

    Raises: SpecImportError when the text holds no such dictionary.
    """
    spec = _dictionary(text)
    numbers = [int(key) for key in spec if key.isascii() and key.isdigit() and len(key) <= 3]
    draft.tertiary = any(number > 128 for number in numbers)
    _take_head(spec, draft)
    for key, field in spec.items():
        draft.count()
        if key in ("h", "t", "p", "1"):
            continue
        if not (key.isascii() and key.isdigit() and len(key) <= 3 and isinstance(field, dict)):
            draft.leave_out(plain_name(key, "?"), "no field of a number")
            continue
        number = int(key)
        if number == 65:
            if not draft.tertiary:
                draft.leave_out("65", "a third bitmap there, and no field behind 128 needs it")
            continue
        try:
            draft.put(number, _field(field, number))
        except _NotSaid as reason:
            draft.leave_out(key, str(reason))


def _dictionary(text: str) -> dict[str, Any]:
    """Give the dictionary of a JSON text, or the first one of a Python text."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        found = _literal(text)
    if not isinstance(found, dict) or any(not isinstance(key, str) for key in found):
        raise SpecImportError("the file holds no dictionary of fields.")
    return found


def _literal(text: str) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the file's author wrote is not ours to report
            tree = ast.parse(text)
            for statement in tree.body:
                value = getattr(statement, "value", None)
                if isinstance(value, ast.Dict):
                    return ast.literal_eval(value)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass  # then it holds no literal dictionary, which is said below
    raise SpecImportError("the file is neither JSON nor a Python dictionary written out.")


def _take_head(spec: dict[str, Any], draft: Draft) -> None:
    header, mti, bitmap = (_table(spec.get(key)) for key in "htp")
    if header.get("max_len"):
        draft.leave_out("h", "a header belongs to the framing of the link, not to the message")
    encoding = "bcd" if mti.get("data_enc") == "b" else _codec(mti.get("data_enc", "ascii"))
    if encoding not in MTI_ENCODINGS:
        draft.leave_out("t", "its code page is not known here; ASCII is assumed")
        encoding = "ascii"
    draft.mti = encoding
    page = "b" if bitmap.get("data_enc", "b") == "b" else _codec(bitmap["data_enc"])
    draft.bitmap = {"b": "binary", "ascii": "hex"}.get(str(page), "ebcdic-hex")
    second = _table(spec.get("1"))
    if second and second.get("data_enc") != bitmap.get("data_enc"):
        draft.leave_out("1", "another encoding than the first bitmap: taken as the first")


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _codec(name: object) -> str | None:
    """Give our name of a Python codec, None for one that we do not have."""
    try:
        found = codecs.lookup(str(name)).name
    except (LookupError, ValueError):
        return None
    if found in ("utf-8", "iso8859-1", "cp1252"):
        return "ascii"  # values are printable ASCII here; these pages write it alike
    return found if found in TEXT_CODECS else None


def _field(field: dict[str, Any], number: int) -> Table:
    largest = field.get("max_len")
    if type(largest) is not int or largest < 1:
        raise _NotSaid("no length")
    out: Table = {"name": plain_name(field.get("desc"), f"Field {number}")}
    out |= _data(field, number, largest)
    prefix = _prefix(field)
    if prefix is None:
        out["len"] = out.pop("size")
    else:
        out["max"] = out.pop("size")
        out["prefix"] = prefix
    return out | {"source": f"pyiso8583 specification, field {number}"}


def _data(field: dict[str, Any], number: int, largest: int) -> Table:
    """Give kind, encoding and the size in units of the value."""
    encoding, counts = field.get("data_enc"), field.get("len_count", "bytes")
    if encoding != "b":
        page = _codec(encoding)
        if page is None:
            raise _NotSaid("its code page is not known here")
        if counts != "bytes":
            raise _NotSaid("text whose length counts half-bytes")
        return {"kind": "text", "encoding": page, "size": largest}
    if counts == "nibbles":
        kind = "track2" if number == 35 else "digits"
        return {"kind": kind, "encoding": "bcd", "odd": _odd(field), "size": largest}
    known = load_spec("iso87").elements.get(number)
    if known is not None and known.kind is Kind.DIGITS and not field.get("len_type"):
        return {"kind": "digits", "encoding": "bcd", "size": largest * 2}
    return {"kind": "bytes", "encoding": "binary", "size": largest}


def _odd(field: dict[str, Any]) -> str:
    for side in ("left", "right"):
        pad = str(field.get(f"{side}_pad", ""))[:1].upper()
        if pad:
            found = _ODD.get((side, pad))
            if found is None:
                raise _NotSaid("filled with another half-byte than 0 or F")
            return found
    return "left-0"


def _prefix(field: dict[str, Any]) -> dict[str, Any] | None:
    width, encoding = field.get("len_type", 0), field.get("len_enc")
    if width == 0:
        return None
    if type(width) is not int or not 0 < width <= 4:
        raise _NotSaid("a length of more than four bytes")
    if encoding == "b":
        return {"bytes": width}
    if encoding == "bcd":
        if width > 2:
            raise _NotSaid("a packed length of more than four digits")
        return {"digits": width * 2, "encoding": "bcd"}
    page = _codec(encoding)
    if page is None:
        raise _NotSaid("its length's code page is not known here")
    return {"digits": width, "encoding": page}
