"""Lines typed at a command that serves: read beside the event loop, for as long as it runs."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable

#: Lines that may be typed before somebody gets to them; the rest waits where it is.
_AHEAD_MAX = 64


def read_lines(take: Callable[[str], object]) -> None:
    """Call `take` in the running loop with each line of the standard input, stripped."""
    room = threading.BoundedSemaphore(_AHEAD_MAX)

    def taken(line: str) -> None:
        room.release()
        take(line)

    _read(room, taken)


async def typed_lines() -> AsyncIterator[str]:
    """Yield each line of the standard input, stripped; waits for ever behind the last one."""
    room = threading.BoundedSemaphore(_AHEAD_MAX)
    # Whoever reads has a line's room until it is yielded: that bounds the queue.
    lines: asyncio.Queue[str] = asyncio.Queue()
    _read(room, lines.put_nowait)
    while True:
        line = await lines.get()
        room.release()
        yield line


def _read(room: threading.BoundedSemaphore, hand_over: Callable[[str], object]) -> None:
    """Read in a thread: the input may be a file, a pipe or the terminal that output goes to.

    The thread ends with the process.
    """
    loop = asyncio.get_running_loop()

    def read() -> None:
        for line in sys.stdin:
            room.acquire()
            try:
                loop.call_soon_threadsafe(hand_over, line.strip())
            except RuntimeError:
                return  # the loop has ended; nobody listens any more

    threading.Thread(target=read, name="typed-lines", daemon=True).start()
