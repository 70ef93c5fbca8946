"""Transaction counters of chips: the highest one seen, and which of the 64 up to it.

Online messages must rise above the mark; a stored voucher may lag behind it by up to 63, once
(decision 10). A mark is one number: the highest counter above 64 bits of window, bit i of which
says that the counter i below the highest was seen.
"""

from dataclasses import dataclass, field

from switch.limits import ATC_WINDOW

_SEEN = (1 << ATC_WINDOW) - 1


def pack_mark(atc: int, seen: int) -> int:
    """Give a mark as one number; `unpack_mark` takes it apart.

    >>> unpack_mark(pack_mark(7, 0b101))
    (7, 5)
    """
    return atc << ATC_WINDOW | seen


def unpack_mark(mark: int) -> tuple[int, int]:
    """Give (highest counter, window)."""
    return mark >> ATC_WINDOW, mark & _SEEN


@dataclass(slots=True)
class AtcMarks:
    """The marks of every chip, by account and card tag.

    `changed` names those that the state file does not hold yet. A counter is taken before its sale
    is posted, so the marks always cover every durable record.
    """

    marks: dict[tuple[int, int], int]
    changed: set[tuple[int, int]] = field(default_factory=set)

    def is_new(self, account_id: int, card_tag: int, atc: int) -> bool:
        """Tell whether this counter is above all that this chip sent before."""
        return atc > self.marks.get((account_id, card_tag), 0) >> ATC_WINDOW

    def is_unused(self, account_id: int, card_tag: int, atc: int) -> bool:
        """Tell whether a stored voucher may still use this counter.

        >>> marks = AtcMarks({})
        >>> marks.take(1, 0, 70)
        >>> [marks.is_unused(1, 0, atc) for atc in (6, 7, 69, 70, 71)]
        [False, True, True, False, True]
        """
        highest, seen = unpack_mark(self.marks.get((account_id, card_tag), 0))
        behind = highest - atc
        if behind < 0:
            return True
        return atc > 0 and behind < ATC_WINDOW and not seen >> behind & 1

    def take(self, account_id: int, card_tag: int, atc: int) -> None:
        """Note a counter as seen; the mark never falls."""
        key = (account_id, card_tag)
        mark = self.marks.get(key, 0)
        behind = (mark >> ATC_WINDOW) - atc
        if behind < 0:
            # What falls out of the window counts as seen: shifted beyond it, it is masked away.
            seen = (mark << -behind | 1) & _SEEN if -behind < ATC_WINDOW else 1
            self.marks[key] = atc << ATC_WINDOW | seen
        elif behind < ATC_WINDOW:
            self.marks[key] = mark | 1 << behind
        else:
            return
        self.changed.add(key)
