"""The plain sale: the purchase that every stage lets pass, decided in one native step.

The stages stay the law. What they need to look at, to refuse or to change beside a sale is not
plain: it changes nothing here, and the message takes its way through the stages.
Where the core was not built every message does. Both ways give the same answers and records.
"""

import importlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sized
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer
from programme.chart import SaleData
from programme.registry_port import CardStatus
from protocols.business_time import business_day_number, wita_date
from protocols.crypto import engine
from protocols.iso8583 import check_shape
from protocols.iso8583.facts import native_facts
from protocols.values import SecretBytes
from switch.batches import batch_lock
from switch.buckets import TokenBuckets
from switch.changes import BatchTotals
from switch.decision import LedgerStep, StepResult
from switch.flows.sale import settle_sale
from switch.limits import MONTHS_MAX
from switch.memory import Memory
from switch.pipeline.city_rules import SALES_IN_A_ROW, hours_refusal
from switch.pipeline.context import Context, Desk
from switch.pipeline.window import sent_at_ns
from switch.reception import Accepted, Door, Received
from switch.request import Request
from switch.rules import Food, RuleBook
from switch.session import Arrival, Departure
from switch.strangers import Strangers
from switch.turn import Active
from switch.under_way import UnderWay

if TYPE_CHECKING:
    from switch import _core
    from switch._core import PlainSale

_SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * _SECOND_NS
_PURCHASE = "00"


def _load() -> Any:
    try:
        return importlib.import_module("switch._core")
    except ImportError:
        return None


_native = _load()
#: Whether the core was built here.
IS_NATIVE = _native is not None


class Ways(NamedTuple):
    """The functions of the core that take what is not plain, in its place in the order."""

    let_in: Callable[[Arrival], tuple[Received, bool]]
    receive_one: Callable[[Arrival, Received, bool], None]
    start: Callable[[Arrival, Accepted, int], None]
    advance: Callable[[Active, StepResult | None], None]
    wake: Callable[[int], None]
    is_closed: Callable[[], bool]


class PlainSales:
    """The plain sales of one node. Nothing is plain where the core was not built."""

    def __init__(
        self,
        desk: Desk,
        doors: Mapping[str, Door],
        strangers: Strangers,
        buckets: TokenBuckets,
        under_way: UnderWay,
        counters: Counter[str],
        ways: Ways,
    ) -> None:
        """Take the node's desk and doors, and what it counts requests by."""
        self._desk = desk
        self._ways = ways
        self._native = _native_of(desk, doors, strangers, buckets, under_way, counters)
        self._calls = {
            **ways._asdict(),
            "let_in": self._let_in,
            "look_up": desk.look_up,
            "finish": self._finish,
        }
        self._terms_of: tuple[RuleBook, date] | None = None

    def receive(
        self, arrivals: list[Arrival], queue: "deque[tuple[Active | PlainSale, LedgerStep]]"
    ) -> bool:
        """Take a turn's messages in order; False, and none is taken, when the stages must.

        Plain sales join the queue, and memory takes note of them as the stages would have it.
        """
        desk, native = self._desk, self._native
        # A timed turn goes through the stages, whose times are asked for.
        if native is None or desk.watch is not None:
            return False
        rules, day, now_ns = desk.rules, desk.memory.business_date, desk.now_ns
        if hours_refusal(rules, now_ns) is not None:
            return False
        known = self._terms_of
        if known is None or known[0] is not rules or known[1] != day:
            self._terms_of = rules, day
            native.use_terms(terms_of(rules, day))
        native.receive(self._calls, arrivals, now_ns, wita_date(now_ns), queue)
        return True

    def complete(
        self,
        stepping: "list[Active | PlainSale]",
        results: list[StepResult],
        departures: list[Departure],
        parked: Sized,
    ) -> None:
        """Take the results of a turn's steps in order; answers join the departures."""
        assert len(stepping) == len(results), "each step has its result"
        if self._native is not None:
            self._native.complete(self._calls, stepping, results, departures, parked)
            return
        for one, result in zip(stepping, results, strict=True):
            assert isinstance(one, Active), "nothing is plain without the core"
            self._ways.advance(one, result)

    def _let_in(self, arrival: Arrival) -> tuple[Received, bool, Request | None]:
        received, did_change = self._ways.let_in(arrival)
        request = received.request if isinstance(received, Accepted) else None
        return received, did_change, request

    def _finish(self, sale: "PlainSale", result: StepResult) -> None:
        self._ways.advance(self.resume(sale, result), None)

    def resume(self, sale: "PlainSale", result: StepResult) -> Active:
        """Give the request as the stages would have left it, with the rest of its flow."""
        active = self._active(sale)
        data = SaleData.unpack(sale.transfer.user_data_64)
        active.flow = settle_sale(active.context, data, sale.transfer, result)
        return active

    def abandon(self, sale: "PlainSale") -> Active:
        """Give the request of a sale that was certainly not posted; its velocity is given back."""
        self._desk.memory.velocity.undo(sale.transfer.id, sale.transfer.amount)
        return self._active(sale)

    def _active(self, sale: "PlainSale") -> Active:
        desk, transfer, accepted = self._desk, sale.transfer, sale.accepted
        context = Context(
            accepted.request,
            accepted.terminal,
            accepted.keys,
            desk,
            transfer_id=transfer.id,
            lock_ids=(transfer.id,),
            fingerprint=transfer.user_data_128,
            use=sale.usage,
            merchant=sale.merchant,
            card=sale.card,
            purse=transfer.ledger,
            payable_account_id=transfer.credit_account_id,
            cryptogram_key=sale.cryptogram_key,
        )
        changes = len(desk.memory.changes)
        return Active(sale.arrival, accepted, context, changes, locked=context.lock_ids)


def _native_of(
    desk: Desk,
    doors: Mapping[str, Door],
    strangers: Strangers,
    buckets: TokenBuckets,
    under_way: UnderWay,
    counters: Counter[str],
) -> "_core.PlainSales | None":
    answerers = {link: door.codec.answerer for link, door in doors.items()}
    facts = native_facts(Request)
    if _native is None or not engine.is_native() or facts is None or None in answerers.values():
        return None
    gate = {
        "receive": {link: door.codec.receiver for link, door in doors.items()},
        "specs": {link: door.reception.link for link, door in doors.items()},
        "facts": facts,
        "terminal": desk.registry.terminal,
        "mac_keys": desk.key_sets.mac_keys,
        "valid_sets": desk.key_sets.valid_sets,
        "active_sets": desk.key_sets.active,
        "accepted": Accepted,
        "departure": Departure,
        "proved": strangers.proved,
        "take_token": buckets.take,
        "under_way": under_way,
        "by_connection": under_way.by_connection,
        "changes": desk.memory.changes,
        "counters": counters,
    }
    ending = {
        "created": CreateTransferStatus.CREATED,
        "answer": answerers,
        "arpc": engine.current.engine.arpc_method1,
        "day_index": desk.memory.day_index,
        "day_ids": desk.memory.day_index.ids,
        "months_max": MONTHS_MAX,
    }
    parts = _tables(desk.memory, desk.in_flight), _parts(desk), ending, gate
    made: _core.PlainSales = _native.PlainSales(*parts, Request, Transfer, LedgerStep)
    return made


def _tables(memory: Memory, in_flight: set[int]) -> dict[str, Any]:
    """Give the tables of memory that the core reads and changes: the very same, never copies."""
    return {
        "in_flight": in_flight,
        "log_ons": memory.log_ons,
        "marks": memory.atc_marks.marks,
        "changed_marks": memory.atc_marks.changed,
        "charged": memory.pin_tries.charged,
        "pins": memory.pins,
        "pin_offset": memory.pin_offset,
        "answers": memory.answers.known,
        "spent": memory.velocity.spent,
        "sales": memory.velocity.sales,
        "batches": memory.batches.open,
        "quiet_until_ns": memory.stacks.quiet_until_ns,
        "recent_cards": memory.stacks.recent,
        "note_card": memory.stacks.note,
        "stack_pattern": SALES_IN_A_ROW,
        "batch_lock": batch_lock,
        "totals": BatchTotals,
    }


def _parts(desk: Desk) -> dict[str, Any]:
    """Give what the core asks of registry, ledger, codec and cryptography."""
    verification, decimalisation = desk.pin_verifier.kept
    return {
        "card_by_pan": desk.registry.card_by_pan,
        "merchant": desk.registry.merchant,
        "entry": desk.entry,
        "sent_at_ns": sent_at_ns,
        "check_shape": check_shape,
        "check_tags": desk.chip_keys.check_tags,
        "check_pin": engine.current.engine.check_pin_0,
        "pin_verification": verification,
        "decimalisation": decimalisation,
        "active": CardStatus.ACTIVE,
        "secret": SecretBytes,
    }


def terms_of(rules: RuleBook, day: date) -> dict[str, Any] | None:
    """Give what the rules of a business date say of a plain sale; None when none is plain."""
    book = rules.rules
    is_partial = book.partial_approval.enabled
    if (
        rules.missing_on(day) is not None
        or is_partial
        or _PURCHASE in book.no_cash_out.processing_codes
    ):
        return None
    amount, basket, stack = book.amount, book.basket, book.card_stack
    listed = None
    if basket.enabled and basket.required:
        listed = []
    elif basket.enabled and basket.basket_categories:
        listed = sorted(basket.basket_categories)
    food = {
        code: category.food is Food.YES
        for code, category in rules.categories.items()
        if category.food is not Food.NO
    }
    return {
        "entry_modes": sorted(book.chip.entry_modes),
        "window_ns": book.message_window.minutes * _MINUTE_NS,
        "purses": dict(book.food_only.purse_by_account_type),
        "food": food,
        "currency": amount.currency,
        "sale_max_sen": min(amount.sale_cap_sen, amount.sale_limit_sen),
        "card_day_limit_sen": amount.card_day_limit_sen,
        "card_day_sales_limit": amount.card_day_sales_limit,
        "shop_day_limit_sen": amount.shop_day_limit_sen,
        "shop_day_sales_limit": amount.shop_day_sales_limit,
        "basket_categories": listed,
        "stack": (stack.cards, stack.seconds * _SECOND_NS) if stack.enabled else None,
        "pin_digits": book.pin.digits,
        "account_types": {
            purse: code for code, purse in reversed(book.food_only.purse_by_account_type.items())
        },
        "day": day,
        "day_bits": business_day_number(day),
    }
