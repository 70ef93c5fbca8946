"""moov-io/iso8583 JSON specifications to our words.

Encodings and prefixes stand in `moov_words.toml`. Composites become positional, tag-length-value,
BER-TLV or bitmapped elements; what their form cannot say here is reported and left out.
"""

import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from protocols.iso8583.importers.draft import Draft, Table, plain_name
from protocols.iso8583.importers.errors import SpecImportError
from protocols.iso8583.importers.limits import NESTING_MAX

_TYPES = {"String", "Numeric", "Binary", "Track1", "Track2", "Track3", "Hex", "Composite"}


class _NotSaid(Exception):  # noqa: N818 - no error of the project: it ends one field's reading
    """A field's form cannot be said in our words; the text is the reason."""


@cache
def words() -> dict[str, Any]:
    """Give the table of encodings and prefixes."""
    folder = files("protocols.iso8583.importers")
    return tomllib.loads(folder.joinpath("moov_words.toml").read_text("utf-8"))


def read_moov(text: str, draft: Draft) -> None:
    """Take a moov JSON specification over into a draft.

    Raises: SpecImportError when the text is no such JSON.
    """
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError):
        raise SpecImportError("the file is not JSON.") from None
    fields = spec.get("fields") if isinstance(spec, dict) else None
    if not isinstance(fields, dict):
        raise SpecImportError('the file has no object "fields".')
    for key, field in map(_as_now, fields, fields.values()):
        draft.count()
        if not (key.isascii() and key.isdigit() and len(key) <= 3 and isinstance(field, dict)):
            draft.leave_out(plain_name(key, "?"), "no field of a number")
        elif int(key) == 0:
            draft.mti = _head(field, "mti", "ascii", "0", draft)
        elif int(key) == 1:
            draft.bitmap = _head(field, "bitmap", "binary", "1", draft)
            _check_bitmap(field, draft)
        else:
            try:
                draft.put(int(key), _field(field, key, draft, 0))
            except _NotSaid as reason:
                draft.leave_out(key, str(reason))
    draft.tertiary = max(draft.elements, default=0) > 128


def _as_now(key: str, field: Any) -> tuple[str, Any]:
    """Give an older export's `Field002`, `asciiEncoder`, `ASCII.fixed`, pad 48 as they are today.

    What is of today's form, or of none, comes back as it is.
    """
    encoding = words()["older"].get(field.get("enc")) if isinstance(field, dict) else None
    if encoding is None or not key.startswith("Field"):
        return key, field
    padding = field.get("padding")
    if isinstance(padding, dict) and type(padding.get("pad")) is int and 32 <= padding["pad"] < 127:
        kind = str(padding.get("type")).removesuffix("Padder").capitalize()
        padding = {"type": kind, "pad": chr(padding["pad"])}
    prefix = str(field.get("prefix")).replace(".fixed", ".Fixed")
    number = key.removeprefix("Field").lstrip("0") or "0"
    return number, field | {"enc": encoding, "prefix": prefix, "padding": padding}


def _head(field: Table, table: str, fallback: str, path: str, draft: Draft) -> str:
    found = words()[table].get(str(field.get("enc")))
    if found is None:
        draft.leave_out(path, f"its encoding is not known here; {fallback} is assumed")
    return str(found or fallback)


def _check_bitmap(field: Table, draft: Draft) -> None:
    if field.get("length", 8) != 8 or field.get("disableAutoExpand"):
        why = (
            "a bitmap of fixed size without a bit that announces the next: taken as the standard's"
        )
        draft.leave_out("1", why)


def _field(field: Table, path: str, draft: Draft, depth: int) -> Table:
    kind = field.get("type")
    if kind not in _TYPES:
        raise _NotSaid("its type is not known here")
    if depth > NESTING_MAX:
        raise SpecImportError("composites nested too deep.")
    length = field.get("length", 0)
    if type(length) is not int or not 0 <= length <= 1 << 20:
        raise _NotSaid("its length is no number")
    name = plain_name(field.get("description"), f"Field {path}")
    source = (
        f"moov specification, field {path} ({kind}, {plain_name(field.get('enc'), 'composite')})"
    )
    if kind == "Composite":
        return {"name": name} | _composite(field, path, length, draft, depth) | {"source": source}
    table: Table = {"name": name} | _simple(field, str(kind)) | _size(field, length)
    if table["kind"] == "bytes" and table["encoding"] == "hex" and "prefix" in table:
        raise _NotSaid("hexadecimal digits behind a length that counts bytes of the value")
    _add_padding(field, table)
    return table | {"source": source}


def _simple(field: Table, kind: str) -> Table:
    encoding = words()["encodings"].get(str(field.get("enc")))
    if encoding is None:
        raise _NotSaid("its encoding is not known here")
    if kind == "Track2" and ("text" in encoding or "digits" in encoding):
        odd = "right-0" if encoding.get("odd") == "right-0" else "left-0"
        found = encoding.get("text", encoding.get("digits"))
        return {"kind": "track2", "encoding": found} | ({"odd": odd} if found == "bcd" else {})
    if "bytes" in encoding:
        return {"kind": "bytes", "encoding": encoding["bytes"]}
    if "digits" in encoding:
        return {"kind": "digits", "encoding": "bcd", "odd": encoding["odd"]}
    name = "digits" if kind == "Numeric" else "text"
    return {"kind": name, "encoding": encoding["text"]}


def _size(field: Table, length: int) -> Table:
    prefix = _prefix(field.get("prefix"))
    if not length:
        raise _NotSaid("no length")
    return {"len": length} if prefix is None else {"max": length, "prefix": prefix}


def _prefix(text: object) -> dict[str, Any] | None:
    """Give our prefix of `ASCII.LL`, None of `ASCII.Fixed`."""
    family, _, width = str(text).partition(".")
    known = words()["prefixes"].get(family)
    if known is None or (width != "Fixed" and not (width and set(width) == {"L"})):
        raise _NotSaid("its length prefix is not known here")
    if width == "Fixed":
        return None
    if not known["encoding"]:
        raise _NotSaid("a length written as hexadecimal digits")
    if len(width) > 4:
        raise _NotSaid("a length of more than four digits")
    if known["encoding"] == "binary":
        return {"bytes": len(width)}
    return {"digits": len(width), "encoding": known["encoding"]}


def _add_padding(field: Table, table: Table) -> None:
    padding = field.get("padding")
    if not isinstance(padding, dict) or padding.get("type") in (None, "None"):
        return
    if "prefix" in table and table["kind"] == "track2" and table["encoding"] == "bcd":
        table["odd"] = {"Left0": "left-0", "Right0": "right-0", "LeftF": "left-f"}.get(
            f"{padding['type']}{str(padding.get('pad')).upper()}", "right-f"
        )
        return
    if "prefix" in table:
        raise _NotSaid("a length in front of a field that is filled up to its full size")
    pad = {("Left", "0"): "left-0", ("Left", " "): "left-space", ("Right", " "): "right-space"}.get(
        (str(padding.get("type")), str(padding.get("pad")))
    )
    if pad is None:
        raise _NotSaid("a padding that is not known here")
    if table["kind"] in ("text", "digits"):
        table["pad"] = pad


def _composite(field: Table, path: str, length: int, draft: Draft, depth: int) -> Table:
    given = field.get("subfields")
    if not isinstance(given, dict) or not given:
        raise _NotSaid("a composite without parts")
    prefix = _prefix(field.get("prefix"))
    tag = field.get("tag") if isinstance(field.get("tag"), dict) else {}
    assert isinstance(tag, dict)
    out: Table
    if isinstance(field.get("bitmap"), dict):
        out = _bitmapped(field["bitmap"], length)
    elif tag.get("enc") == "BerTLVTag":
        out = {"kind": "ber-tlv", "max": length}
    elif tag.get("length"):
        out = {"kind": "tlv", "tags": _tag_form(tag, given), "max": length}
    else:
        out = {"kind": "positional"}
    if prefix is not None:
        out["prefix"] = prefix | {"counts": "bytes"}
    out["sub"] = _parts(given, out["kind"], path, draft, depth)
    if out["kind"] == "positional" and len(out["sub"]) > 1:
        draft.leave_out(path, "parts at its end may be missing there; all are required here")
    return out


def _bitmapped(bitmap: Table, length: int) -> Table:
    size = bitmap.get("length")
    if bitmap.get("enc") != "Binary" or type(size) is not int or not 1 <= size <= 16:
        raise _NotSaid("a bitmap inside that is not binary")
    if not bitmap.get("disableAutoExpand"):
        raise _NotSaid("a bitmap inside that may grow")
    return {"kind": "bitmapped", "bitmap_bytes": size, "max": length}


def _tag_form(tag: Table, parts: Table) -> Table:
    """Give the form of tags and lengths; all parts must write their length alike."""
    widths = [_prefix(part.get("prefix")) for part in parts.values() if isinstance(part, dict)]
    if tag.get("enc") not in ("ASCII", "Binary") or tag.get("padding"):
        raise _NotSaid("tags of an encoding or padding that is not known here")
    if not widths or widths[0] is None or any(width != widths[0] for width in widths):
        raise _NotSaid("parts whose lengths are not written alike")
    encoding = "ascii" if tag["enc"] == "ASCII" else "binary"
    return {"bytes": tag["length"], "encoding": encoding, "length": widths[0]}


def _parts(given: Table, kind: str, path: str, draft: Draft, depth: int) -> dict[str, Table]:
    is_tagged = kind in ("tlv", "ber-tlv")
    keys = sorted(given, key=lambda key: (len(key), key))
    parts: dict[str, Table] = {}
    for key in keys:
        draft.count()
        if not (key.isascii() and key.isalnum() and len(key) <= 8 and isinstance(given[key], dict)):
            raise _NotSaid("a part without a plain name")
        in_tag = {"prefix": "ASCII.Fixed"} if kind == "ber-tlv" else {}
        part = _field(given[key] | in_tag, f"{path}.{key}", draft, depth + 1)
        if is_tagged:
            part.pop("prefix", None)
            part.pop("pad", None)
            if "len" in part:
                part["max"] = part.pop("len")
            part = {"tag": key} | part
        parts[key] = part
    return parts
