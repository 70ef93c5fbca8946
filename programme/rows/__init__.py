"""What people and programs are shown of the programme: one row a thing, the same on every front.

Field names are those of `--json` and of the administration interface. No name of a person, no NIK,
four digits of a card.
"""

from programme.rows.base import Row, day_of, named
from programme.rows.cards import CardFileRow, CardRow, CardRows, CardStepRow, MonthRow
from programme.rows.money import (
    DecreeRow,
    DecreeRows,
    DisbursedRow,
    HeldAmountRow,
    HeldRow,
    ProposalRow,
    ProposalRows,
    ReleasedRow,
    SweptRow,
    SweptRows,
)
from programme.rows.shops import (
    KeyRow,
    MarkRow,
    MerchantRow,
    MerchantRows,
    ProxyRow,
    ProxyRows,
    TerminalRow,
    TerminalRows,
)
from programme.rows.trail import AuditRow, TokenRow

__all__ = [
    "AuditRow",
    "CardFileRow",
    "CardRow",
    "CardRows",
    "CardStepRow",
    "DecreeRow",
    "DecreeRows",
    "DisbursedRow",
    "HeldAmountRow",
    "HeldRow",
    "KeyRow",
    "MarkRow",
    "MerchantRow",
    "MerchantRows",
    "MonthRow",
    "ProposalRow",
    "ProposalRows",
    "ProxyRow",
    "ProxyRows",
    "ReleasedRow",
    "Row",
    "SweptRow",
    "SweptRows",
    "TerminalRow",
    "TerminalRows",
    "TokenRow",
    "day_of",
    "named",
]
