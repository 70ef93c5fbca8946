"""The RFC 6962 Merkle tree over the log's records, kept as its frontier.

Source: RFC 6962, section 2.1: leaf = SHA-256(0x00 || data), node = SHA-256(0x01 || left || right).
The leaves are the 118-byte record bodies in order of their sequence.
"""

from collections.abc import Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
#: Roots of perfect subtrees are kept in sealed segments from 2^6 leaves on.
NODE_LEVEL_MIN = 6
#: Roots of perfect subtrees by level, in the order in which they became complete.
Nodes = dict[int, list[bytes]]


class Frontier:
    """The roots of the perfect subtrees of the leaves so far: at most 64 hashes.

    >>> tree = Frontier()
    >>> tree.extend([b"a", b"b", b"c"])
    >>> tree.size, tree.root().hex()[:16]
    (3, '36642e73c2540ab1')
    """

    def __init__(self) -> None:
        self.size = 0
        self._peaks: dict[int, bytes] = {}

    @classmethod
    def from_peaks(cls, size: int, peaks: Sequence[bytes]) -> "Frontier":
        """Give the frontier that `peaks` were read from."""
        tree = cls()
        tree.size = size
        levels = [level for level in range(size.bit_length()) if size >> level & 1]
        tree._peaks = dict(zip(reversed(levels), peaks, strict=True))
        return tree

    def extend(self, leaves: Sequence[bytes], nodes: Nodes | None = None) -> None:
        """Append leaves, level by level, so that a batch costs two hashes per leaf.

        Into `nodes` go the subtrees from `NODE_LEVEL_MIN` on that became complete.
        """
        hashes = [sha256(b"\0" + leaf).digest() for leaf in leaves]
        size, level = self.size, 0
        self.size += len(hashes)
        while hashes:
            if nodes is not None and level >= NODE_LEVEL_MIN:
                nodes.setdefault(level, []).extend(hashes)
            if size & 1:
                hashes.insert(0, self._peaks.pop(level))
            if len(hashes) & 1:
                self._peaks[level] = hashes.pop()
            pairs = iter(hashes)
            hashes = [
                sha256(b"\1" + left + right).digest()
                for left, right in zip(pairs, pairs, strict=True)
            ]
            size >>= 1
            level += 1

    def root(self) -> bytes:
        """Give the root hash of all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        levels = sorted(self._peaks)
        root = self._peaks[levels[0]]
        for level in levels[1:]:
            root = sha256(b"\1" + self._peaks[level] + root).digest()
        return root

    def peaks(self) -> list[bytes]:
        """Give the frontier's hashes, those of the greatest subtree first."""
        return [self._peaks[level] for level in sorted(self._peaks, reverse=True)]

    def copy(self) -> "Frontier":
        """Give an independent frontier with the same leaves."""
        other = Frontier()
        other.size = self.size
        other._peaks = dict(self._peaks)
        return other
