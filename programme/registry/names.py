"""Names without their spelling: what tells that two lines of a list may be one person (R26)."""

import tomllib
import unicodedata
from functools import cache
from importlib.resources import files


def plain_name(name: str) -> str:
    """Give a name without case, accents, punctuation and spacing: two ways to write, one person.

    >>> plain_name("Siti  Nur-Aini, S.Pd") == plain_name("SITI NURAINI SPD")
    True
    """
    if name.isascii():
        return "".join(filter(str.isalnum, name)).upper()
    bare = unicodedata.normalize("NFKD", name)
    return "".join(c for c in bare if c.isalnum()).upper()


@cache
def _tables() -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    path = files("programme.registry").joinpath("spellings.toml")
    table = tomllib.loads(path.read_text("utf-8"))
    words = {written: meant for meant, entry in table["words"].items() for written in entry["like"]}
    return words, tuple((old, new) for old, new in table["letters"]["steps"])


def spelling_key(name: str) -> str:
    """Give what every spelling of a name has in common (spellings.toml).

    >>> spelling_key("Moch. Soeparno") == spelling_key("MUHAMMAD SUPARNO")
    True
    >>> spelling_key("Siti Aminnah") == spelling_key("St. Aminah")
    True
    >>> spelling_key("Sri Wahyuni") == spelling_key("Sri Wahyudi")
    False
    """
    words = "".join(c if c.isalnum() or c in "'`" else " " for c in _bare(name)).split()
    if len(words) > 1:
        meant = _tables()[0]
        words = [meant.get(word, word) for word in words]
    return _letters("".join(filter(str.isalnum, "".join(words))))


def _bare(name: str) -> str:
    if name.isascii():
        return name.upper()
    bare = unicodedata.normalize("NFKD", name)
    return "".join(c for c in bare if not unicodedata.combining(c)).upper()


def _letters(text: str) -> str:
    for old, new in _tables()[1]:
        if old in text:
            text = text.replace(old, new)
    # A letter written twice counts once, and an H at the end is as often left out.
    single = [c for c, before in zip(text, " " + text, strict=False) if c != before or c.isdigit()]
    return "".join(single).rstrip("H")
