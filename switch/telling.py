"""What of a decision the log and the journal hold: never more of a card than its last digits."""

from typing import Any

from programme.registry_port import CardStatus, CardView
from switch.decision import Decision
from switch.request import Request

#: A moment in the log: name and fields, already free of card data.
Event = tuple[str, dict[str, Any]]

#: The event of a collected card that chip and PIN were proved for the first time.
FIRST_USE = "first-use"
_NOTHING: tuple[Event, ...] = ()


def first_use(request: Request, card: CardView | None) -> tuple[Event, ...]:
    """Give the event of a collected card that was approved, nothing for any other (R21, R24).

    Whoever holds the registry makes it active then: `switch.registry_keeper`.
    """
    if card is None or card.status is not CardStatus.COLLECTED:
        return _NOTHING
    return ((FIRST_USE, {"card_number": card.card_number, "terminal": request.terminal_id}),)


def told_of(
    request: Request, decision: Decision, card: CardView | None, rules_version: str
) -> tuple[Event, ...]:
    """Give the events of a decision; an approved sale or advice is told by the ledger."""
    if not decision.approved:
        return (told(request, decision, card, rules_version),)
    found = first_use(request, card)
    if request.mti[:2] == "02":
        return found
    return (*found, told(request, decision, card, rules_version))


def told(request: Request, decision: Decision, card: CardView | None, rules_version: str) -> Event:
    """Give the event of a decision: what was asked, what it came to, by which rule (R42)."""
    return (
        "approved" if decision.approved else "declined",
        {
            "code": decision.code,
            "reason": decision.reason,
            "rule": decision.evidence,
            "rules": rules_version,
            "mti": request.mti,
            "processing_code": request.processing_code,
            "network_code": request.network_code,
            "terminal": request.terminal_id,
            "stan": request.stan,
            "card": card.last_four if card is not None else "",
        },
    )
