"""The terminal's host session: what it can ask of the host, and what it only writes down.

A request is journalled, sent and waited for; `terminal.host.conversation` takes the answer. What is
stored and forwarded stands in `terminal.host.lanes`.
"""

from dataclasses import replace

from protocols.emv import tlv
from terminal.host import events as out
from terminal.host.conversation import Conversation
from terminal.host.events import ChipRequest, Instant
from terminal.host.lanes import SEND_STORED, UPLOAD, Task, is_worn_out, next_task
from terminal.host.messages import (
    KEY_CHANGE,
    LOG_OFF,
    LOG_ON,
)
from terminal.host.table import Input, State
from terminal.journal.records import (
    Complaint,
    Completed,
    DeadLettered,
    Kind,
    ReversalCause,
    ReversalSent,
    Sent,
)
from terminal.journal.state import AFTER_UPLOAD
from terminal.journal.transactions import Transaction

#: Chip objects that no journal holds: track 2, card number, name (design decision 19).
_NEVER_KEPT = frozenset({"57", "5A", "5F20"})


class HostSession(Conversation):
    """One terminal's conversation with its host. One exchange at a time."""

    # Requests

    def request_key_change(self, now: Instant) -> None:
        """Ask for new session keys: 0800 with DE70 161, without MAC."""
        self._begin_network(KEY_CHANGE, now)

    def request_log_on(self, now: Instant, merchant_id: str = "", operator: str = "") -> None:
        """Log on under the current keys: 0800 with DE70 001; to another shop when one is named."""
        who = self._messages.profile
        self._messages.sign_on(merchant_id or who.merchant_id, operator or who.operator)
        self._begin_network(LOG_ON, now)

    def request_log_off(self, now: Instant) -> None:
        """Leave the shop: 0800 with DE70 002."""
        self._begin_network(LOG_OFF, now)

    def request_chip(self, kind: Kind, request: ChipRequest, now: Instant) -> None:
        """Ask what a card asks for: journal the intent, send, wait."""
        assert request.amount_sen > 0 or not kind.moves_money, "the flow lets no empty sale through"
        keys = self._session_keys()
        self._enter(Input.REQUEST_MONEY if kind.moves_money else Input.REQUEST_INQUIRY)
        intent = self._messages.chip_intent(kind, request, self._numbers(now))
        self._send_intent(intent, self._messages.chip(intent, request, keys), keys, now)

    def request_purchase(self, request: ChipRequest, now: Instant) -> None:
        """Ask for money."""
        self.request_chip(Kind.PURCHASE, request, now)

    def request_balance(self, request: ChipRequest, now: Instant) -> None:
        """Ask for the balance; moves no money, so nothing is ever owed."""
        self.request_chip(Kind.BALANCE, request, now)

    def request_void(self, original: Transaction, now: Instant) -> None:
        """Ask for a sale of this terminal to be undone on request (R16)."""
        assert original.stands, "the flow voids only what stands"
        keys = self._session_keys()
        self._enter(Input.REQUEST_MONEY)
        intent = self._messages.void_intent(original, self._numbers(now))
        self._send_intent(intent, self._messages.void(intent, original, keys), keys, now)

    def request_refund(self, original: Transaction, request: ChipRequest, now: Instant) -> None:
        """Ask for a part of a sale, or all of it, to go back to the card that is here (R16)."""
        assert original.stands, "the flow refunds only what stands"
        keys = self._session_keys()
        self._enter(Input.REQUEST_MONEY)
        numbers = self._numbers(now)._replace(rrn=original.intent.rrn)
        intent = self._messages.chip_intent(Kind.REFUND, request, numbers)
        intent = replace(intent, original_stan=original.intent.stan)
        message = self._messages.refund(intent, original, request, keys)
        self._send_intent(intent, message, keys, now)

    # What is only written down

    def keep_voucher(self, request: ChipRequest, voucher: str, now: Instant) -> int:
        """Keep an outage sale that the card has signed; give its STAN. Nothing is sent yet."""
        assert self._state is State.IDLE, "the flow keeps a voucher only after a failed connection"
        intent = self._messages.chip_intent(Kind.VOUCHER, request, self._numbers(now))
        chip = tlv.build(
            {tag: value for tag, value in request.de55.items() if tag not in _NEVER_KEPT}
        )
        self._persist(replace(intent, voucher=voucher, chip=chip, pin_entered=False))
        return intent.stan

    def reduce(self, transaction: Transaction, actual_sen: int, now: Instant) -> None:
        """Owe back all but `actual_sen` of a sale that stands: `request_reversal` sends DE95."""
        assert transaction.stands, "only what stands is reduced"
        assert 0 < actual_sen < transaction.amount_sen, "a part stands, a part goes back"
        self._owe(transaction, ReversalCause.PART_ONLY, now, actual_sen=actual_sen)

    def note_complaint(self, complaint: Complaint) -> None:
        """Keep a complaint taken at the counter (R36)."""
        self._persist(complaint)

    # Stored messages

    def begin_settlement(self, now: Instant) -> int:
        """Close the open batch: its totals are stored for the bank, sales go to the next one."""
        batch = self.journal.batch
        totals = self.journal.totals(batch)
        intent = self._messages.intent(Kind.SETTLEMENT, self._numbers(now), totals=(totals,))
        self._persist(intent)
        return intent.stan

    def request_delivery(self, now: Instant, skip: frozenset[int] = frozenset()) -> int:
        """Send the next stored message that is not in `skip`; give its STAN, 0 without one.

        One that was sent too often goes to the dead letters instead (switch.md 4.4).
        """
        while (task := next_task(self.journal, skip)) is not None:
            stan = task.stan if task.what is SEND_STORED else self._store(task, now)
            if stan in skip:
                return 0
            if not is_worn_out(self.journal.transactions[stan]):
                return self._deliver(stan, now)
            self._persist(DeadLettered(stan=stan, dead_ns=now.utc_ns))
        return 0

    def _store(self, task: Task, now: Instant) -> int:
        """Store what a mismatch asks for: the upload of one transaction, or the last 0500."""
        numbers = self._numbers(now)._replace(batch=task.batch)
        if task.what is UPLOAD:
            original = self.journal.transactions[task.stan].intent
            numbers = numbers._replace(rrn=original.rrn)
            intent = self._messages.intent(
                Kind.UPLOAD,
                numbers,
                processing_code=original.processing_code,
                original_stan=original.stan,
                sequence=task.sequence,
            )
        else:
            intent = self._messages.intent(
                Kind.SETTLEMENT,
                numbers,
                processing_code=AFTER_UPLOAD,
                totals=(self.journal.totals(task.batch),),
            )
        self._persist(intent)
        return intent.stan

    def _deliver(self, stan: int, now: Instant) -> int:
        keys = self._session_keys()
        self._enter(Input.REQUEST_DELIVERY)
        self._stan = stan
        before = self._current()
        number = before.transmissions + 1
        fresh = number == 1 and before.intent.kind is Kind.VOUCHER
        batch = self.journal.batch if fresh else before.intent.batch
        self._persist(Sent(stan=stan, transmission=number, batch=batch, sent_ns=now.utc_ns))
        transaction = self._current()
        original = self.journal.transactions.get(transaction.intent.original_stan)
        self._transmit(self._messages.stored(transaction, original, keys), keys, now)
        return stan

    # Reversals

    def request_reversal(self, now: Instant) -> bool:
        """Send the oldest owed reversal, as 0400 first and 0401 ever after; False without one.

        It is MACed under the keys of this moment, whatever the original was sent under.
        """
        owed = self.journal.owed()
        if not owed:
            return False
        keys = self._session_keys()
        self._enter(Input.REQUEST_REVERSAL)
        transaction = owed[0]
        self._stan = transaction.intent.stan
        number = transaction.transmissions + 1
        sent = ReversalSent(stan=self._stan, transmission=number, sent_ns=now.utc_ns)
        self._persist(sent)
        message = self._messages.reversal(transaction, number > 1, keys)
        self._transmit(message, keys, now)
        return True

    # The chip's decision

    def card_confirmed(self, now: Instant) -> None:
        """Take the chip's TC: the sale stands."""
        self._enter(Input.CARD_CONFIRMED)
        self._persist(Completed(stan=self._stan, completed_ns=now.utc_ns))
        self._emit(out.Completed(self._current()))

    def card_declined(self, now: Instant) -> None:
        """Take the chip's AAC, or its silence, after an approval: the sale is owed back."""
        self._enter(Input.CARD_DECLINED)
        self._owe(self._current(), ReversalCause.CARD_DECLINED, now)
