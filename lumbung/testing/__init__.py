"""For people who test their own terminal, card or host: cards, faults, traces, an issuer.

Public. `lumbung.testing.plugin` has the pytest fixtures, `lumbung.testing.channels` the checks
that every card channel keeps. Test keys only: nothing here is for real cards.
"""

from lumbung.testing.cards import VirtualCard, virtual_card
from lumbung.testing.issuer import CardIssuer, ScriptWriter, issuer_script
from lumbung.testing.purchases import Purchase, buy, terminal_for

__all__ = [
    "CardIssuer",
    "Purchase",
    "ScriptWriter",
    "VirtualCard",
    "buy",
    "issuer_script",
    "terminal_for",
    "virtual_card",
]
