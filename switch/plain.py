"""The plain sale: the purchase that every stage lets pass, decided in one native step.

The stages stay the law. What they need to look at, to refuse or to change beside a sale is not
plain: `begin` gives None, nothing has changed, and the message takes the way through the stages.
Where the core was not built every message does. Both ways give the same answers and records.
"""

import importlib
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from ledger.statuses import CreateTransferStatus
from ledger.structures import Transfer
from programme.chart import SaleData
from programme.registry_port import CardStatus
from protocols.business_time import business_day_number, wita_date
from protocols.crypto import engine
from protocols.iso8583 import PureCodec, check_shape
from protocols.values import SecretBytes
from switch.batches import batch_lock
from switch.changes import BatchTotals
from switch.decision import LedgerStep, StepResult
from switch.flows.sale import settle_sale
from switch.limits import MONTHS_MAX
from switch.pipeline.city_rules import SALES_IN_A_ROW, hours_refusal
from switch.pipeline.context import Context, Desk
from switch.pipeline.window import sent_at_ns
from switch.reception import Accepted
from switch.request import Request
from switch.rules import Food, RuleBook
from switch.session import Arrival
from switch.turn import Active

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


class PlainSales:
    """The plain sales of one node. Nothing is plain where the core was not built."""

    def __init__(self, desk: Desk, codecs: Mapping[str, PureCodec]) -> None:
        """Take the node's desk and the codec of each link."""
        self._desk = desk
        self._core = _core_of(desk, codecs)
        self._terms_of: tuple[RuleBook, date] | None = None
        self._is_open = False
        self._today = date.min

    def begin_turn(self) -> None:
        """Take the turn's time and the rules in force."""
        desk, core = self._desk, self._core
        if core is None:
            return
        rules, day = desk.rules, desk.memory.business_date
        known = self._terms_of
        if known is None or known[0] is not rules or known[1] != day:
            self._terms_of = rules, day
            core.use_terms(terms_of(rules, day))
        self._today = wita_date(desk.now_ns)
        # A timed turn goes through the stages, whose times are asked for.
        self._is_open = desk.watch is None and hours_refusal(rules, desk.now_ns) is None

    def begin(self, arrival: Arrival, accepted: Accepted) -> "PlainSale | None":
        """Give the sale when it is plain, and have memory take note of it as the stages would."""
        if not self._is_open:
            return None
        desk = self._desk
        assert self._core is not None, "nothing is open without it"
        return self._core.begin(arrival, accepted, desk.entries, desk.now_ns, self._today)

    def finish(self, sale: "PlainSale", result: StepResult) -> bytes | None:
        """Give the answer of a sale that was posted whole; None when the flow must look."""
        assert self._core is not None, "it gave the sale"
        return self._core.finish(sale, result)

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


def _core_of(desk: Desk, codecs: Mapping[str, PureCodec]) -> "_core.PlainSales | None":
    answerers = {
        link: codec.answerer for link, codec in codecs.items() if codec.answerer is not None
    }
    if _native is None or not engine.is_native() or not answerers:
        return None
    memory, registry = desk.memory, desk.registry
    tables = {
        "in_flight": desk.in_flight,
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
    verification, decimalisation = desk.pin_verifier.kept
    parts = {
        "card_by_pan": registry.card_by_pan,
        "merchant": registry.merchant,
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
    ending = {
        "created": CreateTransferStatus.CREATED,
        "answer": answerers,
        "arpc": engine.current.engine.arpc_method1,
        "day_index": memory.day_index,
        "day_ids": memory.day_index.ids,
        "months_max": MONTHS_MAX,
    }
    classes = Request, Transfer, LedgerStep
    made: _core.PlainSales = _native.PlainSales(tables, parts, ending, *classes)
    return made


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
