"""ESC/POS as a table: commands to bytes, and bytes to commands, one byte at a time.

`escpos.toml` holds what each command looks like, with its source. The terminal encodes with it,
the virtual printer reads with it, so both mean the same by construction; that they mean what
others mean is tested against an encoder of another house.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from terminal.limits import PRINT_COMMAND_MAX_BYTES, PRINT_LIST_MAX_BYTES

#: Cut modes with a byte that says how far to feed first. Source: ESC/POS Command Reference, GS V.
_CUT_WITH_FEED = (65, 66, 97, 98, 103, 104)
#: Bit-image modes of 24 dots: three bytes a column. Source: ESC/POS Command Reference, ESC *.
_COLUMNS_OF_THREE = (32, 33)
_BARCODE_WITH_LENGTH = 65


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the table."""

    name: str
    code: bytes
    form: int | str
    what: str
    at: str
    live: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """One thing out of the stream: a command with its parameters, or text (`name` empty)."""

    name: str
    data: bytes = b""


@cache
def commands() -> dict[str, Command]:
    """Give the table by name.

    >>> commands()["initialise"].code.hex(), commands()["status_now"].live
    ('1b40', True)
    """
    raw = tomllib.loads(files("terminal").joinpath("printing", "escpos.toml").read_text("utf-8"))
    return {
        name: Command(
            name=name,
            code=bytes.fromhex(entry["code"]),
            form=entry["form"],
            what=entry["what"],
            at=entry["at"],
            live=entry.get("live", False),
        )
        for name, entry in raw.items()
    }


@cache
def _by_code() -> dict[bytes, Command]:
    return {command.code: command for command in commands().values()}


@cache
def _beginnings() -> frozenset[int]:
    """Give the bytes with which a command begins."""
    return frozenset(code[0] for code in _by_code())


@cache
def _prefixes() -> frozenset[bytes]:
    return frozenset(code[:end] for code in _by_code() for end in range(1, len(code)))


def encode(name: str, *parameters: int, data: bytes = b"") -> bytes:
    """Give a command's bytes. Wrong parameters are a bug of the caller.

    >>> encode("align", 1).hex(), encode("cut", 66, 0).hex()
    ('1b6101', '1d564200')
    """
    command = commands()[name]
    tail = bytes(parameters) + data
    left = missing(command.form, tail)
    assert left == 0, f"{name}: parameters {tail.hex()} do not fit its form {command.form}"
    return command.code + tail


def missing(form: int | str, tail: bytes) -> int:
    """Give how many bytes are still to come (at least), 0 when whole.

    >>> missing(2, b"a"), missing("list", b"a"), missing("function", bytes([0x6B, 3, 0]))
    (1, 1, 3)
    """
    size = len(tail)
    match form:
        case int():
            return form - size
        case "list":
            return 0 if tail[-1:] == b"\0" else 1
        case "function":
            return _counted(tail, 3, 1, 1)
        case "raster":
            height = int.from_bytes(tail[3:5], "little") if size >= 5 else 0
            return _counted(tail, 5, 1, height)
        case "columns":
            return _counted(tail, 3, 1, 3 if tail[:1] and tail[0] in _COLUMNS_OF_THREE else 1)
        case "cut":
            if not tail:
                return 1
            return (2 if tail[0] in _CUT_WITH_FEED else 1) - size
    assert form == "barcode", f"the table has no form {form}"
    if not tail:
        return 1
    if tail[0] < _BARCODE_WITH_LENGTH:
        return 0 if size > 1 and tail[-1] == 0 else 1
    return 1 if size == 1 else 2 + tail[1] - size


def _counted(tail: bytes, head: int, at: int, times: int) -> int:
    if len(tail) < head:
        return head - len(tail)
    return head + int.from_bytes(tail[at : at + 2], "little") * times - len(tail)


class Reader:
    """Reads a stream, however it is cut up; text comes out as it stands.

    A control sequence that is not in the table comes out as text would: a printer prints what it
    does not understand. One longer than PRINT_COMMAND_MAX_BYTES is dropped as a whole.
    """

    def __init__(self) -> None:
        """Start between two commands."""
        self._code = b""
        self._command: Command | None = None
        self._tail = bytearray()
        self._left = 0
        self._skip = 0
        self._text = bytearray()

    def feed(self, data: bytes) -> Iterator[Said]:
        """Give what `data` completes, in its order."""
        begins = _beginnings()
        for byte in data:
            if self._command is None and not self._code and byte not in begins:
                self._text.append(byte)  # By far the most: not worth a step of its own.
            else:
                yield from self._take(byte)
        yield from self._flush()

    @property
    def is_between(self) -> bool:
        """Tell whether no command has begun and not ended."""
        return not self._code and self._command is None

    def _take(self, byte: int) -> Iterator[Said]:
        if self._command is None:
            yield from self._take_code(byte)
        elif self._skip:
            self._skip -= 1
            if not self._skip:
                self._command = None
        else:
            self._tail.append(byte)
            self._left -= 1
            if self._left <= 0:
                yield from self._take_tail()

    def _take_code(self, byte: int) -> Iterator[Said]:
        self._code += bytes([byte])
        command = _by_code().get(self._code)
        if command is not None:
            yield from self._flush()
            self._command, self._code = command, b""
            self._tail.clear()
            yield from self._take_tail()
        elif self._code not in _prefixes():
            self._text += self._code
            self._code = b""

    def _take_tail(self) -> Iterator[Said]:
        assert self._command is not None, "a command has begun"
        self._left = missing(self._command.form, bytes(self._tail))
        if self._left > PRINT_COMMAND_MAX_BYTES:
            self._skip = self._left
        elif self._left <= 0:
            said = Said(self._command.name, bytes(self._tail))
            self._command = None
            yield said
        elif self._command.form in ("list", "barcode") and len(self._tail) > PRINT_LIST_MAX_BYTES:
            self._command = None

    def _flush(self) -> Iterator[Said]:
        if self._text:
            text = bytes(self._text)
            self._text.clear()
            yield Said("", text)
