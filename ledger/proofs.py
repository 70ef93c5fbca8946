"""Proofs for outsiders: that a record is in the tree, that a later tree continues an earlier one.

Source: RFC 6962, sections 2.1.1 (audit path) and 2.1.2 (consistency proof), over the record bodies
of docs/reference/ledger-format.md, sections 2 and 6. Every node of a proof is the root over a range
of leaves; sealed segments keep such roots, so little is hashed again. `ledger.proof_check` verifies
and shares no code with it.
"""

from dataclasses import dataclass

from ledger.errors import LedgerBatchError
from ledger.files import LogFiles
from ledger.tree import split


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
        middle = start + split(end - start)
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
        middle = start + split(end - start)
        if old_size <= middle:
            ranges.append(range(middle, end))
            end = middle
        else:
            ranges.append(range(start, middle))
            start = middle
    if start:  # Otherwise the verifier knows it already: it is the old root itself.
        ranges.append(range(start, end))
    return ranges[::-1]


def find_transfer(files: LogFiles, transfer_id: int, size: int) -> int:
    """Give the sequence of a transfer's record among the first `size`; 0 where it is not there."""
    sequence = files.find_transfer(transfer_id)
    return sequence if sequence <= size else 0


def prove_inclusion(files: LogFiles, sequence: int, size: int | None = None) -> InclusionProof:
    """Prove that the record of this sequence stands in the tree of `size` (all that is durable).

    Raises:
        LedgerBatchError: the tree does not hold it, or is larger than the ledger.
    """
    size = _size(files, size)
    if not 0 < sequence <= size:
        raise LedgerBatchError(f"record {sequence}: the tree of size {size} does not hold it")
    path = [files.range_root(leaves) for leaves in inclusion_ranges(sequence - 1, size)]
    root = files.range_root(range(size))
    return InclusionProof(
        index=sequence - 1, size=size, leaf=files.body(sequence), path=path, root=root
    )


def prove_consistency(files: LogFiles, old_size: int, size: int | None = None) -> ConsistencyProof:
    """Prove that the tree of `size` continues that of `old_size`.

    Raises:
        LedgerBatchError: a size is 0 or beyond the ledger, or they are in the wrong order.
    """
    size = _size(files, size)
    if not 0 < old_size <= size:
        raise LedgerBatchError(f"old size {old_size}: must be 1 to {size}, the size of the tree")
    path = [files.range_root(leaves) for leaves in consistency_ranges(old_size, size)]
    old_root, root = files.range_root(range(old_size)), files.range_root(range(size))
    return ConsistencyProof(old_size=old_size, size=size, old_root=old_root, path=path, root=root)


def _size(files: LogFiles, size: int | None) -> int:
    if size is None:
        size = files.size
    if not 0 < size <= files.size:
        raise LedgerBatchError(f"tree of size {size}: this ledger holds {files.size} records")
    return size
