"""The outside world behind the arguments that cores take: clocks and random bytes.

The only place that reads the system's clock and generator for the whole product. The story of the
demo and the tests pass their own, so that one seed replays a run.
"""

import hashlib
import secrets
import time

from protocols.clock import RandomBytes
from protocols.values import SecretBytes

#: 2026-01-05 09:00 WITA, the story's first morning (design decision 32), in nanoseconds UTC.
STORY_START_NS = 1_767_574_800 * 1_000_000_000


class SystemClock:
    """The machine's own clocks."""

    def now_ns(self) -> int:
        """Give UTC wall time in nanoseconds."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Give monotonic nanoseconds."""
        return time.monotonic_ns()


class StoryClock:
    """A wall clock that only the story moves; deadlines still run on real time.

    The wall time enters ids (DE7), so it must not depend on how fast the machine is; a deadline
    that never passed would hide a real fault, so it does.
    """

    def __init__(self, start_ns: int = STORY_START_NS) -> None:
        """Start at the given instant."""
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Give the story's wall time in nanoseconds UTC."""
        return self._now_ns

    def monotonic_ns(self) -> int:
        """Give real monotonic nanoseconds."""
        return time.monotonic_ns()

    def advance(self, seconds: float) -> None:
        """Move the story on."""
        assert seconds >= 0
        self._now_ns += int(seconds * 1_000_000_000)


def system_random(count: int) -> bytes:
    """Give `count` random bytes from the operating system."""
    return secrets.token_bytes(count)


def seeded_random(seed: int, stream: str) -> RandomBytes:
    """Give a generator whose bytes depend on the seed and the stream's name only.

    SHA-256 in counter mode: the same on every platform and version. Streams are named for their
    user, so that one part's use never shifts another's. For stories and tests, never for real keys.

    >>> seeded_random(7, "cards")(4) == seeded_random(7, "cards")(4)
    True
    """
    key = f"lumbung/seed/{seed}/{stream}".encode()
    pool = bytearray()
    counter = 0

    def random_bytes(count: int) -> bytes:
        nonlocal counter
        while len(pool) < count:
            pool.extend(hashlib.sha256(key + counter.to_bytes(8, "big")).digest())
            counter += 1
        taken = bytes(pool[:count])
        del pool[:count]
        return taken

    return random_bytes


def story_master_key(seed: int) -> SecretBytes:
    """Give the master key of a story's keystore: test keys only, anyone with the seed has it."""
    return SecretBytes(hashlib.sha256(f"lumbung/story-master/{seed}".encode()).digest())
