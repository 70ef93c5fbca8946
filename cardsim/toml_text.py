"""TOML texts of card profiles and fault plans: bounded, one error for whatever they hold."""

import tomllib
from pathlib import Path
from typing import Any

from cardsim import limits
from protocols.errors import ConfigurationError
from protocols.toml_lines import line_of_error


def parse_table(text: str, where: str, error: type[ConfigurationError]) -> dict[str, Any]:
    """Give a text's table; raise `error` with `where:line:`.

    >>> parse_table("a = 1", "mine.toml", ConfigurationError)
    {'a': 1}
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise error(f"{where}:{line_of_error(fault)}: no TOML: {fault}") from None
    except RecursionError:
        raise error(f"{where}:1: no TOML that a person writes: nested too deep.") from None
    except ValueError:
        # Python reads no number of thousands of digits.
        raise error(f"{where}:1: no TOML that a person writes: a number too long.") from None


def read_text(path: Path, what: str, error: type[ConfigurationError]) -> str:
    """Give a file's text; raise `error` when it cannot be read, is no UTF-8 or too large."""
    try:
        with path.open("rb") as file:
            content = file.read(limits.TOML_BYTES + 1)
        if len(content) > limits.TOML_BYTES:
            raise error(f"{path}:1: larger than {limits.TOML_BYTES} bytes, no {what}.")
        return content.decode("utf-8")
    except OSError as fault:
        why = fault.strerror or str(fault)
        raise error(f"{path}:1: the {what} cannot be read: {why}.", fix="Check the path.") from None
    except UnicodeDecodeError:
        raise error(f"{path}:1: the {what} cannot be read: no UTF-8 text.") from None
