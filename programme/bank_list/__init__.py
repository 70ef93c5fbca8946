"""The bank's list of what it credited, and the three-way match with decree and ledger (R51)."""

from programme.bank_list.match import Difference, Match, as_report, match_month
from programme.bank_list.reader import BankLine, BankList, read_bank_list
from programme.bank_list.template import bank_template

__all__ = [
    "BankLine",
    "BankList",
    "Difference",
    "Match",
    "as_report",
    "bank_template",
    "match_month",
    "read_bank_list",
]
