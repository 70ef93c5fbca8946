"""One thread per reader: PC/SC calls block, some of them for ever.

Theory of operation: the thread takes one task at a time and gives its result to the loop that
asked. PC/SC has no deadline, and cancelling does nothing to a transmit that waits for a mute card;
so a caller whose time is up abandons the thread and goes on. The thread is freed when the card
leaves the slot or its reader is reset; then it hands its card and its context back and ends. Until
then its reader is bad: whoever asks for it hears so at once, so that a mute card costs one thread
and never two.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar, cast

from terminal.card_channel import CardMuteError

Result = TypeVar("Result")
#: A task with what takes its result or its exception; None ends the thread.
_Item = tuple[Callable[[], object], Callable[[object, Exception | None], None]]

_BAD_READERS: dict[str, threading.Thread] = {}


class Deadline:
    """How long a task in the thread may stay silent: a task of several steps renews it at each."""

    __slots__ = ("_timeout_s", "_until", "given_up")

    def __init__(self, timeout_ms: int) -> None:
        """Begin now."""
        self._timeout_s = timeout_ms / 1000
        self._until = time.monotonic() + self._timeout_s
        #: Whether nobody waits for the task any more: it ends at its next step.
        self.given_up = False

    def renew(self) -> None:
        """Begin anew, in the thread; raise CardMuteError when the caller has given up."""
        if self.given_up:
            raise CardMuteError
        self._until = time.monotonic() + self._timeout_s

    def left_s(self) -> float:
        """Give the seconds that are left; 0 or less when the time is up."""
        return self._until - time.monotonic()


class ReaderThread:
    """The thread of one reader. `release` is called in it when it ends."""

    def __init__(self, reader: str, release: Callable[[], None]) -> None:
        """Start the thread; raise CardMuteError while an abandoned one still holds the reader."""
        check_not_bad(reader)
        self._reader = reader
        self._release = release
        self._tasks: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"reader {reader}", daemon=True)
        self._thread.start()

    async def call(self, task: Callable[[Deadline], Result], timeout_ms: int) -> Result:
        """Run a task in the thread and give its result, or raise what it raised.

        Raises TimeoutError `timeout_ms` after the task's last step; the thread is abandoned then,
        and so it is when the caller is cancelled. Not for use from two tasks at once.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        deadline = Deadline(timeout_ms)

        def settle(result: object, error: Exception | None) -> None:
            if done.done():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(cast(Result, result))

        def hand_over(result: object, error: Exception | None) -> None:
            try:
                loop.call_soon_threadsafe(settle, result, error)
            except RuntimeError:
                # The loop was closed while the card was silent: nobody waits any more.
                return

        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            left_s = deadline.left_s()
            if left_s > 0:
                timer = loop.call_later(left_s, look)
            elif not done.done():
                done.set_exception(TimeoutError())

        # A plain timer: a timeout scope costs a fifth of a round trip. The task last, because the
        # thread wakes at once and there is one interpreter for both.
        timer = loop.call_later(timeout_ms / 1000, look)
        self._tasks.put((lambda: task(deadline), hand_over))
        try:
            return await done
        except (TimeoutError, asyncio.CancelledError):
            deadline.given_up = True
            self.abandon()
            raise
        finally:
            timer.cancel()

    def abandon(self) -> None:
        """Let the thread end when it can; its reader is bad until then."""
        _BAD_READERS[self._reader] = self._thread
        self._tasks.put(None)

    def end(self) -> None:
        """Let the thread hand everything back and end; idempotent."""
        self._tasks.put(None)

    def _work(self) -> None:
        try:
            while (item := self._tasks.get()) is not None:
                task, hand_over = item
                try:
                    result, error = task(), None
                except Exception as raised:  # noqa: BLE001 - it is raised again where it was asked
                    result, error = None, raised
                hand_over(result, error)
        finally:
            self._release()


def check_not_bad(reader: str) -> None:
    """Raise CardMuteError while an abandoned thread still waits for this reader's card."""
    thread = _BAD_READERS.get(reader)
    if thread is None:
        return
    if thread.is_alive():
        raise CardMuteError("the reader still waits for a card that does not answer")
    _BAD_READERS.pop(reader, None)
