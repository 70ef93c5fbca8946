"""The terminal's directory: mode 0700, held by one process at a time."""

import fcntl
import os
from pathlib import Path

from terminal.errors import DirectoryLockedError, TerminalError


class DirectoryLock:
    """Holds the directory until `release`; a killed process releases it by dying."""

    def __init__(self, descriptor: int) -> None:
        """Use `DirectoryLock.take`."""
        self._descriptor = descriptor

    @classmethod
    def take(cls, directory: Path) -> "DirectoryLock":
        """Create the directory when it is missing and lock it.

        Raises DirectoryLockedError when another process holds it, TerminalError when it cannot be
        made or written.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(directory / "lock", flags, 0o600)
        except OSError as failed:
            raise TerminalError(
                f"{directory}: cannot be used: {failed.strerror}.",
                fix="Name a directory that this user may write.",
            ) from failed
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            os.close(descriptor)
            raise DirectoryLockedError(
                f"{directory}: another process works on this terminal.",
                fix="Stop it, or name another directory.",
            ) from held
        return cls(descriptor)

    def release(self) -> None:
        """Let go. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
