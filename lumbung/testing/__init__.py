"""For people who test their own terminal, card or host: cards, terminals, faults, an issuer.

Public. `lumbung.testing.plugin` has the pytest fixtures, `lumbung.testing.channels` the checks
that every card channel keeps. Test keys only: nothing here is for real cards.
"""

from lumbung.testing.cards import VirtualCard, virtual_card
from lumbung.testing.issuer import CardIssuer, ScriptWriter, issuer_script
from lumbung.testing.purchases import Purchase, buy, terminal_for
from lumbung.testing.terminals import (
    AnsweringLine,
    Mains,
    PowerCutError,
    ScriptedOperator,
    VirtualClock,
    open_terminal,
)

__all__ = [
    "AnsweringLine",
    "CardIssuer",
    "Mains",
    "PowerCutError",
    "Purchase",
    "ScriptWriter",
    "ScriptedOperator",
    "VirtualCard",
    "VirtualClock",
    "buy",
    "issuer_script",
    "open_terminal",
    "terminal_for",
    "virtual_card",
]
