"""Roots over ranges of leaves from the nodes that sealed segments keep: little is hashed again.

Source: RFC 6962, section 2.1; docs/reference/ledger-format.md, sections 6 and 9.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Protocol

from ledger.merkle import EMPTY_ROOT, NODE_LEVEL_MIN, Frontier

#: Leaves that are hashed at a time where no node is kept.
_FOLD_LEAVES = 1 << NODE_LEVEL_MIN


class Leaves(Protocol):
    """The records of a log, and the nodes over them."""

    def bodies(self, after_sequence: int, upto_sequence: int) -> Iterator[bytes]:
        """Yield the bodies of records in order."""

    def node(self, level: int, index: int) -> bytes | None:
        """Give the root of leaves [index 2^level, (index + 1) 2^level) where it is kept."""


def range_root(leaves: Leaves, start: int, stop: int) -> bytes:
    """Give the root over the leaves [start, stop), counted from 0."""
    count = stop - start
    if count == 0:
        return EMPTY_ROOT
    if count & (count - 1) == 0 and start % count == 0:
        level = count.bit_length() - 1
        node = leaves.node(level, start >> level)
        if node is not None:
            return node
    if count <= _FOLD_LEAVES:
        tree = Frontier()
        tree.extend(list(leaves.bodies(start, stop)))
        return tree.root()
    middle = start + split(count)
    left, right = range_root(leaves, start, middle), range_root(leaves, middle, stop)
    return sha256(b"\1" + left + right).digest()


def split(size: int) -> int:
    """Give the largest power of two smaller than the size.

    >>> split(5), split(4)
    (4, 2)
    """
    return 1 << (size - 1).bit_length() - 1
