"""Where durable writes spend their time: by default in a thread, so that the event loop goes on.

A write that has been handed over is never taken back: memory holds its records already, and what
follows builds on them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

Write = Callable[[], None]


class Disk(Protocol):
    """Runs durable writes, one after the other."""

    async def write(self, write: Write) -> None:
        """Run a write and return when it has ended; raise what it raises."""

    def write_at_once(self, write: Write) -> None:
        """The same, where nothing may come between: the caller waits."""

    def stop(self) -> None:
        """Take nothing any more. Idempotent."""


class ThreadDisk:
    """A disk in a thread of its own, for an asyncio loop."""

    def __init__(self) -> None:
        """Begin; the thread starts with the first write."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="terminal-disk")

    async def write(self, write: Write) -> None:
        """Run a write; who is cancelled meanwhile waits for its end."""
        writing = self._thread.submit(write)
        try:
            await asyncio.shield(asyncio.wrap_future(writing))
        except asyncio.CancelledError:
            # A failed write has closed the journal: it shows at the next one.
            writing.exception()
            raise

    def write_at_once(self, write: Write) -> None:
        """Run a write behind those under way."""
        self._thread.submit(write).result()

    def stop(self) -> None:
        """End the thread. Idempotent."""
        self._thread.shutdown(wait=True)
