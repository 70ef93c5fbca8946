"""Lines of a receipt on paper of a given width: 32 columns on 58 mm, 48 on 80 mm."""

import textwrap
from dataclasses import dataclass

from protocols.values import rupiah

#: 58 and 80 mm paper at the usual 12 x 24 dot font. Source: domain.md 4.5.
NARROW, WIDE = 32, 48
#: Columns of a line's second half: `09:14:07 WITA`, `TRACE 000345`, `APPR 7K2M9Q`.
_SECOND_HALF = 13
#: Columns of ` 1 x    74.500` behind an item's name.
_ITEM_TAIL = 14


@dataclass(frozen=True, slots=True)
class Paper:
    """Lays out lines of at most `columns` characters."""

    columns: int = NARROW

    @property
    def rule(self) -> str:
        """Give a line across."""
        return "-" * self.columns

    def centred(self, line: str) -> str:
        """Give a line centred as in domain.md 4.5, where odd space goes to the right.

        >>> Paper().centred("KARTU SSN SAMARINDA")
        '      KARTU SSN SAMARINDA'
        """
        line = line[: self.columns]
        return " " * ((self.columns - 1 - len(line)) // 2) + line

    def two(self, left: str, right: str) -> str:
        """Give two halves of a line."""
        return f"{left:<{self.columns - _SECOND_HALF}}{right}"[: self.columns]

    def money(self, label: str, amount_sen: int) -> str:
        """Give a label and an amount in whole rupiah.

        >>> Paper().money("TOTAL", 14_150_000)
        'TOTAL               Rp   141.500'
        """
        amount = f"Rp{rupiah(amount_sen):>10}"
        width = self.columns - len(amount)
        return f"{label[:width]:<{width}}{amount}"

    def item(self, name: str, quantity: int, amount_sen: int) -> str:
        """Give one line of a basket."""
        width = self.columns - _ITEM_TAIL
        return f"{name[:width]:<{width}}{quantity:>2} x{rupiah(amount_sen):>10}"

    def counted(self, label: str, count: int, amount_sen: int) -> str:
        """Give one line of totals: what, how many, how much."""
        return self.money(f"{label:<12} {count:>4}", amount_sen)

    def wrapped(self, sentence: str) -> list[str]:
        """Give a sentence in as many lines as it takes."""
        return textwrap.wrap(sentence, self.columns)
