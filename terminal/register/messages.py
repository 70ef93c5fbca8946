"""What cash register and terminal say to each other, one block each: ASCII fields between FS (1C).

    request  number verb reference fields   SALE: amount in sen | ASK: nothing more
    answer   number verb reference code fields
             outcome, trace, RRN, approval code, amount in sen, slip code

`number` (two digits) says which request an answer belongs to. `reference` (1 to 20 letters and
digits) is the register's own name for one sale: asked for again it gives the same result, and
nothing is sold twice. `outcome` is DE39; `code` says whether there is a result at all.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from protocols.serial_line import LineSpec

FS = "\x1c"
#: The terminal gives way when both bid: the register leads.
TERMINAL_END = LineSpec(has_length=False, bits_per_second=0, block_max=512)
REGISTER_END = LineSpec(has_length=False, is_primary=True, bits_per_second=0, block_max=512)
_REFERENCE = re.compile(r"[0-9A-Za-z]{1,20}")
_NUMBER = re.compile(r"[0-9]{2}")
#: Digits of an amount in sen: DE4 has twelve.
_AMOUNT = re.compile(r"[0-9]{1,12}")
_ANSWER_FIELDS = 6


class Verb(StrEnum):
    """What the register wants."""

    SALE = "SALE"
    ASK = "ASK"


class Code(StrEnum):
    """Whether there is a result."""

    RESULT = "00"
    UNKNOWN = "40"
    OTHER_AMOUNT = "41"
    BAD_REQUEST = "30"
    NOT_READY = "50"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `amount_sen` is 0 for ASK."""

    number: int
    verb: Verb
    reference: str
    amount_sen: int = 0

    def encode(self) -> bytes:
        """Give the block's content."""
        fields = [f"{self.number:02d}", self.verb, self.reference]
        if self.verb is Verb.SALE:
            fields.append(str(self.amount_sen))
        return FS.join(fields).encode("ascii")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; the fields behind `code` say something with RESULT only."""

    number: int
    verb: Verb
    reference: str
    code: Code
    outcome: str = ""
    trace: str = ""
    rrn: str = ""
    approval_code: str = ""
    amount_sen: int = 0
    slip_code: str = ""

    def encode(self) -> bytes:
        """Give the block's content."""
        fields = (
            f"{self.number:02d}", self.verb, self.reference, self.code, self.outcome, self.trace,
            self.rrn, self.approval_code, str(self.amount_sen), self.slip_code,
        )  # fmt: skip
        return FS.join(fields).encode("ascii")


def read_request(content: bytes) -> Request | None:
    """Give the request, None for what is none.

    >>> read_request(b"07\\x1cSALE\\x1cA1\\x1c2500000").amount_sen
    2500000
    >>> read_request(b"07\\x1cSALE\\x1cA1") is None
    True
    """
    parts = _parts(content)
    if len(parts) < 3 or not _NUMBER.fullmatch(parts[0]) or not _REFERENCE.fullmatch(parts[2]):
        return None
    number, verb, reference, *rest = parts
    if verb == Verb.ASK and not rest:
        return Request(int(number), Verb.ASK, reference)
    if verb == Verb.SALE and len(rest) == 1 and _AMOUNT.fullmatch(rest[0]):
        return Request(int(number), Verb.SALE, reference, int(rest[0]))
    return None


def read_answer(content: bytes) -> Answer | None:
    """Give the answer, None for what is none.

    >>> read_answer(b"07\\x1cASK\\x1cA1\\x1c40\\x1c\\x1c\\x1c\\x1c\\x1c0\\x1c").code
    <Code.UNKNOWN: '40'>
    """
    parts = _parts(content)
    if len(parts) != 4 + _ANSWER_FIELDS or not _NUMBER.fullmatch(parts[0]):
        return None
    number, verb, reference, code, outcome, trace, rrn, approval, amount, slip_code = parts
    if verb not in set(Verb) or code not in set(Code) or not _AMOUNT.fullmatch(amount):
        return None
    return Answer(
        int(number), Verb(verb), reference, Code(code), outcome, trace, rrn, approval,
        int(amount), slip_code,
    )  # fmt: skip


def _parts(content: bytes) -> list[str]:
    return content.decode("ascii").split(FS) if content.isascii() else []
