"""Receipts: a slip's facts -> text of 32 (58 mm) or 48 columns (80 mm), as domain.md 4.5 lays down.

Two slips leave the printer, one for the shop and one for the cardholder. A failed sale prints too,
and says `GAGAL - SALDO TIDAK TERPOTONG` only when that is certain: while a reversal has no answer
yet the slip says that the sale is being undone. Last four digits only, never a name.
"""

import textwrap

from protocols.business_time import wita
from protocols.catalogue import reason_sentence, text
from protocols.values import rupiah
from terminal.journal.records import Kind, SaleItem, Totals
from terminal.paper import NARROW, Paper
from terminal.slip import Copy, Slip, SlipStatus
from terminal.wording import NO_ANSWER, own_word, word

_MONTHS_INDENT = 11
#: Kinds without an amount of their own on the slip.
_WITHOUT_AMOUNT = (Kind.BALANCE, Kind.STATEMENT, Kind.PIN_CHANGE, Kind.SETTLEMENT)


def render(
    slip: Slip, copy: Copy, *, reprint: bool = False, lang: str = "id", columns: int = NARROW
) -> str:
    """Give the slip's text: lines of at most `columns`, each ended by a line feed."""
    paper = Paper(columns)
    blocks = [
        _head(paper, slip, reprint, lang),
        _body(paper, slip, lang),
        _foot(paper, slip, copy, lang),
    ]
    lines = [line.rstrip() for block in blocks for line in block]
    assert all(len(line) <= columns for line in lines), "a receipt line is wider than the paper"
    return "".join(f"{line}\n" for line in lines)


def render_complaint(
    slip: Slip, number: str, category: str, *, lang: str = "id", columns: int = NARROW
) -> str:
    """Give the slip of a complaint taken at the counter, with its number (R36)."""
    paper = Paper(columns)
    lines = _head(paper, slip, False, lang)
    lines += [
        text(f"transaction.{slip.kind.value}", lang),
        f"{text('receipt.number', lang)} {number}",
    ]
    if slip.original_stan:
        lines.append(f"{text('receipt.original', lang)} {slip.original_stan:06d}")
    lines += paper.wrapped(text(f"complaint.{category}", lang))
    lines += [paper.rule, *paper.wrapped(text("slip.complaint", lang, number=number))]
    lines += _foot(paper, slip, Copy.CUSTOMER, lang)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _head(paper: Paper, slip: Slip, reprint: bool, lang: str) -> list[str]:
    shop, now = slip.shop, wita(slip.printed_ns)
    lines = [
        paper.centred(text("receipt.title", lang)),
        paper.centred(shop.name.upper()),
        paper.centred(shop.place.upper()),
    ]
    if shop.training:
        lines += [paper.centred(line) for line in paper.wrapped(text("receipt.training", lang))]
    if reprint:
        lines.append(paper.centred(text("receipt.reprint", lang)))
    lines.append(f"TID {shop.terminal_id} MID {shop.merchant_id}"[: paper.columns])
    lines.append(paper.two(f"{now:%d/%m/%Y}", f"{now:%H:%M:%S} WITA"))
    if slip.stan:
        batch, trace = text("receipt.batch", lang), text("receipt.trace", lang)
        lines.append(paper.two(f"{batch} {slip.batch:06d}", f"{trace} {slip.stan:06d}"))
        approval = f"{text('receipt.approval', lang)} {slip.approval_code}"
        reference = f"{text('receipt.reference', lang)} {slip.rrn}"
        lines.append(paper.two(reference, approval if slip.approval_code else ""))
    if slip.last_four:
        card = f"{text('receipt.card', lang)} **** **** **** {slip.last_four}"
        lines.append(f"{card} ({slip.entry})" if slip.entry else card)
    if slip.proxy:
        lines.append(text("receipt.proxy", lang))
    lines.append(paper.rule)
    return lines


def _body(paper: Paper, slip: Slip, lang: str) -> list[str]:
    lines = [text(f"transaction.{slip.kind.value}", lang)]
    if slip.voucher:
        lines.append(f"{text('receipt.number', lang)} {slip.voucher}")
    if slip.original_stan:
        lines.append(f"{text('receipt.original', lang)} {slip.original_stan:06d}")
    if slip.kind is Kind.SETTLEMENT and slip.totals:
        return [*lines, *_settlement(paper, slip, lang), paper.rule]
    has_amount = slip.kind not in _WITHOUT_AMOUNT
    if slip.status in (SlipStatus.APPROVED, SlipStatus.VOUCHER):
        if slip.kind in (Kind.PURCHASE, Kind.VOUCHER):
            lines += [*_items(paper, slip, lang), paper.rule]
        if slip.asked_sen:
            lines.append(paper.money(text("receipt.asked", lang), slip.asked_sen))
        if has_amount:
            lines.append(paper.money(text("receipt.total", lang), slip.amount_sen))
        lines += _statement(paper, slip)
        lines += _balance(paper, slip, lang)
        return [*lines, *_notice(paper, slip, lang), paper.rule]
    if slip.amount_sen and has_amount:
        lines.append(paper.money(text("receipt.total", lang), slip.amount_sen))
    return [*lines, *_failure(paper, slip, lang), *_balance(paper, slip, lang), paper.rule]


def _items(paper: Paper, slip: Slip, lang: str) -> list[str]:
    items = slip.items or (
        SaleItem(
            code="",
            name=text("flow.basket.fast_item", lang),
            quantity=1,
            price_sen=slip.asked_sen or slip.amount_sen,
        ),
    )
    return [paper.item(item.name, item.quantity, item.price_sen) for item in items]


def _statement(paper: Paper, slip: Slip) -> list[str]:
    lines = []
    for line in slip.statement:
        lines.append(paper.two(f"{_day(line.date)} {line.shop}"[: paper.columns], ""))
        lines.append(paper.money("", line.amount_sen))
    return lines


def _balance(paper: Paper, slip: Slip, lang: str) -> list[str]:
    if slip.balance_sen is None:
        return []
    lines = [paper.money(text("receipt.remaining", lang), slip.balance_sen)]
    label = f" {text('receipt.including', lang)}"
    width = max((len(rupiah(month.amount_sen)) for month in slip.months), default=0)
    for month in slip.months:
        name = text(f"month.{month.period[5:7]}", lang)
        lines.append(f"{label:<{_MONTHS_INDENT}}{name} {rupiah(month.amount_sen):>{width}}")
        label = ""
    if slip.kind is Kind.BALANCE:
        lines += _outlook(paper, slip, lang)
    if slip.status is SlipStatus.APPROVED and slip.reason:
        lines += paper.wrapped(reason_sentence(slip.reason, lang))
    return lines


def _outlook(paper: Paper, slip: Slip, lang: str) -> list[str]:
    """Give what a balance inquiry tells beside the balance (R33, R34)."""
    lines = []
    if slip.planned_on and slip.planned_sen:
        amount = rupiah(slip.planned_sen)
        planned = text("slip.planned_amount", lang, date=_day(slip.planned_on), amount=amount)
        lines += paper.wrapped(planned)
    elif slip.planned_on:
        lines += paper.wrapped(text("slip.planned", lang, date=_day(slip.planned_on)))
    for last in slip.last_purchases:
        amount = rupiah(last.amount_sen)
        values = {"date": _day(last.date), "shop": last.shop, "amount": amount}
        lines += paper.wrapped(text("slip.last_purchase", lang, **values))
    return lines


def _settlement(paper: Paper, slip: Slip, lang: str) -> list[str]:
    """Give the totals, the bank's own where they differ, and when the shop is paid (R15)."""
    lines = [line for totals in slip.totals for line in _totals(paper, totals, lang)]
    if slip.status is SlipStatus.APPROVED:
        if slip.paid_on:
            lines += paper.wrapped(text("slip.paid_on", lang, date=_day(slip.paid_on)))
        return [*lines, text("receipt.settled", lang)]
    if slip.status is SlipStatus.WAITING:
        return [*lines, *paper.wrapped(text("slip.settlement_waits", lang))]
    for totals in slip.bank_totals:
        lines += [text("receipt.bank_totals", lang), *_totals(paper, totals, lang)]
    return [*lines, *paper.wrapped(text("slip.settlement_disputed", lang))]


def _totals(paper: Paper, totals: Totals, lang: str) -> list[str]:
    return [
        paper.counted(text("receipt.sales", lang), totals.sales, totals.sales_sen),
        paper.counted(text("receipt.voids", lang), totals.voids, totals.voids_sen),
        paper.counted(text("receipt.refunds", lang), totals.refunds, totals.refunds_sen),
        paper.money(text("receipt.total", lang), totals.net_sen),
    ]


def _notice(paper: Paper, slip: Slip, lang: str) -> list[str]:
    if slip.status is SlipStatus.VOUCHER:
        return paper.wrapped(text("slip.voucher", lang))
    return paper.wrapped(slip.notice)


def _day(iso_date: str) -> str:
    """Give `2026-02-10` as people write it, `10/02/2026`."""
    return "/".join(reversed(iso_date.split("-")))


def _failure(paper: Paper, slip: Slip, lang: str) -> list[str]:
    if slip.status is SlipStatus.PENDING:
        return [text("receipt.undone", lang), *paper.wrapped(text("slip.wait", lang))]
    if slip.status is SlipStatus.DISPUTED:
        return paper.wrapped(text("slip.disputed", lang))
    if slip.status is SlipStatus.UNPAID:
        return paper.wrapped(text("slip.voucher_unpaid", lang))
    if slip.response_code == NO_ANSWER and slip.stan:
        return [text("receipt.failed", lang), *paper.wrapped(text("slip.undone", lang))]
    words = word(
        slip.response_code,
        reason=slip.reason,
        balance_sen=slip.balance_sen,
        help_line=slip.shop.help_line,
        lang=lang,
    )
    words = own_word(slip.own, slip.notice, words, lang)
    lines = [text("receipt.failed", lang), f"{text('receipt.code', lang)} {slip.response_code}"]
    if lang == "id":
        lines += [words.line_1, words.line_2]
    sentences = (words.sentence, words.reason, slip.notice, words.next_step)
    for sentence in dict.fromkeys(sentences):
        lines += paper.wrapped(sentence)
    return lines


def _foot(paper: Paper, slip: Slip, copy: Copy, lang: str) -> list[str]:
    lines = []
    if slip.status is SlipStatus.APPROVED:
        if slip.kind in (Kind.VOID, Kind.REFUND):
            lines.append(text("receipt.voided", lang))
        elif slip.pin_verified:
            lines.append(text("receipt.pin_verified", lang))
    lines.append(text("receipt.no_fee", lang))
    lines += paper.wrapped(f"{text('receipt.complaints', lang)} {slip.shop.help_line} / WA")
    lines.append(text(copy.value, lang))
    if slip.slip_code:
        lines.append(f"{text('receipt.check', lang)} {_grouped(slip.slip_code)}")
    return lines


def _grouped(code: str) -> str:
    """Give a slip code in groups of four, as it is read out on the telephone."""
    return "-".join(textwrap.wrap(code.replace("-", "").upper(), 4))
