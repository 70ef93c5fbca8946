"""Lists of a card product, parsed once: data object lists, locators, CVM lists.

Every card of a product carries the same lists, so a terminal that serves a queue parses them once.
None of them holds data of one card. A list that is malformed is never kept.
"""

from functools import lru_cache

from protocols.emv import afl, dol
from protocols.emv.afl import AflEntry
from protocols.emv.cvm import CvmList
from terminal.kernel import limits


@lru_cache(maxsize=limits.PARSED_LISTS)
def data_object_list(data: bytes) -> tuple[tuple[str, int], ...]:
    """Give the entries of a data object list; raise DolError.

    >>> data_object_list(bytes.fromhex("9F0206"))
    (('9F02', 6),)
    """
    return tuple(dol.parse_dol(data))


@lru_cache(maxsize=limits.PARSED_LISTS)
def locator(data: bytes) -> tuple[AflEntry, ...]:
    """Give the entries of an application file locator; raise EmvDataError."""
    return afl.parse_afl(data)


@lru_cache(maxsize=limits.PARSED_LISTS)
def verification_methods(data: bytes) -> CvmList:
    """Give the rules of a CVM list; raise EmvDataError."""
    return CvmList.read(data)
