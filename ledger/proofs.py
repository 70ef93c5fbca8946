"""Proofs for outsiders: that a record is in the tree, that a later tree continues an earlier one.

Source: RFC 6962, sections 2.1.1 (audit path) and 2.1.2 (consistency proof), over the record bodies
of docs/reference/ledger-format.md, sections 2 and 6. Every node of a proof is the root over a range
of leaves, and the ranges of one proof never overlap; so one pass over the log gives them all in
memory that does not grow with the ledger. `ledger.proof_check` verifies and shares no code with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.errors import LedgerBatchError
from ledger.files import LogFiles
from ledger.merkle import Frontier
from ledger.record import KIND_OFFSET, Kind

_ID = slice(16, 32)
#: Leaves that are folded into a range at a time.
_FOLD_LEAVES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """That `leaf`, a 118-byte record body, stands at `index` (from 0) in the tree of `size`."""

    index: int
    size: int
    leaf: bytes
    path: list[bytes]
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """That the first `old_size` leaves of the tree of `size` are those of the old root."""

    old_size: int
    size: int
    old_root: bytes
    path: list[bytes]
    root: bytes


def inclusion_ranges(index: int, size: int) -> list[range]:
    """Give the ranges of leaves whose roots are the audit path, lowest first (RFC 6962, 2.1.1).

    >>> inclusion_ranges(2, 5)
    [range(3, 4), range(0, 2), range(4, 5)]
    """
    assert 0 <= index < size
    ranges, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append(range(middle, end))
            end = middle
        else:
            ranges.append(range(start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old_size: int, size: int) -> list[range]:
    """Give the ranges whose roots are the consistency proof, in its order (RFC 6962, 2.1.2).

    >>> consistency_ranges(3, 7)
    [range(2, 3), range(3, 4), range(0, 2), range(4, 7)]
    """
    assert 0 < old_size <= size
    ranges, start, end = [], 0, size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            ranges.append(range(middle, end))
            end = middle
        else:
            ranges.append(range(start, middle))
            start = middle
    if start:  # Otherwise the verifier knows it already: it is the old root itself.
        ranges.append(range(start, end))
    return ranges[::-1]


def range_roots(leaves: Iterable[bytes], ranges: Sequence[range]) -> list[bytes]:
    """Give the root over each of the ranges, in their order, from one pass over all leaves."""
    trees = [Frontier() for _ in ranges]
    position = 0
    waiting: list[bytes] = []

    def fold() -> None:
        first = position - len(waiting)
        for wanted, tree in zip(ranges, trees, strict=True):
            low, high = max(wanted.start, first), min(wanted.stop, position)
            if low < high:
                tree.extend(waiting[low - first : high - first])
        waiting.clear()

    for leaf in leaves:
        waiting.append(leaf)
        position += 1
        if len(waiting) == _FOLD_LEAVES:
            fold()
    fold()
    assert all(len(wanted) == tree.size for wanted, tree in zip(ranges, trees, strict=True))
    return [tree.root() for tree in trees]


def find_transfer(files: LogFiles, transfer_id: int, size: int) -> int:
    """Give the sequence of a transfer's record, a refusal's too; 0 where the id is unused."""
    wanted = transfer_id.to_bytes(16, "little")
    for sequence, body in enumerate(files.bodies(size), 1):
        if body[_ID] == wanted and body[KIND_OFFSET] not in (Kind.ACCOUNT, Kind.EXPIRE):
            return sequence
    return 0


def prove_inclusion(files: LogFiles, sequence: int, size: int | None = None) -> InclusionProof:
    """Prove that the record of this sequence stands in the tree of `size` (all that is durable).

    Raises:
        LedgerBatchError: the tree does not hold it, or is larger than the ledger.
    """
    size = _size(files, size)
    if not 0 < sequence <= size:
        raise LedgerBatchError(f"record {sequence}: the tree of size {size} does not hold it")
    ranges = inclusion_ranges(sequence - 1, size)
    leaf = b""

    def leaves() -> Iterable[bytes]:
        nonlocal leaf
        for number, body in enumerate(files.bodies(size), 1):
            if number == sequence:
                leaf = body
            yield body

    *path, root = range_roots(leaves(), [*ranges, range(size)])
    return InclusionProof(index=sequence - 1, size=size, leaf=leaf, path=path, root=root)


def prove_consistency(files: LogFiles, old_size: int, size: int | None = None) -> ConsistencyProof:
    """Prove that the tree of `size` continues that of `old_size`.

    Raises:
        LedgerBatchError: a size is 0 or beyond the ledger, or they are in the wrong order.
    """
    size = _size(files, size)
    if not 0 < old_size <= size:
        raise LedgerBatchError(f"old size {old_size}: must be 1 to {size}, the size of the tree")
    ranges = [*consistency_ranges(old_size, size), range(old_size), range(size)]
    *path, old_root, root = range_roots(files.bodies(size), ranges)
    return ConsistencyProof(old_size=old_size, size=size, old_root=old_root, path=path, root=root)


def _size(files: LogFiles, size: int | None) -> int:
    if size is None:
        size = files.size
    if not 0 < size <= files.size:
        raise LedgerBatchError(f"tree of size {size}: this ledger holds {files.size} records")
    return size


def _split(size: int) -> int:
    """Give the largest power of two smaller than the size."""
    return 1 << (size - 1).bit_length() - 1
