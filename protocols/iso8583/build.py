"""One element's TOML table to an `Element`, with every mistake noted.

Defaults: `[defaults]` gives encoding and odd-digit rule per kind and the encoding of prefixes, so
that a dialect changes ASCII to packed decimal in four lines. Sub-elements take the encoding of
their composite.
"""

from dataclasses import replace

from protocols.iso8583.charsets import BYTES_ENCODINGS, CHARSETS, TEXT_CODECS
from protocols.iso8583.content import wire_size
from protocols.iso8583.limits import DEPTH_MAX, ELEMENT_BYTES_MAX, ELEMENT_NUMBER_MAX, REPEATS_MAX
from protocols.iso8583.lint import Problems, Table, check_keys, check_text
from protocols.iso8583.model import COMPOSITES, STRINGS, Element, Kind, Prefix, Sensitivity, TagForm
from protocols.iso8583.pack import is_ber_tag

ELEMENT_KEYS = {
    "name",
    "kind",
    "encoding",
    "len",
    "max",
    "min",
    "prefix",
    "pad",
    "odd",
    "charset",
    "sensitive",
    "codes",
    "sub",
    "tag",
    "tags",
    "repeats",
    "bitmap_bytes",
    "note",
    "example",
    "source",
}
PREFIX_KEYS = {"digits", "bytes", "encoding", "counts", "includes_self"}
TAGS_KEYS = {"bytes", "encoding", "length", "length_counts_tag"}
ODD_RULES = ("left-0", "left-f", "right-0", "right-f")
PADS = ("left-0", "left-space", "right-space")
COUNTS = ("digits", "bytes", "nibbles")
PREFIX_ENCODINGS = ("ascii", "bcd", "binary", *TEXT_CODECS)
DEFAULT_KEYS = {"text", "digits", "track2", "bytes", "prefix"}
#: Elements that no spec may leave unmasked. Source: design decision 19.
MUST_BE_SENSITIVE = {"2", "34", "35", "36", "45", "52", "55"}

#: Kinds that carry tags.
TAGGED = (Kind.TLV, Kind.LTV, Kind.BER_TLV, Kind.DATASET)


class ElementBuilder:
    """Builds the elements of one spec."""

    def __init__(self, defaults: Table, problems: Problems) -> None:
        """Take `[defaults]` and the list that mistakes go to."""
        is_table = check_keys(defaults, DEFAULT_KEYS, "defaults", problems)
        self._defaults: Table = {}
        for kind, table in defaults.items() if is_table else ():
            keys = {"encoding"} if kind in ("text", "bytes", "prefix") else {"encoding", "odd"}
            if check_keys(table, keys, f"defaults.{kind}", problems):
                self._defaults[kind] = {
                    key: value
                    for key, value in table.items()
                    if self._is_allowed(kind, key, value, problems)
                }
        self._problems = problems

    def _is_allowed(self, kind: str, key: str, value: object, problems: Problems) -> bool:
        """Note a default that no element could use: once here, not at every element."""
        by_kind = {"text": tuple(TEXT_CODECS), "bytes": BYTES_ENCODINGS}
        packed = (*TEXT_CODECS, "bcd")
        allowed = ODD_RULES if key == "odd" else by_kind.get(kind, packed)
        if value in allowed:
            return True
        mend = f"use one of {', '.join(allowed)}"
        problems.add(f"defaults.{kind}.{key}", f"{value!r} is not allowed here", mend)
        return False

    def top_level(self, number: str, entry: object) -> Element | None:
        """Give the element of `[elements.<number>]`, None when it is beyond repair."""
        path = f"elements.{number}"
        if not (is_number(number) and 2 <= int(number) <= ELEMENT_NUMBER_MAX):
            mend = f"elements are numbered 2 to {ELEMENT_NUMBER_MAX}"
            self._problems.add(path, "no element number", mend)
            return None
        element = self._element(number, number, entry, path, None, 0)
        if element is None:
            return None
        if number in MUST_BE_SENSITIVE and element.sensitive is Sensitivity.NONE:
            self._problems.add(path, "not marked sensitive", "add sensitive = pan, track, pin, emv")
        if not element.is_composite and element.prefix is None and not element.is_fixed:
            self._problems.add(path, "its length stands nowhere", "add len, or max and prefix")
        return element

    def _element(
        self, key: str, dotted: str, entry: object, path: str, parent: Element | None, depth: int
    ) -> Element | None:
        problems = self._problems
        if not check_keys(entry, ELEMENT_KEYS, path, problems) or not isinstance(entry, dict):
            return None
        for name in ("name", "source"):
            check_text(entry, name, f"{path}.{name}", problems)
        if entry.get("kind") not in list(Kind):
            problems.add(f"{path}.kind", "no kind", f"use one of {', '.join(Kind)}")
            return None
        if depth > DEPTH_MAX:
            problems.add(path, "nested too deep", f"at most {DEPTH_MAX} composites inside another")
            return None
        kind = Kind(entry["kind"])
        encoding = self._encoding(kind, entry, path, parent)
        minimum, maximum = self._bounds(entry, path)
        draft = Element(
            key=key,
            path=dotted,
            name=str(entry.get("name", "")),
            kind=kind,
            encoding=encoding,
            minimum=minimum,
            maximum=maximum,
            prefix=self._prefix(kind, entry, path),
            pad=self._choice(entry, "pad", "", PADS, path),
            odd=self._choice(entry, "odd", self._default(kind, "odd", "left-0"), ODD_RULES, path),
            charset=self._choice(entry, "charset", "ans", tuple(CHARSETS), path),
            sensitive=Sensitivity(
                self._choice(entry, "sensitive", "none", tuple(Sensitivity), path)
            ),
            codes=self._codes(entry, path),
            tag=str(entry.get("tag", "")),
            form=self._form(kind, entry, path),
            repeats=self._whole(entry, "repeats", 1, 1, REPEATS_MAX, path),
            bitmap_bytes=self._whole(entry, "bitmap_bytes", 0, 0, 16, path),
            note=str(entry.get("note", "")),
            source=str(entry.get("source", "")),
        )
        return self._finish(draft, entry, path, depth)

    def _finish(self, draft: Element, entry: Table, path: str, depth: int) -> Element:
        sub = self._sub(draft, entry, path, depth)
        minimum, maximum = draft.minimum, draft.maximum
        if draft.kind is Kind.POSITIONAL and "len" not in entry and "max" not in entry:
            minimum, maximum = _positional_size(draft, sub)
        example = self._example(draft, sub, entry, path)
        return replace(draft, sub=sub, minimum=minimum, maximum=maximum, example=example)

    def _sub(self, draft: Element, entry: Table, path: str, depth: int) -> tuple[Element, ...]:
        table = entry.get("sub", {})
        if not draft.is_composite:
            if table:
                self._problems.add(f"{path}.sub", f"a {draft.kind} has no parts", "take it away")
            return ()
        if not isinstance(table, dict) or (not table and draft.kind is not Kind.BER_TLV):
            self._problems.add(path, "a composite without parts", f"add [{path}.sub.<name>] tables")
            return ()
        out = []
        for key, part in table.items():
            part_path = f"{path}.sub.{key}"
            sub = self._element(key, f"{draft.path}.{key}", part, part_path, draft, depth + 1)
            if sub is not None:
                self._check_place(draft, sub, key == list(table)[-1], part_path)
                out.append(sub)
        tags = [sub.tag for sub in out if draft.kind in TAGGED]
        for index, tag in enumerate(tags):
            if tag in tags[:index]:
                self._problems.add(
                    f"{path}.sub.{out[index].key}.tag", "stands twice", "renumber it"
                )
        return tuple(out)

    def _check_place(self, parent: Element, sub: Element, is_last: bool, path: str) -> None:
        """Note a sub-element that cannot stand where it stands."""
        problems = self._problems
        if parent.kind in TAGGED:
            if not _tag_fits(parent, sub.tag):
                problems.add(f"{path}.tag", "no tag of this form", "write it in upper-case hex")
            if sub.prefix is not None:
                problems.add(f"{path}.prefix", "its length stands in the TLV", "take it away")
            is_loose = sub.encoding == "bcd" and sub.minimum < sub.maximum
            if is_loose and sub.odd != "right-f" and sub.kind is not Kind.POSITIONAL:
                problems.add(path, "an odd count could not be told", 'use len, or odd = "right-f"')
            return
        takes_rest = is_last and parent.kind is Kind.POSITIONAL and parent.repeats == 1
        if sub.prefix is None and sub.minimum < sub.maximum and not takes_rest:
            problems.add(path, "its length stands nowhere", "add len, or max and prefix")
        bits = parent.bitmap_bytes * 8
        is_bit = is_number(sub.key) and 1 <= int(sub.key) <= bits
        if parent.kind is Kind.BITMAPPED and not is_bit:
            problems.add(path, "no bit of the bitmap", "name it by its bit number")
        is_packed = parent.kind is Kind.POSITIONAL and parent.encoding == "bcd"
        is_plain = sub.kind is Kind.DIGITS and sub.is_fixed and sub.encoding == "ascii"
        if is_packed and not is_plain:
            problems.add(path, "packed parts are digits of fixed length", 'use kind = "digits"')

    def _encoding(self, kind: Kind, entry: Table, path: str, parent: Element | None) -> str:
        if kind in COMPOSITES:
            more = {Kind.POSITIONAL: ("bcd",), Kind.BER_TLV: ("hex",)}.get(kind, ())
            allowed: tuple[str, ...] = ("ascii", *more)
            return self._choice(entry, "encoding", "ascii", allowed, path)
        if kind in (Kind.BYTES, Kind.BITMAP):
            default = self._default(Kind.BYTES, "encoding", "binary")
            if parent is not None and parent.encoding == "hex":
                default = "binary"  # the whole is written in hex digits already
            return self._choice(entry, "encoding", default, BYTES_ENCODINGS, path)
        allowed = tuple(TEXT_CODECS) if kind is Kind.TEXT else (*TEXT_CODECS, "bcd")
        default = "ascii" if parent is not None else self._default(kind, "encoding", "ascii")
        return self._choice(entry, "encoding", default, allowed, path)

    def _default(self, kind: Kind, key: str, fallback: str) -> str:
        table = self._defaults.get(kind.value, {})
        return str(table.get(key, fallback)) if isinstance(table, dict) else fallback

    def _bounds(self, entry: Table, path: str) -> tuple[int, int]:
        if "len" in entry:
            if "max" in entry or "min" in entry:
                self._problems.add(f"{path}.len", "len and max together", "keep one of them")
            fixed = self._whole(entry, "len", 1, 1, ELEMENT_BYTES_MAX, path)
            return fixed, fixed
        if "max" not in entry and entry.get("kind") != "positional":
            self._problems.add(path, "no length", "add len, or max and prefix")
        maximum = self._whole(entry, "max", 1, 1, ELEMENT_BYTES_MAX, path)
        return self._whole(entry, "min", 0, 0, maximum, path), maximum

    def _prefix(self, kind: Kind, entry: Table, path: str) -> Prefix | None:
        given = entry.get("prefix")
        if given is None:
            return None
        if isinstance(given, int):
            given = {"digits": given}
        path = f"{path}.prefix"
        if not check_keys(given, PREFIX_KEYS, path, self._problems):
            return None
        default = self._defaults.get("prefix", {})
        if not isinstance(given.get("includes_self", False), bool):
            self._problems.add(f"{path}.includes_self", "neither true nor false", "drop the quotes")
        is_binary = "bytes" in given
        encoding = "binary" if is_binary else default.get("encoding", "ascii")
        encoding = self._choice(given, "encoding", encoding, PREFIX_ENCODINGS, path)
        if ("digits" in given) == is_binary or (encoding == "binary") != is_binary:
            mend = "digits go with ascii, bcd or ebcdic, bytes with binary"
            self._problems.add(path, "width and encoding do not fit", mend)
        counts = "digits" if kind in STRINGS else "bytes"
        unit, widest = ("bytes", 4) if is_binary else ("digits", 6)
        return Prefix(
            width=self._whole(given, unit, 1, 1, widest, path),
            encoding=encoding,
            counts=self._choice(given, "counts", counts, COUNTS, path),
            includes_self=bool(given.get("includes_self", False)),
        )

    def _form(self, kind: Kind, entry: Table, path: str) -> TagForm | None:
        given = entry.get("tags")
        if kind not in (Kind.TLV, Kind.LTV):
            if given is not None:
                self._problems.add(f"{path}.tags", "only tlv and ltv state it", "take it away")
            return None
        path = f"{path}.tags"
        if given is None or not check_keys(given, TAGS_KEYS, path, self._problems):
            self._problems.add(path, "missing", "add tags = { bytes = 1, length = { bytes = 2 } }")
            return None
        if not isinstance(given.get("length_counts_tag", False), bool):
            mend = "write it without quotes"
            self._problems.add(f"{path}.length_counts_tag", "neither true nor false", mend)
        length = self._prefix(Kind.BYTES, {"prefix": given.get("length", {"bytes": 1})}, path)
        return TagForm(
            tag_bytes=self._whole(given, "bytes", 1, 1, 4, path),
            tag_encoding=self._choice(given, "encoding", "binary", ("binary", "ascii"), path),
            length=length or Prefix(1, "binary", "bytes"),
            length_counts_tag=bool(given.get("length_counts_tag", False)),
        )

    def _codes(self, entry: Table, path: str) -> dict[str, str]:
        codes = entry.get("codes", {})
        if not isinstance(codes, dict) or any(not isinstance(v, str) for v in codes.values()):
            self._problems.add(f"{path}.codes", "not a table of texts", 'write "00" = "approved"')
            return {}
        return dict(codes)

    def _example(self, draft: Element, sub: tuple[Element, ...], entry: Table, path: str) -> object:
        given = entry.get("example")
        if draft.is_composite:
            keys = [part.key for part in sub] if given is None else given
            if not isinstance(keys, list) or any(k not in [p.key for p in sub] for k in keys):
                mend = "list the names of the parts that make it up, or leave it out for all"
                self._problems.add(f"{path}.example", "no list of its parts", mend)
                return {}
            group = {part.key: part.example for part in sub if part.key in keys}
            return [group] if draft.kind is Kind.POSITIONAL and draft.repeats > 1 else group
        if not isinstance(given, str):
            self._problems.add(path, "no example", "add example = a value (bytes in hex)")
            return ""
        if draft.kind not in (Kind.BYTES, Kind.BITMAP):
            return given
        try:
            return bytes.fromhex(given)
        except ValueError:
            self._problems.add(f"{path}.example", "not hex", "write the bytes in hex digits")
            return b""

    def _choice(
        self, entry: Table, key: str, default: str, allowed: tuple[str, ...], path: str
    ) -> str:
        value = entry.get(key, default)
        if value in allowed or (key not in entry and not value):
            return str(value)
        mend = f"use one of {', '.join(allowed)}"
        self._problems.add(f"{path}.{key}", f"{value!r} is not allowed here", mend)
        return allowed[0]

    def _whole(self, entry: Table, key: str, default: int, low: int, high: int, path: str) -> int:
        value = entry.get(key, default)
        if type(value) is int and low <= value <= high:
            return value
        self._problems.add(f"{path}.{key}", "out of range", f"a whole number from {low} to {high}")
        return default


def is_number(key: str) -> bool:
    """Tell whether a key is written as an element number is."""
    return key.isascii() and key.isdigit() and len(key) <= 3


def _tag_fits(parent: Element, tag: str) -> bool:
    form = parent.form
    if form is not None and form.tag_encoding == "ascii":
        return len(tag) == form.tag_bytes and tag.isascii() and tag.isalnum()
    if not tag or len(tag) % 2 or any(character not in "0123456789ABCDEF" for character in tag):
        return False
    raw = bytes.fromhex(tag)
    if parent.kind is Kind.BER_TLV:
        return is_ber_tag(raw)
    return len(raw) == (form.tag_bytes if form is not None else 1)


def _positional_size(draft: Element, sub: tuple[Element, ...]) -> tuple[int, int]:
    """Give the smallest and largest content: in digits when packed, else in bytes."""
    if draft.encoding == "bcd":
        digits = sum(part.maximum for part in sub)
        return digits, digits
    low = high = 0
    for part in sub:
        lead = part.prefix.size if part.prefix else 0
        low += lead + wire_size(part, part.minimum)
        high += lead + wire_size(part, part.maximum)
    return low, high * draft.repeats
