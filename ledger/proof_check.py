"""Check a ledger's evidence without the ledger: proofs, checkpoints, signatures of witnesses.

One file that stands alone: standard library and `cryptography`, nothing of the engine. Written from
RFC 6962 (2.1), RFC 9162 (2.1.3.2 and 2.1.4.2: the verification algorithms), and the C2SP pages
signed-note, tlog-checkpoint and tlog-cosignature. Hand it to an auditor and run it as a program:

    python proof_check.py PROOF.json --checkpoint NOTE.txt --key 'name+hash+base64'

Exit code 0 when everything given verifies, 1 when not.
"""

import argparse
import base64
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HASH_BYTES = 32
#: Digits of the greatest size of a log, 2^64-1.
_SIZE_DIGITS_MAX = 20
#: A path has one hash a level; a tree of 2^63 leaves is out of anybody's reach.
PATH_HASHES_MAX = 64
#: A proof is some kilobytes; anything larger is no proof.
FILE_BYTES_MAX = 1 << 20
_ED25519, _COSIGNATURE = 1, 4


class ProofError(Exception):
    """The evidence does not show what it says."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a signed checkpoint states: that this log had this root at this size."""

    origin: str
    size: int
    root: bytes


def leaf_hash(leaf: bytes) -> bytes:
    """Give the hash of a leaf (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def check_inclusion(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> None:
    """Check that `leaf` stands at `index` in the tree (RFC 9162, 2.1.3.2). Raise `ProofError`."""
    _check_path(path)
    if not 0 <= index < size:
        raise ProofError(f"index {index} is not in a tree of size {size}")
    node, last, value = index, size - 1, leaf_hash(leaf)
    for sibling in path:
        if last == 0:
            raise ProofError("the path is longer than the tree is high")
        if node % 2 == 1 or node == last:
            value = _node(sibling, value)
            while node % 2 == 0 and node != 0:
                node, last = node // 2, last // 2
        else:
            value = _node(value, sibling)
        node, last = node // 2, last // 2
    if last != 0:
        raise ProofError("the path is shorter than the tree is high")
    if value != root:
        raise ProofError("the path does not lead from the leaf to the root")


def check_consistency(
    old_size: int, old_root: bytes, size: int, root: bytes, path: list[bytes]
) -> None:
    """Check that a tree continues an older one (RFC 9162, 2.1.4.2). Raise `ProofError`."""
    _check_path(path)
    if not 0 < old_size <= size:
        raise ProofError(f"a tree of size {size} continues none of size {old_size}")
    if old_size == size:
        if path or old_root != root:
            raise ProofError("two trees of one size with two roots")
        return
    hashes = list(path)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    if not hashes:
        raise ProofError("the proof is empty")
    node, last = old_size - 1, size - 1
    while node % 2 == 1:
        node, last = node // 2, last // 2
    old_value = new_value = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise ProofError("the proof is longer than the tree is high")
        if node % 2 == 1 or node == last:
            old_value, new_value = _node(sibling, old_value), _node(sibling, new_value)
            while node % 2 == 0 and node != 0:
                node, last = node // 2, last // 2
        else:
            new_value = _node(new_value, sibling)
        node, last = node // 2, last // 2
    if last != 0:
        raise ProofError("the proof is shorter than the tree is high")
    if old_value != old_root:
        raise ProofError("the proof does not lead to the old root")
    if new_value != root:
        raise ProofError("the proof does not lead to the new root")


def read_checkpoint(text: str) -> Checkpoint:
    """Give what the text of a checkpoint states, signatures not looked at (C2SP tlog-checkpoint).

    Raises:
        ProofError: it is not in that form.
    """
    lines = text.partition("\n\n")[0].split("\n")
    if len(lines) < 3 or not lines[0] or not lines[1].isascii() or not lines[1].isdigit():
        raise ProofError("no checkpoint: origin, size and root must be its first three lines")
    if len(lines[1]) > _SIZE_DIGITS_MAX or lines[1] != str(int(lines[1])):
        raise ProofError("the size of the checkpoint is beyond any log or has leading zeros")
    root = _base64(lines[2])
    if len(root) != HASH_BYTES:
        raise ProofError("the root of the checkpoint is no SHA-256 hash")
    return Checkpoint(lines[0], int(lines[1]), root)


def check_note(note: str, verifier_key: str) -> int:
    """Check that a note is signed by a key; give the time of a witness's signature, else 0.

    `verifier_key` is `name+hash+base64`: C2SP signed-note, key types 1 (Ed25519) and 4 (timestamped
    Ed25519 cosignature of a witness).

    Raises:
        ProofError: no signature of that key stands on the note, or it is wrong.
    """
    name, kind, public = read_verifier_key(verifier_key)
    body, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise ProofError("no signed note: signatures must follow an empty line")
    text = body + "\n"
    key_id = key_hash(name, kind, public)
    found = None
    for line in tail.split("\n")[:-1]:
        mark, signer, encoded = (*line.split(" "), "", "")[:3]
        if mark != "—" or not signer or line != f"— {signer} {encoded}":
            raise ProofError("a signature line is malformed")
        raw = _base64(encoded)
        if found is None and signer == name and raw[:4] == key_id:
            found = raw[4:]
    if found is None:
        raise ProofError(f"no signature of {name} on the note")
    return _check_signature(text, found, kind, public)


def read_verifier_key(text: str) -> tuple[str, int, bytes]:
    """Give name, key type and the 32 bytes of a verifier key. Raise `ProofError`."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not parts[0]:
        raise ProofError("no verifier key: it is written name+hash+base64")
    raw = _base64(parts[2])
    if len(raw) != 1 + HASH_BYTES or raw[0] not in (_ED25519, _COSIGNATURE):
        raise ProofError("no Ed25519 verifier key")
    if key_hash(parts[0], raw[0], raw[1:]).hex() != parts[1]:
        raise ProofError("the verifier key's hash is not its own")
    return parts[0], raw[0], raw[1:]


def key_hash(name: str, kind: int, public: bytes) -> bytes:
    """Give the four bytes that name a key on a note (C2SP signed-note)."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _check_signature(text: str, signature: bytes, kind: int, public: bytes) -> int:
    signed, time = text.encode(), 0
    if kind == _COSIGNATURE:
        time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
        signed = f"cosignature/v1\ntime {time}\n".encode() + signed
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except InvalidSignature as error:
        raise ProofError("the signature does not verify") from error
    return time


def check_document(document: object) -> tuple[int, bytes]:
    """Check a proof document; give size and root of the tree it speaks of. Raise `ProofError`."""
    if not isinstance(document, dict):
        raise ProofError("no proof document: it must be a JSON object")
    try:
        size, root = _number(document["size"]), _hash(document["root_hash"])
        entries = document["path"]
        if not isinstance(entries, list):
            raise ProofError("the path is no list")
        path = [_hash(entry) for entry in entries]
        if document["proof"] == "inclusion":
            leaf = bytes.fromhex(str(document["leaf"]))
            check_inclusion(leaf, _number(document["index"]), size, path, root)
        elif document["proof"] == "consistency":
            old_size, old_root = _number(document["old_size"]), _hash(document["old_root_hash"])
            check_consistency(old_size, old_root, size, root, path)
        else:
            raise ProofError("no proof of a known kind")
    except (KeyError, ValueError, TypeError) as error:
        raise ProofError(f"no proof document: {type(error).__name__}") from error
    return size, root


def _check_path(path: list[bytes]) -> None:
    if len(path) > PATH_HASHES_MAX or any(len(entry) != HASH_BYTES for entry in path):
        raise ProofError("the path is no list of SHA-256 hashes")


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ProofError("not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise ProofError("not the one base64 form of these bytes")
    return raw


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProofError("a size or index is no number")
    return value


def _hash(value: object) -> bytes:
    raw = bytes.fromhex(str(value))
    if len(raw) != HASH_BYTES or raw.hex() != value:
        raise ProofError("a hash is not 64 lower-case hexadecimal digits")
    return raw


def _text(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(FILE_BYTES_MAX + 1)
    if len(raw) > FILE_BYTES_MAX:
        raise ProofError(f"{path.name} is larger than any proof")
    return raw.decode()


def main(arguments: list[str] | None = None) -> int:
    """Check the files named on the command line; give the exit code."""
    parser = argparse.ArgumentParser(description="Check a proof of a Lumbung ledger.")
    parser.add_argument("proof", type=Path, help="proof document, JSON")
    parser.add_argument("--checkpoint", type=Path, help="signed checkpoint that the proof must fit")
    parser.add_argument("--key", action="append", default=[], help="verifier key; may be repeated")
    given = parser.parse_args(arguments)
    if bool(given.checkpoint) != bool(given.key):
        parser.error("--checkpoint and --key go together")
    try:
        size, root = check_document(json.loads(_text(given.proof)))
        if given.checkpoint:
            note = _text(given.checkpoint)
            stated = read_checkpoint(note)
            for key in given.key:
                check_note(note, key)
            if (stated.size, stated.root) != (size, root):
                raise ProofError("the proof is of another tree than the checkpoint")
    except (ProofError, OSError, ValueError) as error:
        sys.stdout.write(f"NOT verified: {error}\n")
        return 1
    signed = f", signed by {len(given.key)}" if given.key else ""
    sys.stdout.write(f"verified: tree of size {size}, root {root.hex()}{signed}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
