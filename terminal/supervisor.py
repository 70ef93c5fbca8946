"""The supervisor's code of one terminal: who may let a refund begin (domain.md 4.3).

One small file, sealed whole under the storage key, holds what the code is checked against (scrypt)
and the tries that are left. A try is counted on disk before it is looked at, so that no power cut
gives one more; three wrong ones lock the code until the bank sets a new one.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from pathlib import Path

from protocols.clock import RandomBytes
from protocols.values import SecretBytes
from terminal.errors import SealBrokenError, TerminalError
from terminal.keystore import replace_durably
from terminal.limits import SUPERVISOR_DIGITS, SUPERVISOR_TRIES_MAX
from terminal.purchase.checks import Refused
from terminal.sealing import Sealer

_VERSION = 1
_SALT_BYTES, _FILE_MAX_BYTES = 16, 4_096
#: Cost of one check: some 50 ms and 16 MiB, for who has the storage key and tries a million codes.
_COST, _BLOCK, _LANES = 2**14, 8, 1
_UNSET = Refused("17", "refused.supervisor_unset")
_LOCKED = Refused("17", "refused.supervisor_locked")


class SupervisorError(TerminalError):
    """The file of the supervisor's code cannot be read or written."""

    code = "E-TM-0107"


@dataclass(frozen=True, slots=True)
class _Kept:
    salt: bytes
    digest: bytes
    tries_left: int


class SupervisorCode:
    """The file and what it holds. Its methods take the disk's time: call them off the loop."""

    def __init__(self, path: Path, terminal_id: str, sealer: Sealer) -> None:
        """Take where the file stands; it is read when it is needed."""
        self._path = path
        self._label = f"lumbung/terminal supervisor/{_VERSION}/{terminal_id}"
        self._sealer = sealer

    def why_closed(self) -> Refused | None:
        """Tell why no code can be typed, or None. Raises SupervisorError."""
        kept = self._load()
        if kept is None:
            return _UNSET
        return None if kept.tries_left else _LOCKED

    def set(self, code: str, random_bytes: RandomBytes) -> Refused | None:
        """Keep a new code, with all its tries; give why not. Raises SupervisorError."""
        if len(code) != SUPERVISOR_DIGITS or not (code.isascii() and code.isdigit()):
            return Refused("17", "refused.supervisor_digits", {"digits": str(SUPERVISOR_DIGITS)})
        salt = random_bytes(_SALT_BYTES)
        self._save(_Kept(salt, _digest(code, salt), SUPERVISOR_TRIES_MAX))
        return None

    def check(self, typed: str) -> Refused | None:
        """Tell why a refund may not begin, or None: the code is right. Raises SupervisorError."""
        kept = self._load()
        if kept is None:
            return _UNSET
        if not kept.tries_left:
            return _LOCKED
        counted = replace(kept, tries_left=kept.tries_left - 1)
        self._save(counted)
        if hmac.compare_digest(_digest(typed, kept.salt), kept.digest):
            self._save(replace(kept, tries_left=SUPERVISOR_TRIES_MAX))
            return None
        if not counted.tries_left:
            return _LOCKED
        return Refused("17", "refused.supervisor_wrong", {"tries": str(counted.tries_left)})

    def _load(self) -> _Kept | None:
        if not self._path.exists():
            return None
        try:
            sealed = self._path.read_bytes()
            if len(sealed) > _FILE_MAX_BYTES:
                raise ValueError("larger than any such file")
            body = json.loads(self._sealer.open(sealed, self._label))
            salt, digest = bytes.fromhex(body["salt"]), bytes.fromhex(body["digest"])
            return _Kept(salt, digest, int(body["tries_left"]))
        except (OSError, SealBrokenError, ValueError, KeyError, TypeError) as wrong:
            raise SupervisorError(
                f"{self._path}: the supervisor's code does not read back.",
                fix="Set a new code: lumbung terminal supervisor.",
            ) from wrong

    def _save(self, kept: _Kept) -> None:
        body = {
            "salt": kept.salt.hex(), "digest": kept.digest.hex(), "tries_left": kept.tries_left,
        }  # fmt: skip
        sealed = self._sealer.seal(json.dumps(body).encode("ascii"), self._label)
        try:
            replace_durably(self._path, sealed)
        except OSError as failed:
            raise SupervisorError(
                f"{self._path}: cannot write: {failed.strerror}.", fix="Free the disk."
            ) from failed


def _digest(code: str, salt: bytes) -> bytes:
    secret = SecretBytes(code.encode("utf-8"))
    return hashlib.scrypt(secret.reveal(), salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=32)
