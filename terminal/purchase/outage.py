"""Outage sales: whether the city allows one more voucher (R30). Off unless it is switched on."""

from dataclasses import dataclass

from protocols.business_time import wita
from protocols.values import SEN_PER_RUPIAH, Pan, rupiah
from terminal.journal.state import JournalState
from terminal.journal.transactions import Status
from terminal.limits import VOUCHERS_QUEUED_MAX
from terminal.purchase.checks import Refused

_DAY_NS = 24 * 60 * 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class OutagePolicy:
    """What the city allows while there is no line. Source: domain.md 8, Q3."""

    enabled: bool = False
    card_day_limit_sen: int = 50_000 * SEN_PER_RUPIAH
    terminal_day_limit_sen: int = 1_000_000 * SEN_PER_RUPIAH


def left_for(policy: OutagePolicy, journal: JournalState, pan: Pan, now_ns: int) -> int:
    """Give what this card may still buy here by voucher today, in sen.

    A day is one of WITA, as tag 9A of the vouchers says it. What was cleared counts too.
    """
    if not policy.enabled or len(journal.queued()) >= VOUCHERS_QUEUED_MAX:
        return 0
    today = wita(now_ns).date()
    made = [
        t
        for t in journal.vouchers_since(now_ns - _DAY_NS)
        if wita(t.intent.started_ns).date() == today and t.status is not Status.REFUSED
    ]
    by_card = sum(t.intent.amount_sen for t in made if t.intent.pan == pan)
    by_all = sum(t.intent.amount_sen for t in made)
    left = min(policy.card_day_limit_sen - by_card, policy.terminal_day_limit_sen - by_all)
    return max(0, left)


def check_voucher(left_sen: int, amount_sen: int) -> Refused | None:
    """Tell why a sale cannot be made by voucher, or None.

    >>> check_voucher(5_000_000, 2_500_000) is None, check_voucher(0, 100).code
    (True, '98')
    """
    if 0 < amount_sen <= left_sen:
        return None
    return Refused("98", "refused.voucher_limit")


def voucher_number(terminal_id: str, stan: int) -> str:
    """Give the number of a voucher, as it is printed and sent in element 60.

    A letter parts its digits: a run of 13 and more is masked everywhere as a card number.

    >>> voucher_number("12400017", 42)
    'V12400017N000042'
    """
    return f"V{terminal_id}N{stan:06d}"


def limit_fact(left_sen: int) -> dict[str, str]:
    """Give what the screen says of the limit."""
    return {"limit": rupiah(left_sen)}
