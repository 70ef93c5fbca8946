"""How much of the outage limits is used: vouchers by the day that the chip signed (R30)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from switch.changes import Change, OutageCounted, OutageReleased
from switch.limits import OUTAGE_DAYS_MAX


@dataclass(slots=True)
class OutageUse:
    """Cleared vouchers of the last days, with sums per card account and per terminal."""

    changes: list[Change]
    vouchers: dict[int, OutageCounted] = field(default_factory=dict)
    by_card: dict[tuple[int, date], int] = field(default_factory=dict)
    by_terminal: dict[tuple[int, date], int] = field(default_factory=dict)

    def load(self, vouchers: Iterable[OutageCounted], today: date) -> None:
        """Take in what the state file holds of the days that still matter."""
        oldest = today - timedelta(days=OUTAGE_DAYS_MAX)
        for voucher in vouchers:
            if voucher.day >= oldest:
                self._add(voucher, voucher.amount_sen)

    def count(self, voucher: OutageCounted) -> None:
        """Use the limits for a voucher; its repeat uses nothing more."""
        if voucher.transfer_id not in self.vouchers:
            self._add(voucher, voucher.amount_sen)
            self.changes.append(voucher)

    def release(self, transfer_id: int) -> None:
        """Give back what a voucher used that the ledger refused."""
        voucher = self.vouchers.pop(transfer_id, None)
        if voucher is not None:
            self._sum(voucher, -voucher.amount_sen)
            self.changes.append(OutageReleased(transfer_id))

    def forget_before(self, today: date) -> None:
        """Drop days on which no voucher can be cleared any more."""
        oldest = today - timedelta(days=OUTAGE_DAYS_MAX)
        for voucher in [one for one in self.vouchers.values() if one.day < oldest]:
            del self.vouchers[voucher.transfer_id]
            self._sum(voucher, -voucher.amount_sen)

    def of_card(self, account_id: int, day: date) -> int:
        """Give the sen of a card's vouchers of one day."""
        return self.by_card.get((account_id, day), 0)

    def of_terminal(self, terminal_number: int, day: date) -> int:
        """Give the sen of a terminal's vouchers of one day."""
        return self.by_terminal.get((terminal_number, day), 0)

    def _add(self, voucher: OutageCounted, amount_sen: int) -> None:
        self.vouchers[voucher.transfer_id] = voucher
        self._sum(voucher, amount_sen)

    def _sum(self, voucher: OutageCounted, amount_sen: int) -> None:
        for sums, key in (
            (self.by_card, (voucher.account_id, voucher.day)),
            (self.by_terminal, (voucher.terminal_number, voucher.day)),
        ):
            total = sums.get(key, 0) + amount_sen
            if total:
                sums[key] = total
            else:
                sums.pop(key, None)
