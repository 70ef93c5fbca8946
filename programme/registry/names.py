"""Names without their spelling: what tells that two lines of a list may be one person (R26)."""

import re
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
    words = _bare(name).split()
    if len(words) > 1:
        meant = _tables()[0]
        words = [meant.get(word, word) for word in words]
    return _letters("".join(words))


#: What stands between words, and what stands within one and does not count.
_ASCII = str.maketrans(
    {chr(code): " " for code in range(128) if not chr(code).isalnum()} | {"'": "", "`": ""}
)
#: A letter written twice counts once; a number is no letter.
_TWICE = re.compile(r"([^\W\d_])\1+")


def _bare(name: str) -> str:
    if name.isascii():
        return name.translate(_ASCII).upper()
    plain = unicodedata.normalize("NFKD", name)
    kept = (c for c in plain if not unicodedata.combining(c))
    return "".join(c if c.isalnum() else " " for c in kept).upper()


def _letters(text: str) -> str:
    for old, new in _tables()[1]:
        if old in text:
            text = text.replace(old, new)
    # An H at the end is as often left out.
    return _TWICE.sub(r"\1", text).rstrip("H")
