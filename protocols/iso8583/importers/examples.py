"""Examples for fields that come without one: the base's where it fits, else a made-up value."""

from typing import Any

from protocols.iso8583.loader import load_spec

_TRACK2 = "9360099912344821=30122200000000000"
_LETTERS = {"a": "A", "ap": "A", "upper": "A", "hex": "0", "n": "0"}


def example_of(table: dict[str, Any], number: int) -> str:
    """Give an example for an element's table (`number` 0 for a part), as TOML writes it.

    >>> example_of({"kind": "digits", "len": 3}, 0)
    '000'
    """
    kind = table["kind"]
    fixed, largest = table.get("len"), table.get("len", table.get("max", 1))
    known = load_spec("iso87").elements.get(number)
    if known is not None and known.kind.value == kind and known.charset == _charset(table, kind):
        value = known.example
        shown = value.hex().upper() if isinstance(value, bytes) else str(value)
        size = len(shown) // 2 if isinstance(value, bytes) else len(shown)
        if size == fixed or (fixed is None and size <= largest):
            return shown
    size = fixed if fixed is not None else min(largest, 4)
    if kind == "track2":
        return _TRACK2[: max(2, min(largest, len(_TRACK2)))] if largest >= 18 else "1="
    if kind in ("bytes", "bitmap"):
        return "00" * int(size)
    if table.get("charset") == "x+n":
        return "C" + "0" * (int(size) - 1)
    return _LETTERS.get(table.get("charset", "ans"), "0") * int(size)


def _charset(table: dict[str, Any], kind: str) -> str:
    return str(table.get("charset", "ans")) if kind == "text" else "ans"
