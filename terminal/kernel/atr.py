"""The answer to reset by EMV's level 1 rules. Source: EMV 4.4 Book 1, 8.2 and 8.3."""

from dataclasses import dataclass
from functools import reduce
from operator import xor

_DIRECT, _INVERSE = 0x3B, 0x3F
_LONGEST = 33
_SPECIFIC_MODE = 0x10
_SHORTEST_IFSC, _LONGEST_IFSC = 0x10, 0xFE
_LARGEST_BWI, _LARGEST_CWI = 4, 5
_DEFAULT_IFSC = 32
#: TS, T0, TD1, TD2 and TCK of a contactless ATR, around its historical bytes.
_CONTACTLESS_FIXED = 5


class AtrError(Exception):
    """An answer to reset that an EMV terminal rejects; `reason` says which rule."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Atr:
    """What a terminal needs of an answer to reset: protocol 0 or 1, and T=1's block size."""

    protocol: int
    information_field_bytes: int


def parse_atr(raw: bytes) -> Atr:
    """Give protocol and block size; raise AtrError for what EMV terminals reject.

    >>> parse_atr(bytes.fromhex("3BE000008131FE45EB"))
    Atr(protocol=1, information_field_bytes=254)
    >>> parse_atr(bytes.fromhex("3B600000")).protocol
    0
    """
    if not 2 <= len(raw) <= _LONGEST:
        raise AtrError("length is not 2 to 33 bytes")
    if raw[0] not in (_DIRECT, _INVERSE):
        raise AtrError("TS is neither 3B nor 3F")
    groups, at = _interface_bytes(raw)
    protocols = [group["TD"] & 0x0F for group in groups if "TD" in group]
    protocol = protocols[0] if protocols else 0
    end = at + (raw[1] & 0x0F)
    has_check = any(number != 0 for number in protocols)
    if len(raw) != end + has_check:
        raise AtrError("length does not fit the format byte")
    if has_check and reduce(xor, raw[1:]) != 0:
        raise AtrError("TCK is wrong")
    _check_first(groups[0], protocol)
    _check_second(groups[1] if len(groups) > 1 else {}, protocol)
    third = groups[2] if len(groups) > 2 else {}
    if protocol == 0:
        return Atr(0, _DEFAULT_IFSC)
    return Atr(1, _check_third(third, groups[0].get("TC", 0)))


def is_contactless(raw: bytes) -> bool:
    """Tell whether a reader made this ATR for a card in its field: T=CL under the name of T=1.

    Source: PC/SC Part 3, 3.1.3.2.3.1 (ISO/IEC 14443 type A and B).

    >>> is_contactless(bytes.fromhex("3B80800101")), is_contactless(bytes.fromhex("3B600000"))
    (True, False)
    """
    if not 5 <= len(raw) <= _LONGEST or raw[0] != _DIRECT or raw[1] & 0xF0 != 0x80:
        return False
    whole = len(raw) == _CONTACTLESS_FIXED + (raw[1] & 0x0F)
    return whole and raw[2:4] == b"\x80\x01" and reduce(xor, raw[1:]) == 0


def _interface_bytes(raw: bytes) -> tuple[list[dict[str, int]], int]:
    """Give the groups TA..TD and the offset of the historical bytes."""
    groups: list[dict[str, int]] = []
    at, present = 2, raw[1] >> 4
    while True:
        group: dict[str, int] = {}
        for bit, name in enumerate(("TA", "TB", "TC", "TD")):
            if present >> bit & 1:
                if at >= len(raw):
                    raise AtrError("ends inside the interface bytes")
                group[name] = raw[at]
                at += 1
        groups.append(group)
        if "TD" not in group:
            return groups, at
        present = group["TD"] >> 4


def _check_first(group: dict[str, int], protocol: int) -> None:
    if group.get("TB") != 0x00:
        raise AtrError("TB1 is not 00")
    if protocol not in (0, 1):
        raise AtrError("TD1 offers neither T=0 nor T=1")


def _check_second(group: dict[str, int], protocol: int) -> None:
    mode = group.get("TA")
    if mode is not None and (mode & 0x0F != protocol or mode & _SPECIFIC_MODE):
        raise AtrError("TA2 asks for another protocol or implicit parameters")
    if "TB" in group:
        raise AtrError("TB2 is present")
    if group.get("TC") == 0x00:
        raise AtrError("TC2 is 00")
    following = group.get("TD")
    if following is not None:
        allowed = (0x1,) if protocol == 1 else (0x0, 0x1, 0xE)
        if following & 0x0F not in allowed:
            raise AtrError("TD2 offers another protocol")


def _check_third(group: dict[str, int], extra_guard: int) -> int:
    size = group.get("TA", _DEFAULT_IFSC)
    if not _SHORTEST_IFSC <= size <= _LONGEST_IFSC:
        raise AtrError("TA3 is not 10 to FE")
    times = group.get("TB")
    if times is None or times >> 4 > _LARGEST_BWI or times & 0x0F > _LARGEST_CWI:
        raise AtrError("TB3 is absent, or BWI above 4 or CWI above 5")
    guard = -1 if extra_guard == 0xFF else extra_guard
    if 1 << (times & 0x0F) <= guard + 1:
        raise AtrError("CWI does not leave room for the extra guard time")
    if group.get("TC", 0x00) != 0x00:
        raise AtrError("TC3 asks for a CRC")
    return size
