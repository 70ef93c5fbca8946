"""A pseudo-terminal that stands for a serial cable: a virtual device here, a port at the other end.

The port has a path like any serial port's; `link` gives it a name that stays the same when the
cable is pulled out and put in again.
"""

import asyncio
import os
import tty
from collections.abc import Callable
from pathlib import Path

#: Bytes taken at once.
_READ_MAX_BYTES = 4_096


class PtyPort:
    """One cable. `on_data` sees what the other end writes; needs a running event loop."""

    def __init__(self, on_data: Callable[[bytes], None], link: Path | None = None) -> None:
        """Take who listens, and the name for the port; nothing is plugged in yet."""
        self._on_data = on_data
        self._link = link
        self._ours = self._theirs = -1
        #: Bytes that nobody read in time: a serial line loses them too.
        self.lost_bytes = 0

    @property
    def path(self) -> str:
        """Give the port's path while the cable is plugged in."""
        assert self._theirs >= 0, "the cable is plugged in"
        return str(self._link) if self._link is not None else os.ttyname(self._theirs)

    def plug_in(self) -> str:
        """Make the port; give its path."""
        assert self._ours < 0, "a cable has two ends"
        self._ours, self._theirs = os.openpty()
        # Both ends stay open here, so that the port outlives whoever opens and closes it.
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(os.ttyname(self._theirs))
        asyncio.get_running_loop().add_reader(self._ours, self._read)
        return self.path

    def write(self, data: bytes) -> None:
        """Send to the other end; what it does not take is lost, as on a serial line."""
        if self._ours < 0:
            return
        try:
            self.lost_bytes += len(data) - os.write(self._ours, data)
        except BlockingIOError:
            self.lost_bytes += len(data)

    def pull_out(self) -> None:
        """Take the cable out: the other end sees its device gone. Idempotent."""
        if self._ours < 0:
            return
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._theirs)
        os.close(self._ours)
        self._ours = self._theirs = -1
        if self._link is not None:
            self._link.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            data = os.read(self._ours, _READ_MAX_BYTES)
        except BlockingIOError:
            return
        if data:
            self._on_data(data)
