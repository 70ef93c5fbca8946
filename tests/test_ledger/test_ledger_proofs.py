"""Proofs from the files, checked by code that shares nothing with the engine."""

import ast
import random
import shutil
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger import notes, open_ledger, proof_check
from ledger.errors import LedgerBatchError, LedgerCorruptError, LedgerForeignError
from ledger.files import LogFiles, open_files
from ledger.merkle import Frontier
from ledger.proof_check import ProofError, check_consistency, check_inclusion
from ledger.proofs import (
    consistency_ranges,
    find_transfer,
    inclusion_ranges,
    prove_consistency,
    prove_inclusion,
)
from ledger.structures import Account, Transfer
from ledger.tree import range_root
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines

#: The eight leaves and the root of the Certificate Transparency project's own test vectors.
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
CT_ROOT = bytes.fromhex("5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")
CT_PATH_OF_LEAF_1 = [
    bytes.fromhex(node)
    for node in (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    )
]
#: The example of Go's signed notes.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)
REFUSED, UNKNOWN = 99, 12345


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small ledger: accounts, 20 transfers in uneven frames, one refusal."""
    path = tmp_path_factory.mktemp("proofs")
    ledger = open_ledger(
        path,
        now_ns=SteppingClock(),
        random_bytes=counting_bytes(),
        engine=engines()[-1],  # type: ignore[arg-type]
        segment_size=16_384,
    )
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    move = {"debit_account_id": 1, "amount": 5, "ledger": 1, "code": 1}
    ids = list(range(1, 21))
    while ids:
        batch = [Transfer(id=n, credit_account_id=2, **move) for n in ids[: 1 + len(ids) % 5]]
        ids = ids[len(batch) :]
        ledger.create_transfers(batch)
    ledger.create_transfers([Transfer(id=REFUSED, credit_account_id=7, **move)])
    ledger.close()
    return path


@pytest.fixture(scope="module")
def files(directory: Path) -> Iterator[LogFiles]:
    """Give the ledger's files, opened for audit."""
    opened = open_files(directory)
    yield opened
    opened.close()


class MemoryLeaves:
    """Leaves of which the nodes over those before `kept` are kept, as in sealed segments."""

    def __init__(self, leaves: list[bytes], kept: int = 0) -> None:
        self.leaves = leaves
        self.kept = kept
        self.read = 0

    def bodies(self, after_sequence: int, upto_sequence: int) -> Iterator[bytes]:
        self.read += upto_sequence - after_sequence
        return iter(self.leaves[after_sequence:upto_sequence])

    def node(self, level: int, index: int) -> bytes | None:
        end = (index + 1) << level
        if level < 6 or end > self.kept:
            return None
        tree = Frontier()
        tree.extend(self.leaves[end - (1 << level) : end])
        return tree.root()


def range_roots(leaves: list[bytes], ranges: list[range], kept: int = 0) -> list[bytes]:
    """Give the roots over ranges of leaves."""
    memory = MemoryLeaves(leaves, kept)
    return [range_root(memory, wanted.start, wanted.stop) for wanted in ranges]


def test_proofs_of_the_published_vectors_are_those_published() -> None:
    ranges = [*inclusion_ranges(1, 8), range(8)]
    *path, root = range_roots(CT_LEAVES, ranges)
    assert root == CT_ROOT
    assert path == CT_PATH_OF_LEAF_1
    check_inclusion(CT_LEAVES[1], 1, 8, path, CT_ROOT)


def test_every_leaf_and_every_size_of_small_trees_is_proved() -> None:
    leaves = [bytes([n]) for n in range(24)]
    roots = [range_roots(leaves[:n], [range(n)])[0] for n in range(24)]
    for size in range(1, 24):
        for index in range(size):
            path = range_roots(leaves[:size], inclusion_ranges(index, size))
            check_inclusion(leaves[index], index, size, path, roots[size])
        for old in range(1, size + 1):
            path = range_roots(leaves[:size], consistency_ranges(old, size))
            check_consistency(old, roots[old], size, roots[size], path)


def test_root_over_many_leaves_is_the_frontiers() -> None:
    leaves = [n.to_bytes(4, "big") for n in range(2_345)]
    tree = Frontier()
    tree.extend(leaves)
    for kept in (0, 1_000, 2_345):
        path = range_roots(leaves, [*inclusion_ranges(1_500, 2_345), range(2_345)], kept)
        assert path.pop() == tree.root()
        check_inclusion(leaves[1_500], 1_500, 2_345, path, tree.root())


def test_kept_nodes_spare_the_reading_of_what_is_below_them() -> None:
    leaves = MemoryLeaves([n.to_bytes(4, "big") for n in range(8_192)], kept=8_192)
    for wanted in inclusion_ranges(5_000, 8_192):
        range_root(leaves, wanted.start, wanted.stop)
    assert leaves.read <= 63  # The leaves beside this one below the lowest kept node.


def test_every_record_of_a_ledger_is_proved_against_its_checkpoint(files: LogFiles) -> None:
    assert files.size == 23
    for sequence in range(1, files.size + 1):
        proof = prove_inclusion(files, sequence)
        assert int.from_bytes(proof.leaf[:8], "little") == sequence
        assert proof.root == files.root
        check_inclusion(proof.leaf, proof.index, proof.size, proof.path, files.root)
    for old in range(1, files.size + 1):
        proof = prove_consistency(files, old)
        assert proof.old_root == prove_inclusion(files, 1, old).root
        check_consistency(old, proof.old_root, proof.size, files.root, proof.path)


def test_transfer_is_found_by_id_also_a_refused_one(files: LogFiles) -> None:
    assert find_transfer(files, 1, files.size) == 3, "account 1 has the same id and is no transfer"
    assert find_transfer(files, REFUSED, files.size) == 23
    assert find_transfer(files, REFUSED, 22) == 0
    assert find_transfer(files, UNKNOWN, files.size) == 0


def test_any_changed_byte_of_an_inclusion_proof_is_refused(files: LogFiles) -> None:
    good = prove_inclusion(files, 7)
    parts = [good.leaf, *good.path, good.root]
    rng = random.Random(7)
    for number, part in enumerate(parts):
        for place in range(len(part)):
            wrong = bytearray(part)
            wrong[place] ^= 1 << rng.randrange(8)
            leaf, *path, root = [*parts[:number], bytes(wrong), *parts[number + 1 :]]
            with pytest.raises(ProofError):
                check_inclusion(leaf, good.index, good.size, path, root)


def test_any_changed_byte_of_a_consistency_proof_is_refused(files: LogFiles) -> None:
    good = prove_consistency(files, 11)
    parts = [good.old_root, *good.path, good.root]
    for number, part in enumerate(parts):
        for place in range(len(part)):
            wrong = bytearray(part)
            wrong[place] ^= 0x80
            old, *path, root = [*parts[:number], bytes(wrong), *parts[number + 1 :]]
            with pytest.raises(ProofError):
                check_consistency(good.old_size, old, good.size, root, path)


def test_proof_for_another_place_or_length_is_refused(files: LogFiles) -> None:
    good = prove_inclusion(files, 7)
    for index, size, path in (
        (good.index + 1, good.size, good.path),
        (good.index, good.size, good.path[:-1]),
        (good.index, good.size, [*good.path, bytes(32)]),
        (-1, good.size, good.path),
        (good.size, good.size, good.path),
        (good.index, good.size, [bytes(32)] * 65),
        (good.index, good.size, [path[:31] for path in good.path]),
    ):
        with pytest.raises(ProofError):
            check_inclusion(good.leaf, index, size, path, good.root)
    same = prove_consistency(files, files.size)
    assert same.path == []
    for old_size, size, path in (
        (0, 5, []), (6, 5, []), (files.size, files.size, [bytes(32)]), (4, files.size, []),
    ):  # fmt: skip
        with pytest.raises(ProofError):
            check_consistency(old_size, files.root, size, files.root, path)


def test_reading_says_how_far_it_is(directory: Path) -> None:
    said: list[tuple[int, int]] = []
    open_files(directory, lambda done, total: said.append((done, total))).close()
    assert said == [(23, 23)]


def test_sizes_beyond_the_ledger_are_refused(files: LogFiles) -> None:
    for ask in (
        lambda: prove_inclusion(files, 24),
        lambda: prove_inclusion(files, 0),
        lambda: prove_inclusion(files, 5, 4),
        lambda: prove_inclusion(files, 1, 24),
        lambda: prove_consistency(files, 0),
        lambda: prove_consistency(files, 24),
    ):
        with pytest.raises(LedgerBatchError):
            ask()


def prove_all(directory: Path) -> None:
    """Prove every record: damage is seen at the latest where it is read."""
    files = open_files(directory)
    try:
        for sequence in range(1, files.size + 1):
            prove_inclusion(files, sequence)
    finally:
        files.close()


def test_files_of_a_damaged_or_foreign_directory_prove_nothing(
    directory: Path, tmp_path: Path
) -> None:
    shutil.copytree(directory, tmp_path / "ledger")
    (segment,) = (tmp_path / "ledger").glob("00000001.se*")
    content = bytearray(segment.read_bytes())
    content[4096 + 200] ^= 1
    segment.write_bytes(content)
    with pytest.raises(LedgerCorruptError, match=r"00000001\.se\w+, offset 4096"):
        prove_all(tmp_path / "ledger")
    with pytest.raises(LedgerForeignError):
        open_files(tmp_path / "nothing")


def test_published_example_of_a_signed_note_verifies_and_its_changes_do_not() -> None:
    assert proof_check.check_note(GO_NOTE, GO_KEY) == 0
    for wrong in (
        GO_NOTE.replace("think", "thing"),
        GO_NOTE.replace("JnAM=", "JnAN="),
        GO_NOTE.replace("JnAM=\n", "JnAM="),
        GO_NOTE.replace("— P", "- P"),
        GO_NOTE.replace("PeterNeumann", "Peter"),
        GO_NOTE.partition("\n\n")[0],
        GO_NOTE + "a line that is no signature\n",
        GO_NOTE + "—  AAAA\n",
    ):
        with pytest.raises(ProofError):
            proof_check.check_note(wrong, GO_KEY)
    for key in (GO_KEY.replace("c74f", "c74e"), GO_KEY[:-4], "x", GO_KEY.replace("+AR", "+AB")):
        with pytest.raises(ProofError):
            proof_check.check_note(GO_NOTE, key)


def test_checkpoint_is_signed_by_the_log_and_cosigned_by_witnesses() -> None:
    log_key, bank_key = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
    root = sha256(b"root").digest()
    note = notes.sign_checkpoint("kota.example/pangan", 23, root, log_key)
    note = notes.cosign(note, "bank.example", bank_key, 1_767_574_800)
    stated = proof_check.read_checkpoint(note)
    assert (stated.origin, stated.size, stated.root) == ("kota.example/pangan", 23, root)
    log = notes.verifier_key("kota.example/pangan", log_key)
    bank = notes.verifier_key("bank.example", bank_key, witness=True)
    assert proof_check.check_note(note, log) == 0
    assert proof_check.check_note(note, bank) == 1_767_574_800
    for wrong in (note.replace("\n23\n", "\n24\n"), note.replace("pangan\n", "pangan2\n")):
        for key in (log, bank):
            with pytest.raises(ProofError):
                proof_check.check_note(wrong, key)
    with pytest.raises(ProofError, match="no signature"):
        proof_check.check_note(note, notes.verifier_key("bank.example", log_key, witness=True))
    with pytest.raises(LedgerBatchError):
        notes.sign_checkpoint("two words", 1, root, log_key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\nAA==",
        "a\n-1\nAA==",
        "a\n1\nAA==",
        "a\n1\n!",
        "\n1\nAA==",
        f"a\n{'9' * 5_000}\n{'A' * 43}=",
    ],
)
def test_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ProofError):
        proof_check.read_checkpoint(text)


@pytest.mark.parametrize(
    "document",
    [{}, [], {"proof": "inclusion", "size": 1, "root_hash": "00" * 32, "path": "x"},
     {"proof": "magic", "size": 1, "root_hash": "00" * 32, "path": []},
     {"proof": "inclusion", "size": True, "root_hash": "00" * 32, "path": []},
     {"proof": "inclusion", "size": 1, "root_hash": "AA" * 32, "path": [], "leaf": "", "index": 0}],
)  # fmt: skip
def test_document_that_is_no_proof_is_refused(document: object) -> None:
    with pytest.raises(ProofError):
        proof_check.check_document(document)


def test_checker_imports_nothing_but_the_standard_library_and_cryptography() -> None:
    imported = set()
    for node in ast.walk(ast.parse(Path(proof_check.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}
