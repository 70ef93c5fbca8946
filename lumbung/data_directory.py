"""The data directory: one place on disk for one programme, its layout and its lock.

Layout (frozen; docs/reference/data-directory.md):

    lumbung-data.json   what this directory is: format, story seed, when made
    lock                held exclusively by the one process that may write
    ledger/             the settlement core's own files (it has a lock of its own)
    registry.sqlite     people, cards, shops, terminals (programme)
    registry-url        instead of it: the address of a PostgreSQL database
    keystore.json       keys wrapped under a master key that is never stored here
    switch.sqlite       the switch's small state: PIN tries, key sets, log-ons
    switch-copy-N.sqlite  a copy of it for a reader beside the switch, gone after it
    switch.sock         the control channel of the switch that runs, mode 0600
    journal/            raw messages and decisions, sealed, in segments; folder 0700
    terminals/<tid>/    each terminal's durable journal and key store
    cards/              virtual cards, 0600 each, in a folder of 0700: test PANs live here only
    receipts/           slips as printed
    logs/               structured logs, masked

Whatever opens it for writing takes the lock first; readers take none. A directory that is not ours
is never written to.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from programme.errors import ProgrammeError

FORMAT = 1
MANIFEST = "lumbung-data.json"
#: Holds the registry's address when it is no file here (mode 0600; a password may stand in it).
REGISTRY_ADDRESS = "registry-url"


class DataDirectoryError(ProgrammeError):
    """The data directory cannot be used: not ours, in use, read-only, another version."""

    code = "E-DD-0001"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `lumbung-data.json` says. `seed` is the story's, None for real programmes."""

    format: int
    kind: str
    seed: int | None
    created: str


class DataDirectory:
    """An opened and locked data directory. Use as a context manager."""

    def __init__(self, root: Path, manifest: Manifest, lock_fd: int | None, *, fresh: bool) -> None:
        """Keep what `open` or `beside` found; callers use those."""
        self.root = root
        self.manifest = manifest
        self.fresh = fresh
        self._lock_fd: int | None = lock_fd

    @classmethod
    def open(cls, root: Path, *, kind: str, seed: int | None, created: str) -> Self:
        """Open the directory for writing, making it when it is missing or empty.

        Raises DataDirectoryError for a directory that is not ours, is used by another process, is
        of another format, or cannot be written.
        """
        root = root.absolute()
        _make(root)
        known = (root / MANIFEST).exists()
        if not known and any(root.iterdir()) and not _only_our_lock(root):
            raise DataDirectoryError.of("directory.other_files", path=str(root))
        lock_fd = _lock(root)
        try:
            if not known:
                _write_manifest(root, Manifest(FORMAT, kind, seed, created))
            manifest = read_manifest(root)
            if manifest.kind != kind:
                raise DataDirectoryError.of(
                    "directory.other_kind", path=str(root), kind=manifest.kind, wanted=kind
                )
            for name, mode in (("terminals", 0o700), ("cards", 0o700), ("receipts", 0o755)):
                (root / name).mkdir(mode=mode, exist_ok=True)
            (root / "logs").mkdir(exist_ok=True)
        except BaseException:
            os.close(lock_fd)
            raise
        return cls(root, manifest, lock_fd, fresh=not known)

    @classmethod
    def beside(cls, root: Path) -> Self:
        """Look at a directory that another process may be writing; takes no lock.

        For readers, and for terminals, which write only under their own folder and lock it.
        """
        root = root.absolute()
        return cls(root, read_manifest(root), None, fresh=False)

    @property
    def ledger(self) -> Path:
        """Give the ledger's directory."""
        return self.root / "ledger"

    @property
    def registry(self) -> Path:
        """Give the registry's database file."""
        return self.root / "registry.sqlite"

    def registry_place(self) -> str | Path:
        """Give where the registry is: its file, or the address that `registry-url` holds.

        Raises DataDirectoryError for an address file that cannot be read.
        """
        path = self.root / REGISTRY_ADDRESS
        try:
            address = path.read_text("utf-8").strip()
        except FileNotFoundError:
            return self.registry
        except (OSError, UnicodeDecodeError) as error:
            raise DataDirectoryError.of(
                "directory.address", path=str(path), why=str(error)
            ) from error
        return address

    @property
    def keystore(self) -> Path:
        """Give the keystore's file."""
        return self.root / "keystore.json"

    @property
    def switch_state(self) -> Path:
        """Give the switch's state file."""
        return self.root / "switch.sqlite"

    @property
    def journal(self) -> Path:
        """Give the folder of the switch's raw journal."""
        return self.root / "journal"

    @property
    def cards(self) -> Path:
        """Give the folder of card images."""
        return self.root / "cards"

    @property
    def receipts(self) -> Path:
        """Give the folder of slips."""
        return self.root / "receipts"

    @property
    def logs(self) -> Path:
        """Give the folder of logs."""
        return self.root / "logs"

    def terminal(self, terminal_id: str) -> Path:
        """Give a terminal's own folder, made when missing."""
        folder = self.root / "terminals" / terminal_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def close(self) -> None:
        """Release the lock. Idempotent."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_manifest(root: Path) -> Manifest:
    """Give the manifest of a data directory; raise DataDirectoryError when it is none of ours."""
    path = root / MANIFEST
    try:
        content = json.loads(path.read_text("utf-8"))
        manifest = Manifest(**content)
    except FileNotFoundError:
        raise DataDirectoryError.of(
            "directory.not_ours", path=str(root), manifest=MANIFEST
        ) from None
    except OSError as error:
        raise DataDirectoryError.of(
            "directory.unreadable", path=str(path), why=str(error.strerror)
        ) from error
    except (ValueError, TypeError) as error:
        raise DataDirectoryError.of(
            "directory.manifest", path=str(path), why=type(error).__name__
        ) from error
    if manifest.format != FORMAT:
        raise DataDirectoryError.of(
            "directory.format", path=str(path), found=str(manifest.format), read=FORMAT
        )
    return manifest


def _only_our_lock(root: Path) -> bool:
    # A process killed between taking the lock and writing the manifest leaves just these.
    return {path.name for path in root.iterdir()} <= {"lock", f"{MANIFEST}.new"}


def _make(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirectoryError.of(
            "directory.not_made", path=str(root), why=str(error.strerror)
        ) from error


def _lock(root: Path) -> int:
    path = root / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DataDirectoryError.of(
            "directory.not_written", path=str(root), why=str(error.strerror)
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise DataDirectoryError.of("directory.in_use", path=str(root), holder=holder) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _write_manifest(root: Path, manifest: Manifest) -> None:
    temporary = root / f"{MANIFEST}.new"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(root / MANIFEST)
    folder = os.open(root, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
