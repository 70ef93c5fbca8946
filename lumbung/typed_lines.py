"""Lines typed at a command that serves: read beside the event loop, for as long as it runs."""

import asyncio
import sys
import threading
from collections.abc import Callable

#: Lines that may be typed before the loop gets to them.
_AHEAD_MAX = 64


def read_lines(take: Callable[[str], object]) -> None:
    """Call `take` in the running loop with each line of the standard input, stripped.

    A thread reads, because the input may be a file, a pipe or the terminal that output goes to; it
    ends with the process.
    """
    loop = asyncio.get_running_loop()
    room = threading.BoundedSemaphore(_AHEAD_MAX)

    def taken(line: str) -> None:
        room.release()
        take(line)

    def read() -> None:
        for line in sys.stdin:
            room.acquire()
            try:
                loop.call_soon_threadsafe(taken, line.strip())
            except RuntimeError:
                return  # the loop has ended; nobody listens any more

    threading.Thread(target=read, name="typed-lines", daemon=True).start()
