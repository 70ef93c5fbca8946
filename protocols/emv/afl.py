"""The application file locator: which records a terminal reads. Tag 94."""

from collections.abc import Iterator
from dataclasses import dataclass

from protocols.emv import limits
from protocols.emv.errors import EmvDataError


@dataclass(frozen=True, slots=True)
class AflEntry:
    """Records `first` to `last` of one file; the first `authenticated` of them enter ODA."""

    sfi: int
    first: int
    last: int
    authenticated: int

    def records(self) -> Iterator[tuple[int, bool]]:
        """Yield each record number and whether it enters offline data authentication."""
        for number in range(self.first, self.last + 1):
            yield number, number - self.first < self.authenticated


def parse_afl(data: bytes) -> tuple[AflEntry, ...]:
    """Give the entries of an AFL in order.

    Raises EmvDataError for a length that is no multiple of 4, an SFI outside 1 to 30, a record 0,
    a range that runs backwards, or more authenticated records than the range has.
    Source: EMV 4.4 Book 3, 10.2.

    >>> parse_afl(bytes.fromhex("0801010010010301"))[1]
    AflEntry(sfi=2, first=1, last=3, authenticated=1)
    """
    if not data or len(data) % 4 or len(data) > limits.AFL_BYTES:
        raise EmvDataError("94", 0, f"{len(data)} bytes are no list of 4-byte entries")
    return tuple(_entry(data, at) for at in range(0, len(data), 4))


def build_afl(entries: tuple[AflEntry, ...]) -> bytes:
    """Give the AFL of these entries; the inverse of `parse_afl`.

    >>> build_afl((AflEntry(1, 1, 1, 0),)).hex()
    '08010100'
    """
    data = b"".join(bytes((e.sfi << 3, e.first, e.last, e.authenticated)) for e in entries)
    assert parse_afl(data) == entries
    return data


def _entry(data: bytes, at: int) -> AflEntry:
    sfi_byte, first, last, authenticated = data[at : at + 4]
    if sfi_byte & 0x07 or not 1 <= sfi_byte >> 3 <= 30:
        raise EmvDataError("94", at, "no SFI from 1 to 30 in the five high bits")
    if not 1 <= first <= last:
        raise EmvDataError("94", at + 1, "the record range is empty or starts at 0")
    if authenticated > last - first + 1:
        raise EmvDataError("94", at + 3, "more authenticated records than the range has")
    return AflEntry(sfi_byte >> 3, first, last, authenticated)
