"""What the switch remembers between messages: visible at once, whether durable yet or not.

Decision 10: PIN tries and ATC marks are never taken back, velocity is when a sale is refused.
Changes that the state file must keep are noted in order in `changes`.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from ledger.port import Entry
from ledger.statuses import CreateTransferStatus
from programme.chart import SaleData, TransferCode
from programme.registry_port import CardView
from switch.batches import Batch, Batches
from switch.card_stacks import CardStacks
from switch.changes import (
    AtcMarksKept,
    BusinessDateMoved,
    Change,
    LoggedOff,
    LoggedOn,
    PinChanged,
    PinTriesCleared,
    PinTryCharged,
    StateSnapshot,
)
from switch.corrections import FindEntry, find_corrections, reversed_sen, undone_sen
from switch.decision import Decision
from switch.limits import LOG_ON_NUMBER_MAX, REMEMBERED_ANSWERS_MAX
from switch.marks import AtcMarks
from switch.outage import OutageUse

#: An ATC belongs to a chip, and a replacement card has another chip on the same account. Eight
#: bits of the card's number tell them apart in the ledger's record.
CARD_TAG_MASK = 0xFF


@dataclass(slots=True)
class PinTries:
    """Wrong PINs by card: the messages that cost a try, oldest first."""

    charged: dict[int, tuple[int, ...]]
    changes: list[Change]

    def count(self, card_number: int) -> int:
        """Give how many tries are used."""
        return len(self.charged.get(card_number, ()))

    def charge(self, card_number: int, transfer_id: int) -> int:
        """Charge one try to this message, which has cost none yet; give its ordinal."""
        used = self.charged.get(card_number, ())
        assert transfer_id not in used, "the PIN stage looks before it charges"
        self.charged[card_number] = (*used, transfer_id)
        self.changes.append(PinTryCharged(card_number, transfer_id, len(used) + 1))
        return len(used) + 1

    def clear(self, card_number: int, actor: str = "") -> None:
        """Give the tries back; nothing is noted when none was used."""
        if self.charged.pop(card_number, None) is not None:
            self.changes.append(PinTriesCleared(card_number, actor))


@dataclass(slots=True)
class Velocity:
    """What each card spent and each shop sold on the running business date: sen, sales.

    `sales` holds what still stands of each of today's sales, so that undoing an older one does not
    count for today. Account ids of cards and shops are never the same: one table holds both.
    """

    day: date
    spent: dict[int, tuple[int, int]] = field(default_factory=dict)
    sales: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    def of(self, account_id: int) -> tuple[int, int]:
        """Give (sen, sales) of today of a card's or a shop's account."""
        return self.spent.get(account_id, (0, 0))

    def sell(
        self, transfer_id: int, account_id: int, shop_id: int, amount_sen: int, day: date
    ) -> None:
        """Count a sale of today."""
        if day != self.day or transfer_id in self.sales:
            return
        self.sales[transfer_id] = (account_id, shop_id, amount_sen)
        spent = self.spent
        amount, number = spent.get(account_id, (0, 0))
        spent[account_id] = (amount + amount_sen, number + 1)
        amount, number = spent.get(shop_id, (0, 0))
        spent[shop_id] = (amount + amount_sen, number + 1)

    def undo(self, transfer_id: int, amount_sen: int) -> None:
        """Take back a part of a sale of today; a sale undone whole does not count as one."""
        if transfer_id not in self.sales:
            return
        account_id, shop_id, left = self.sales.pop(transfer_id)
        taken = min(left, amount_sen)
        if taken < left:
            self.sales[transfer_id] = (account_id, shop_id, left - taken)
        for one in (account_id, shop_id):
            amount, number = self.of(one)
            self.spent[one] = (amount - taken, number - (taken == left))

    def move_to(self, day: date) -> None:
        """Begin a new day with nothing spent."""
        self.day = day
        self.spent.clear()
        self.sales.clear()


@dataclass(slots=True)
class DayIndex:
    """Today's postings by terminal and STAN: how a void finds a sale that its slip names."""

    day: date
    ids: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)

    def note(self, terminal_number: int, sale: SaleData, transfer_id: int, code: int) -> None:
        """Keep the id and code of a posting of today."""
        if sale.business_date == self.day:
            self.ids[terminal_number, sale.stan] = (transfer_id, code)

    def find(self, terminal_number: int, stan: int) -> tuple[int, int] | None:
        """Give (transfer id, transfer code) of what this terminal posted today under this STAN."""
        return self.ids.get((terminal_number, stan))

    def move_to(self, day: date) -> None:
        """Begin a new day."""
        self.day = day
        self.ids.clear()


@dataclass(slots=True)
class Answers:
    """Answers that left no record, so that a repeat hears the same one. Bounded, oldest out."""

    known: OrderedDict[int, tuple[int, Decision]] = field(default_factory=OrderedDict)

    def keep(self, transfer_id: int, fingerprint: int, decision: Decision) -> None:
        """Remember the answer to this message."""
        self.known[transfer_id] = (fingerprint, decision)
        if len(self.known) > REMEMBERED_ANSWERS_MAX:
            self.known.popitem(last=False)

    def find(self, transfer_id: int) -> tuple[int, Decision] | None:
        """Give (fingerprint, answer) when this message was answered before."""
        return self.known.get(transfer_id)


class Memory:
    """All of it, begun from the state file and the ledger."""

    def __init__(self, snapshot: StateSnapshot, business_date: date) -> None:
        """Take the snapshot; the ledger's entries behind `replay_after` follow by `replay`."""
        self.changes: list[Change] = []
        known = snapshot.business_date
        if known is None:
            known = BusinessDateMoved(business_date, 0)
            self.changes.append(known)
        self.business_date = known.day
        self.replay_after = min(known.sequence, snapshot.marks_sequence)
        self.pin_tries = PinTries(dict(snapshot.pin_tries), self.changes)
        self.pins = dict(snapshot.pins)
        self.atc_marks = AtcMarks(dict(snapshot.atc_marks))
        self.velocity = Velocity(self.business_date)
        self.day_index = DayIndex(self.business_date)
        self.answers = Answers()
        self.batches = Batches.load(
            snapshot.batches, snapshot.closed_batches, snapshot.last_batch_id, self.changes
        )
        self.outage = OutageUse(self.changes)
        self.outage.load(snapshot.outage_sales, self.business_date)
        self.stacks = CardStacks()
        self.log_ons = dict(snapshot.log_ons)
        self._last_log_on = max((known.number for known in self.log_ons.values()), default=0)

    def replay(self, entries: Iterable[Entry], find: FindEntry) -> None:
        """Rebuild ATC marks, velocity, the day's index and batch totals from the ledger."""
        for entry in entries:
            self.note(entry)
            if entry.status == CreateTransferStatus.CREATED:
                self._replay_batch(entry, find)

    def note(self, entry: Entry) -> None:
        """Take one ledger entry into account."""
        transfer = entry.transfer
        if transfer.code in SALES:
            sale = SaleData.unpack(transfer.user_data_64)
            self.atc_marks.take(transfer.debit_account_id, sale.card_tag, sale.atc)
            if entry.status == CreateTransferStatus.CREATED:
                self.day_index.note(transfer.user_data_32, sale, transfer.id, transfer.code)
                account, shop = transfer.debit_account_id, transfer.credit_account_id
                day = sale.business_date
                self.velocity.sell(transfer.id, account, shop, transfer.amount, day)
        elif transfer.code == TransferCode.RESTORATION:
            day = SaleData.unpack(transfer.user_data_64).business_date
            if entry.status == CreateTransferStatus.CREATED:
                sale_id, account = transfer.user_data_128, transfer.debit_account_id
                shop = transfer.credit_account_id
                self.velocity.sell(sale_id, account, shop, transfer.amount, day)
        elif transfer.code in _COMPENSATIONS and entry.status == CreateTransferStatus.CREATED:
            sale = SaleData.unpack(transfer.user_data_64)
            self.day_index.note(transfer.user_data_32, sale, transfer.id, transfer.code)
            self.velocity.undo(transfer.user_data_128, transfer.amount)

    def count_sale(self, entry: Entry) -> None:
        """Count a posted sale or voucher in its batch; one that recovered nothing is none."""
        transfer = entry.transfer
        if transfer.amount:
            sale = SaleData.unpack(transfer.user_data_64)
            number = transfer.user_data_32
            self.batches.count_sale(number, sale, entry.sequence, transfer.amount)

    def count_correction(self, entry: Entry, original: Entry, before: Iterable[Entry]) -> None:
        """Count what undid an original; `before` holds the corrections made before it."""
        code, amount = entry.transfer.code, entry.transfer.amount
        if code == TransferCode.REVERSAL:
            taken = list(before)
            is_whole = undone_sen(taken) + amount == original.transfer.amount
            if is_whole:
                # Whatever an office gave back of it before: the batch has no such sale any more.
                amount = original.transfer.amount - reversed_sen(taken)
            batch = self.batch_of(original)
            self.batches.count(batch, entry.sequence, sales=-is_whole, sales_sen=-amount)
        elif code == TransferCode.VOID:
            self.batches.count(self.batch_of(entry), entry.sequence, voids=1, voids_sen=amount)
        elif code == TransferCode.REFUND:
            self.batches.count(self.batch_of(entry), entry.sequence, refunds=1, refunds_sen=amount)

    def count_restoration(self, entry: Entry, undone: Entry) -> None:
        """Take a void or refund that was itself undone out of its batch."""
        amount = entry.transfer.amount
        batch = self.batch_of(undone)
        if undone.transfer.code == TransferCode.VOID:
            self.batches.count(batch, entry.sequence, voids=-1, voids_sen=-amount)
        else:
            self.batches.count(batch, entry.sequence, refunds=-1, refunds_sen=-amount)

    def batch_of(self, entry: Entry) -> Batch | None:
        """Give the open batch in which an entry stands, None when it was settled since."""
        transfer = entry.transfer
        sale = SaleData.unpack(transfer.user_data_64)
        return self.batches.of(transfer.user_data_32, sale, entry.sequence)

    def _replay_batch(self, entry: Entry, find: FindEntry) -> None:
        transfer = entry.transfer
        if transfer.code in SALES:
            self.count_sale(entry)
        elif transfer.code in _COMPENSATIONS or transfer.code == TransferCode.RESTORATION:
            original = find(transfer.user_data_128)
            assert original is not None, "a correction stands behind its original"
            before = [
                one
                for one in find_corrections(find, original.transfer.id)
                if one.sequence < entry.sequence
            ]
            if transfer.code != TransferCode.RESTORATION:
                self.count_correction(entry, original, before)
                return
            undone = [one for one in before if _same_maker(one, entry)]
            assert undone, "a restoration stands behind what it undoes"
            self.count_restoration(entry, undone[0])

    def pin_offset(self, card: CardView) -> str:
        """Give the reference that a card's PIN is verified against.

        A change over the line counts until the registry has another offset than it had then: the
        office gave a new PIN since.
        """
        changed = self.pins.get(card.card_number)
        if changed is None or changed.base != card.pin_offset:
            return card.pin_offset
        return changed.offset

    def change_pin(self, card: CardView, offset: str, transfer_id: int) -> None:
        """Let a new PIN count from now on."""
        changed = PinChanged(card.card_number, offset, card.pin_offset, transfer_id)
        self.pins[card.card_number] = changed
        self.changes.append(changed)

    def keep_marks(self, sequence: int) -> None:
        """Have the counters kept as of a durable record, so that a start need not go behind it."""
        marks = self.atc_marks
        kept = tuple((*key, marks.marks[key]) for key in sorted(marks.changed))
        marks.changed.clear()
        self.changes.append(AtcMarksKept(sequence, kept))
        self.batches.keep()

    def move_business_date(self, day: date, sequence: int) -> None:
        """Move to a later day, whose records stand behind `sequence`."""
        assert day > self.business_date
        self.business_date = day
        self.velocity.move_to(day)
        self.day_index.move_to(day)
        self.outage.forget_before(day)
        self.changes.append(BusinessDateMoved(day, sequence))
        self.keep_marks(sequence)

    def log_on(self, terminal_id: str, merchant_id: str, operator: str) -> int:
        """Let the terminal serve this shop; give the log-on number, which a repeat keeps."""
        known = self.log_ons.get(terminal_id)
        if known and (known.merchant_id, known.operator) == (merchant_id, operator):
            return known.number
        self._last_log_on = self._last_log_on % LOG_ON_NUMBER_MAX + 1
        event = LoggedOn(terminal_id, merchant_id, operator, self._last_log_on)
        self.log_ons[terminal_id] = event
        self.changes.append(event)
        return event.number

    def log_off(self, terminal_id: str) -> None:
        """Let the terminal serve no shop."""
        if self.log_ons.pop(terminal_id, None) is not None:
            self.changes.append(LoggedOff(terminal_id))


def _same_maker(one: Entry, restoration: Entry) -> bool:
    """Tell whether a correction is the one that a restoration undoes: it copied its makers."""
    made, undoes = one.transfer, restoration.transfer
    return (
        one.status == CreateTransferStatus.CREATED
        and made.code != TransferCode.RESTORATION
        and (made.user_data_64, made.user_data_32) == (undoes.user_data_64, undoes.user_data_32)
    )


#: What a card pays with: an online sale, or a voucher that is cleared.
SALES = frozenset({TransferCode.PURCHASE, TransferCode.OUTAGE_SALE})
_COMPENSATIONS = frozenset({TransferCode.REVERSAL, TransferCode.VOID, TransferCode.REFUND})
