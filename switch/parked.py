"""Requests that wait until a key under way is settled, in order of arrival (decision 10)."""

from collections import deque
from dataclasses import dataclass, field

from switch.limits import PARKED_PER_KEY_MAX
from switch.turn import Active


@dataclass(slots=True)
class Parked:
    """A bounded line of requests for each key."""

    lines: dict[int, deque[Active]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def join(self, key: int, active: Active) -> bool:
        """Let a request wait; False when too many do."""
        line = self.lines.setdefault(key, deque())
        if len(line) >= PARKED_PER_KEY_MAX:
            return False
        line.append(active)
        return True

    def leave(self, key: int) -> deque[Active]:
        """Give those who wait for a key; they wait no more."""
        return self.lines.pop(key, None) or deque()

    def rejoin(self, key: int, line: deque[Active]) -> None:
        """Let the rest of a line wait on, before whoever came since."""
        self.lines.setdefault(key, deque()).extendleft(reversed(line))

    def clear(self) -> list[Active]:
        """Give all who wait; nobody waits any more."""
        everybody = [active for line in self.lines.values() for active in line]
        self.lines.clear()
        return everybody
