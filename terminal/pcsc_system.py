"""The PC/SC system as the terminal uses it: the module, its readers, its words for trouble.

pyscard is an extra; it is imported when the first reader is asked for, not before.
"""

import importlib
from typing import Any

from terminal.errors import TerminalError

#: Readers of one machine: PC/SC lite serves sixteen.
READERS_MAX = 16


class PcscUnavailableError(TerminalError):
    """There is no PC/SC here: the module is missing, or no daemon answers."""

    code = "E-TM-0401"


class ReaderUnknownError(TerminalError):
    """No reader has this name."""

    code = "E-TM-0402"


def scard() -> Any:
    """Give pyscard's low-level module; raise PcscUnavailableError without it."""
    try:
        return importlib.import_module("smartcard.scard")
    except ImportError as error:
        raise PcscUnavailableError(
            "pyscard is not installed, so no card reader can be used.",
            internal=f"import smartcard.scard: {error!r}",
            fix="pip install 'lumbung[pcsc]' (needs a C compiler and libpcsclite-dev)",
        ) from error


def open_context(module: Any) -> Any:
    """Give a context of the PC/SC daemon; raise PcscUnavailableError when none answers."""
    result, context = module.SCardEstablishContext(module.SCARD_SCOPE_SYSTEM)
    if result != module.SCARD_S_SUCCESS:
        raise PcscUnavailableError(
            "no PC/SC daemon answers.",
            internal=f"SCardEstablishContext: {result & 0xFFFFFFFF:08X}",
            fix="Start pcscd.",
        )
    return context


def reader_names() -> list[str]:
    """Give the names of the readers that are there; raise PcscUnavailableError."""
    module = scard()
    context = open_context(module)
    try:
        result, names = module.SCardListReaders(context, [])
    finally:
        module.SCardReleaseContext(context)
    return list(names) if result == module.SCARD_S_SUCCESS else []


def find_reader(wanted: str) -> str:
    """Give the reader of this name, or the only one whose name begins with it.

    Raises ReaderUnknownError, which lists the names that there are, and PcscUnavailableError.
    """
    names = reader_names()
    if wanted in names:
        return wanted
    found = [name for name in names if name.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    there = "; ".join(names) or "none"
    what = "more than one reader begins" if found else "no reader begins"
    raise ReaderUnknownError(f"{what} with {wanted!r}.", fix=f"Readers: {there}.")
