"""Checkpoints as signed notes, which existing transparency-log tools read.

Source: C2SP tlog-checkpoint, signed-note and tlog-cosignature. The key on the ledger's own host
proves against outsiders; witnesses (bank, city) sign the same text and prove against insiders
(design decision 21). Keys are arguments and are never written here.
"""

import base64
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import LedgerBatchError

_ED25519, _COSIGNATURE = b"\x01", b"\x04"


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """Give the text that is signed: origin, tree size and root, a line each.

    >>> checkpoint_text("kota.example/ledger", 0, bytes(32)).splitlines()[:2]
    ['kota.example/ledger', '0']
    """
    _check_name(origin)
    assert len(root) == sha256().digest_size
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def sign_checkpoint(origin: str, size: int, root: bytes, key: Ed25519PrivateKey) -> str:
    """Give the signed checkpoint; the key's name is the origin."""
    text = checkpoint_text(origin, size, root)
    return text + "\n" + _signature_line(origin, _ED25519, key, key.sign(text.encode()))


def cosign(note: str, name: str, key: Ed25519PrivateKey, time_s: int) -> str:
    """Give the note with a witness's signature and its time (seconds UTC) added."""
    _check_name(name)
    text = note.partition("\n\n")[0] + "\n"
    signature = key.sign(f"cosignature/v1\ntime {time_s}\n{text}".encode())
    return note + _signature_line(name, _COSIGNATURE, key, time_s.to_bytes(8, "big") + signature)


def verifier_key(name: str, key: Ed25519PrivateKey, *, witness: bool = False) -> str:
    """Give the public key as people hand it round: `name+hash+base64`."""
    _check_name(name)
    kind = _COSIGNATURE if witness else _ED25519
    public = kind + key.public_key().public_bytes_raw()
    return f"{name}+{_key_hash(name, public).hex()}+{base64.b64encode(public).decode()}"


def _signature_line(name: str, kind: bytes, key: Ed25519PrivateKey, signature: bytes) -> str:
    public = kind + key.public_key().public_bytes_raw()
    encoded = base64.b64encode(_key_hash(name, public) + signature).decode()
    return f"— {name} {encoded}\n"


def _key_hash(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + public).digest()[:4]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() for char in name):
        raise LedgerBatchError(f"name {name!r}: a log's or witness's name has no space and no plus")
