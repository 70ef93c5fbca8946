"""Time and randomness as arguments: the two protocols every core takes instead of reading them.

No core imports `time`, `random`, `secrets` or `os`. A program passes the system's clock and
generator at its edge (`lumbung.system`), a test or a simulation passes its own, so that one seed
replays a whole run.
"""

from collections.abc import Callable
from typing import Protocol

#: Gives `count` random bytes. `secrets.token_bytes` in production, a seeded generator in tests.
RandomBytes = Callable[[int], bytes]


class Clock(Protocol):
    """What a core may know about time."""

    def now_ns(self) -> int:
        """Give UTC wall time in nanoseconds since 1970-01-01, as `time.time_ns` does."""

    def monotonic_ns(self) -> int:
        """Give nanoseconds that never go back; only differences mean anything. For deadlines."""
