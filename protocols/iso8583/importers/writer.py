"""A draft as TOML text: explicit encodings, one table an element, what is missing on top."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protocols.iso8583.importers.draft import Draft

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_ESCAPES = {'"': '\\"', "\\": "\\\\"}


def toml_text(draft: "Draft") -> str:
    """Give the whole file."""
    bits = {"encoding": draft.bitmap}
    if draft.always_128:
        bits["always_128"] = True  # type: ignore[assignment]
    if draft.tertiary:
        bits["tertiary"] = True  # type: ignore[assignment]
    out = [f"# Made from {_comment(draft.origin)} by `lumbung spec import`."]
    if draft.left_out:
        out.append("# Not taken over as it was:")
    out += [f"# - {_comment(str(one))}" for one in draft.left_out]
    out += [
        "",
        "[spec]",
        f"name = {toml_value(draft.name)}",
        f"title = {toml_value('Imported: ' + draft.origin)}",
        'version = "1"',
        f"source = {toml_value(draft.origin)}",
        f"mti = {toml_value(draft.mti)}",
        f"bitmap = {toml_value(bits)}",
        f"peek = {toml_value([n for n in (3, 7, 11, 37, 41) if n in draft.elements])}",
    ]
    for number in sorted(draft.elements):
        _element(out, f"elements.{number}", draft.elements[number])
    return "\n".join(out) + "\n"


def _element(out: list[str], path: str, table: dict[str, Any]) -> None:
    out += ["", f"[{path}]"]
    out += [f"{key} = {toml_value(value)}" for key, value in table.items() if key != "sub"]
    for key, part in table.get("sub", {}).items():
        _element(out, f"{path}.sub.{_key(key)}", part)


def toml_value(value: object) -> str:
    r"""Give a value as TOML writes it.

    >>> toml_value({"digits": 2, "encoding": "ascii"}), toml_value('a"b')
    ('{ digits = 2, encoding = "ascii" }', '"a\\"b"')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {toml_value(one)}" for key, one in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    assert isinstance(value, str)
    shown = (c if c.isprintable() else " " for c in value)
    return '"' + "".join(_ESCAPES.get(c, c) for c in shown) + '"'


def _key(key: str) -> str:
    return key if key and set(key) <= _BARE else toml_value(key)


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
