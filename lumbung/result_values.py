"""A terminal's result as plain values, for --json."""

from dataclasses import asdict
from typing import Any

from terminal.results import SaleResult


def result_values(result: SaleResult) -> dict[str, Any]:
    """Give a result as plain values for JSON."""
    return {
        "outcome": result.outcome, "approved": result.approved, "amount_sen": result.amount_sen,
        "rrn": result.rrn, "stan": result.stan, "approval_code": result.approval_code,
        "balance_sen": result.balance_sen, "reason": result.reason,
        "reversed": result.reversed, "reversal_settled": result.reversal_settled,
        "repeated": result.repeated, "kind": result.kind.value, "detail": result.detail,
        "months": [{"period": m.period, "amount_sen": m.amount_sen} for m in result.months],
        "statement": [asdict(line) for line in result.statement],
        "totals": [asdict(totals) for totals in result.totals],
        "voucher": result.voucher, "complaint": result.complaint, "paid_on": result.paid_on,
    }  # fmt: skip
