"""Many cards in a row on one terminal: what looks like a stack of collected cards (R28).

Cards of one kind of happening are looked at together: sales, wrong PINs, cards that were emptied.
"""

from collections import deque
from dataclasses import dataclass, field

_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class CardStacks:
    """The last different cards of each terminal with their times. Memory only: an alarm, no law."""

    recent: dict[tuple[str, int], deque[tuple[int, int]]] = field(default_factory=dict)
    quiet_until_ns: dict[tuple[str, int], int] = field(default_factory=dict)

    def note(
        self, pattern: str, terminal: int, card: int, now_ns: int, cards: int, seconds: int
    ) -> bool:
        """Tell whether this card completes a stack: `cards` different ones within `seconds`.

        An alarm is raised once within `seconds`; then the count begins anew.

        >>> stacks = CardStacks()
        >>> [stacks.note("sales", 17, card, card, 3, 60) for card in (1, 2, 2, 3, 4)]
        [False, False, False, True, False]
        """
        key = pattern, terminal
        if now_ns < self.quiet_until_ns.get(key, 0):
            return False
        line = self.recent.get(key)
        if line is None or line.maxlen != cards:
            line = self.recent[key] = deque(maxlen=cards)
        for index, (_, known) in enumerate(line):
            if known == card:
                del line[index]
                break
        line.append((now_ns, card))
        if len(line) < cards or now_ns - line[0][0] > seconds * _SECOND_NS:
            return False
        line.clear()
        self.quiet_until_ns[key] = now_ns + seconds * _SECOND_NS
        return True
