"""From a decision to what its answer says beside the spec's echo and DE39."""

from protocols.iso8583 import Message, Value
from switch.changes import BatchTotals
from switch.decision import Decision, KeyBlocks
from switch.limits import MONTHS_MAX, STATEMENT_LINES_MAX
from switch.pipeline.context import Context

_CURRENCY = "360"
#: DE54 amount type: available balance. Source: ISO 8583:1987, data element 54.
_AVAILABLE = "02"
_SHOP_TEXT = 20
_HEADING_TEXT = 32
#: The group of DE63 with a batch's totals, in the order of `BatchTotals`.
_TOTALS_NAMES = ("sales", "sales_amount", "voids", "voids_amount", "refunds", "refunds_amount")
_COUNT_DIGITS, _AMOUNT_DIGITS = 6, 12
#: What an answer never copies from its request.
_NOTHING_MORE: dict[int, Value | None] = dict.fromkeys((38, 44, 48, 54, 55, 60, 61, 63))


def changes_for(context: Context, decision: Decision) -> dict[int, Value | None]:
    """Give what the answer to a request has beside DE39 and the spec's echo."""
    key, issuer_data = context.cryptogram_key, b""
    if key is not None:
        data = context.desk.chip_keys.issuer_authentication_data
        issuer_data = data(key, context.request.chip["9F26"], decision.code)
    account_type = context.answer_account_type
    return answer_changes(decision, account_type=account_type, issuer_data=issuer_data)


def answer_changes(
    decision: Decision, *, account_type: str, issuer_data: bytes
) -> dict[int, Value | None]:
    """Give what an answer has beside DE39 and the spec's echo; None for what it must not echo.

    `issuer_data` is tag 91, empty when no chip was proved.
    """
    changes = dict(_NOTHING_MORE)
    if decision.approval_code:
        changes[38] = decision.approval_code
    if decision.reason:
        changes[44] = decision.reason
    if decision.key_blocks is not None or decision.statement:
        changes[48] = _key_blocks(decision.key_blocks) or _statement(decision)
    if decision.balance_sen is not None:
        changes[54] = _balance(decision.balance_sen, account_type)
    if issuer_data:
        changes[55] = {"91": issuer_data}
    if decision.batch:
        changes[60] = {"batch": f"{decision.batch:06d}"}
    changes[61] = _sender(decision)
    changes[63] = _programme(decision)
    if decision.approved_sen is not None:
        changes[4] = f"{decision.approved_sen:012d}"
    return changes


def _balance(balance_sen: int, account_type: str) -> Value:
    return [
        {
            "account_type": account_type,
            "amount_type": _AVAILABLE,
            "currency": _CURRENCY,
            "sign": "C" if balance_sen >= 0 else "D",
            "amount": f"{abs(balance_sen):012d}",
        }
    ]


def _key_blocks(blocks: KeyBlocks | None) -> Value | None:
    if blocks is None:
        return None
    return {
        "mac": blocks.mac_block,
        "pin": blocks.pin_block,
        "mac_check": blocks.mac_check,
        "pin_check": blocks.pin_check,
    }


def _statement(decision: Decision) -> Value | None:
    if not decision.statement:
        return None
    return {
        "statement": [
            {
                "date": line.day.strftime("%Y%m%d"),
                "sign": "C" if line.amount_sen >= 0 else "D",
                "amount": f"{abs(line.amount_sen):012d}",
                "shop": _plain(line.text, _SHOP_TEXT),
            }
            for line in decision.statement[:STATEMENT_LINES_MAX]
        ]
    }


def _sender(decision: Decision) -> Value | None:
    if decision.key_blocks is not None:
        return {"key_set": f"{decision.key_blocks.number:04d}"}
    if decision.log_on_number:
        return {"log_on": f"{decision.log_on_number:06d}"}
    return None


def _programme(decision: Decision) -> Value | None:
    found: dict[str, Value] = {}
    if decision.months:
        found["months"] = [
            {"period": month.period.replace("-", ""), "amount": f"{month.left_sen:012d}"}
            for month in decision.months[:MONTHS_MAX]
        ]
    if decision.slip_code:
        found["slip_code"] = decision.slip_code
    if decision.planned_date is not None:
        found["planned_date"] = decision.planned_date.strftime("%Y%m%d")
    if decision.last_purchase is not None:
        line = decision.last_purchase
        found["last_purchase"] = {
            "date": line.day.strftime("%Y%m%d"),
            "amount": f"{abs(line.amount_sen):012d}",
            "shop": _plain(line.text, _SHOP_TEXT),
        }
    if decision.shop_heading is not None:
        name, place = decision.shop_heading
        found["shop"] = {"name": _plain(name, _HEADING_TEXT), "place": _plain(place, _HEADING_TEXT)}
    if decision.totals is not None:
        found["totals"] = _totals(decision.totals)
    if decision.payout_date is not None:
        found["payout_date"] = decision.payout_date.strftime("%Y%m%d")
    if decision.business_date is not None:
        found["business_date"] = decision.business_date.strftime("%Y%m%d")
    return found or None


def _totals(totals: BatchTotals) -> Value:
    """Give the totals as the group of DE63 that carries them; their order there is the same."""
    widths = (_COUNT_DIGITS, _AMOUNT_DIGITS) * 3
    return {
        _TOTALS_NAMES[place]: f"{number:0{width}d}"
        for place, (number, width) in enumerate(zip(totals, widths, strict=True))
    }


def read_totals(message: Message) -> BatchTotals | None:
    """Give the totals that a settlement declares in DE63, None when it declares none."""
    declared = message.parts(63).get("totals")
    if not isinstance(declared, dict):
        return None
    return BatchTotals(*(int(str(declared[name])) for name in _TOTALS_NAMES))


def _plain(text: str, length: int) -> str:
    """Give printable ASCII of exactly this length: receipts and the line know nothing else."""
    ascii_only = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return ascii_only[:length].ljust(length)
