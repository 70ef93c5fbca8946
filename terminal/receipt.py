"""Receipts: a slip's facts -> text of 32 columns (58 mm paper), as domain.md 4.5 lays down.

Two slips leave the printer, one for the shop and one for the cardholder. A failed sale prints too,
and says `GAGAL - SALDO TIDAK TERPOTONG` only when that is certain: while a reversal has no answer
yet the slip says that the sale is being undone. Last four digits only, never a name.
"""

import textwrap
from dataclasses import dataclass
from enum import Enum, StrEnum

from protocols.business_time import wita
from protocols.catalogue import reason_sentence, text
from protocols.values import rupiah
from terminal.journal.records import Kind, LastPurchase, MonthLeft, SaleItem
from terminal.limits import ITEM_NAME_MAX
from terminal.wording import NO_ANSWER, word

#: 58 mm paper at the usual 12 x 24 dot font.
COLUMNS = 32
#: Where the second column of a line begins.
_SECOND_COLUMN = 19
_RULE = "-" * COLUMNS
_MONTHS_INDENT = 11


class Copy(StrEnum):
    """Whose slip it is; the value is the catalogue key of its last line."""

    MERCHANT = "receipt.copy_merchant"
    CUSTOMER = "receipt.copy_customer"


class SlipStatus(Enum):
    """What the slip may promise about the money."""

    APPROVED = "approved"
    FAILED = "failed, no money was taken"
    PENDING = "no answer yet, a reversal is owed"
    DISPUTED = "the host does not take the reversal"


@dataclass(frozen=True, slots=True)
class Shop:
    """What stands in the head of every slip and its complaint line."""

    name: str
    place: str
    terminal_id: str
    merchant_id: str
    help_line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """The facts of one slip. `stan` 0 means that nothing was sent; no card number but its end."""

    shop: Shop
    kind: Kind
    status: SlipStatus
    printed_ns: int
    response_code: str
    amount_sen: int
    batch: int = 0
    stan: int = 0
    rrn: str = ""
    approval_code: str = ""
    last_four: str = ""
    entry: str = ""
    items: tuple[SaleItem, ...] = ()
    balance_sen: int | None = None
    months: tuple[MonthLeft, ...] = ()
    planned_on: str = ""
    last_purchases: tuple[LastPurchase, ...] = ()
    reason: str = ""
    slip_code: str = ""
    pin_verified: bool = False
    original_stan: int = 0


def render(slip: Slip, copy: Copy, *, reprint: bool = False, lang: str = "id") -> str:
    """Give the slip's text: lines of at most 32 columns, each ended by a line feed."""
    blocks = [
        _head(slip, reprint, lang),
        _body(slip, lang),
        _foot(slip, copy, lang),
    ]
    lines = [line.rstrip() for block in blocks for line in block]
    assert all(len(line) <= COLUMNS for line in lines), "a receipt line is wider than the paper"
    return "".join(f"{line}\n" for line in lines)


def _head(slip: Slip, reprint: bool, lang: str) -> list[str]:
    shop, now = slip.shop, wita(slip.printed_ns)
    lines = [
        _centred(text("receipt.title", lang)),
        _centred(shop.name.upper()),
        _centred(shop.place.upper()),
    ]
    if reprint:
        lines.append(_centred(text("receipt.reprint", lang)))
    lines.append(f"TID {shop.terminal_id} MID {shop.merchant_id}"[:COLUMNS])
    lines.append(_two(f"{now:%d/%m/%Y}", f"{now:%H:%M:%S} WITA"))
    if slip.stan:
        batch, trace = text("receipt.batch", lang), text("receipt.trace", lang)
        lines.append(_two(f"{batch} {slip.batch:06d}", f"{trace} {slip.stan:06d}"))
        approval = f"{text('receipt.approval', lang)} {slip.approval_code}"
        reference = f"{text('receipt.reference', lang)} {slip.rrn}"
        lines.append(_two(reference, approval if slip.approval_code else ""))
    if slip.last_four:
        card = f"{text('receipt.card', lang)} **** **** **** {slip.last_four}"
        lines.append(f"{card} ({slip.entry})" if slip.entry else card)
    lines.append(_RULE)
    return lines


def _body(slip: Slip, lang: str) -> list[str]:
    lines = [text(f"transaction.{slip.kind.value}", lang)]
    if slip.original_stan:
        lines.append(f"{text('receipt.original', lang)} {slip.original_stan:06d}")
    if slip.status is SlipStatus.APPROVED:
        if slip.kind is Kind.PURCHASE:
            lines += [*_items(slip, lang), _RULE]
        if slip.kind is not Kind.BALANCE:
            lines.append(_money(text("receipt.total", lang), slip.amount_sen))
        return [*lines, *_balance(slip, lang), _RULE]
    if slip.amount_sen and slip.kind is not Kind.BALANCE:
        lines.append(_money(text("receipt.total", lang), slip.amount_sen))
    return [*lines, *_failure(slip, lang), *_balance(slip, lang), _RULE]


def _items(slip: Slip, lang: str) -> list[str]:
    items = slip.items or (
        SaleItem(
            code="",
            name=text("flow.basket.fast_item", lang),
            quantity=1,
            price_sen=slip.amount_sen,
        ),
    )
    return [
        f"{item.name[:ITEM_NAME_MAX]:<{ITEM_NAME_MAX}}{item.quantity:>2} x"
        f"{rupiah(item.price_sen):>10}"
        for item in items
    ]


def _balance(slip: Slip, lang: str) -> list[str]:
    if slip.balance_sen is None:
        return []
    lines = [_money(text("receipt.remaining", lang), slip.balance_sen)]
    label = f" {text('receipt.including', lang)}"
    width = max((len(rupiah(month.amount_sen)) for month in slip.months), default=0)
    for month in slip.months:
        name = text(f"month.{month.period[5:7]}", lang)
        lines.append(f"{label:<{_MONTHS_INDENT}}{name} {rupiah(month.amount_sen):>{width}}")
        label = ""
    if slip.kind is Kind.BALANCE:
        lines += _outlook(slip, lang)
    if slip.status is SlipStatus.APPROVED and slip.reason:
        lines += _wrapped(reason_sentence(slip.reason, lang))
    return lines


def _outlook(slip: Slip, lang: str) -> list[str]:
    """Give what a balance inquiry tells beside the balance (R33, R34)."""
    lines = []
    if slip.planned_on:
        lines += _wrapped(text("slip.planned", lang, date=_day(slip.planned_on)))
    for last in slip.last_purchases:
        amount = rupiah(last.amount_sen)
        values = {"date": _day(last.date), "shop": last.shop, "amount": amount}
        lines += _wrapped(text("slip.last_purchase", lang, **values))
    return lines


def _day(iso_date: str) -> str:
    """Give `2026-02-10` as people write it, `10/02/2026`."""
    return "/".join(reversed(iso_date.split("-")))


def _failure(slip: Slip, lang: str) -> list[str]:
    if slip.status is SlipStatus.PENDING:
        return [text("receipt.undone", lang), *_wrapped(text("slip.wait", lang))]
    if slip.status is SlipStatus.DISPUTED:
        return _wrapped(text("slip.disputed", lang))
    if slip.response_code == NO_ANSWER:
        return [text("receipt.failed", lang), *_wrapped(text("slip.undone", lang))]
    words = word(
        slip.response_code,
        reason=slip.reason,
        balance_sen=slip.balance_sen,
        help_line=slip.shop.help_line,
        lang=lang,
    )
    lines = [text("receipt.failed", lang), f"{text('receipt.code', lang)} {slip.response_code}"]
    if lang == "id":
        lines += [words.line_1, words.line_2]
    for sentence in (words.sentence, words.reason, words.next_step):
        lines += _wrapped(sentence)
    return lines


def _foot(slip: Slip, copy: Copy, lang: str) -> list[str]:
    lines = []
    if slip.status is SlipStatus.APPROVED:
        if slip.kind is Kind.VOID:
            lines.append(text("receipt.voided", lang))
        elif slip.pin_verified:
            lines.append(text("receipt.pin_verified", lang))
    lines.append(text("receipt.no_fee", lang))
    lines += _wrapped(f"{text('receipt.complaints', lang)} {slip.shop.help_line} / WA")
    lines.append(text(copy.value, lang))
    if slip.slip_code:
        lines.append(f"{text('receipt.check', lang)} {_grouped(slip.slip_code)}")
    return lines


def _grouped(code: str) -> str:
    """Give a slip code in groups of four, as it is read out on the telephone."""
    return "-".join(textwrap.wrap(code.replace("-", "").upper(), 4))


def _centred(line: str) -> str:
    """Give a line centred as in domain.md 4.5, where odd space goes to the right."""
    line = line[:COLUMNS]
    return " " * ((COLUMNS - 1 - len(line)) // 2) + line


def _two(left: str, right: str) -> str:
    return f"{left:<{_SECOND_COLUMN}}{right}"[:COLUMNS]


def _money(label: str, amount_sen: int) -> str:
    amount = f"Rp{rupiah(amount_sen):>10}"
    width = COLUMNS - len(amount)
    return f"{label[:width]:<{width}}{amount}"


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, COLUMNS)
