"""What terminal and PIN pad say to each other, one block each: ASCII fields between FS (1C).

    request  number verb fields       ID | KEY block | PIN account least most seconds text
    answer   number verb code fields  ID: serial, check value | KEY: check value | PIN: block

`number` (two digits) says which request an answer belongs to; `account` are the twelve digits that
a PIN block of format 0 binds (ISO 9564-1:2017, 9.3.1), never the whole card number; `block` in KEY
is a TR-31 key block under the pad's own key, in PIN the enciphered PIN block as hex.
"""

from dataclasses import dataclass
from enum import StrEnum

from protocols.serial_line import LineSpec

FS = "\x1c"
#: A pad's line: no length, so that content is plain ASCII; the terminal wins when both bid. A
#: pseudo-terminal has no rate, and a real pad at 9,600 takes a block in less than the answer time.
TERMINAL_END = LineSpec(has_length=False, is_primary=True, bits_per_second=0, block_max=512)
PAD_END = LineSpec(has_length=False, bits_per_second=0, block_max=512)
ACCOUNT_DIGITS = 12
NUMBERS = 100


class Verb(StrEnum):
    """What is asked for."""

    IDENTIFY = "ID"
    KEY = "KEY"
    PIN = "PIN"


class Code(StrEnum):
    """How it went."""

    OK = "00"
    CANCELLED = "10"
    TIMEOUT = "11"
    LENGTH = "12"
    NO_KEY = "20"
    BAD_KEY = "21"
    BAD_REQUEST = "30"


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What the terminal asks for. No repr: fields hold an account number or a key block."""

    number: int
    verb: Verb
    fields: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Give the block's content."""
        return FS.join((f"{self.number:02d}", self.verb, *self.fields)).encode("ascii")


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What the pad answers."""

    number: int
    verb: Verb
    code: Code
    fields: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Give the block's content."""
        return FS.join((f"{self.number:02d}", self.verb, self.code, *self.fields)).encode("ascii")


def read_request(content: bytes) -> Request | None:
    """Give the request, None for what is none.

    >>> read_request(b"07\\x1cPIN\\x1cA").fields, read_request(b"garbage")
    (('A',), None)
    """
    parts = _parts(content)
    if len(parts) < 2 or not _is_number(parts[0]) or parts[1] not in set(Verb):
        return None
    return Request(int(parts[0]), Verb(parts[1]), tuple(parts[2:]))


def read_answer(content: bytes) -> Answer | None:
    """Give the answer, None for what is none.

    >>> read_answer(b"07\\x1cPIN\\x1c11").code, read_answer(b"07\\x1cPIN\\x1c99")
    (<Code.TIMEOUT: '11'>, None)
    """
    parts = _parts(content)
    if len(parts) < 3 or not _is_number(parts[0]):
        return None
    if parts[1] not in set(Verb) or parts[2] not in set(Code):
        return None
    return Answer(int(parts[0]), Verb(parts[1]), Code(parts[2]), tuple(parts[3:]))


def _parts(content: bytes) -> list[str]:
    return content.decode("ascii").split(FS) if content.isascii() else []


def _is_number(text: str) -> bool:
    return len(text) == 2 and text.isascii() and text.isdigit()
