"""Who does what waits for the disk, and calls back on the loop: by default one thread.

One piece of work at a time; a simulation has a worker of its own, on a virtual clock.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, Protocol

#: Takes what work gave: its result, or what it raised.
Done = Callable[[Any, BaseException | None], None]


class Worker(Protocol):
    """Does work elsewhere; all methods but `wake` belong to the loop's thread."""

    def submit(self, work: Callable[[], Any], done: Done) -> None:
        """Do the work, then call `done` on the loop's thread."""

    def wake(self, call: Callable[[], None]) -> None:
        """Have a function called on the loop's thread; from any thread."""


class ExecutorWorker:
    """Work in an executor of one thread, for an asyncio loop. Made on the loop's thread."""

    def __init__(self, executor: Executor) -> None:
        """Take the executor; whoever made it shuts it down."""
        self._executor = executor
        self._loop = asyncio.get_running_loop()

    def submit(self, work: Callable[[], Any], done: Done) -> None:
        """Do the work in the executor's thread."""
        self._loop.run_in_executor(self._executor, work).add_done_callback(partial(_ended, done))

    def wake(self, call: Callable[[], None]) -> None:
        """Have a function called in the next loop turn."""
        self._loop.call_soon_threadsafe(call)


def _ended(done: Done, future: "asyncio.Future[Any]") -> None:
    error = future.exception()
    done(None if error is not None else future.result(), error)
