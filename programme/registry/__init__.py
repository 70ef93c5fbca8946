"""The registry: people, families, cards, purses, shops and terminals (decisions 12, 19, 20, 26).

`Registry` serves the switch from memory through `programme.registry_port.RegistryReader` and keeps
everything in SQLite behind it. A change is durable and in force when its call has returned.
"""

from programme.registry.cards import CardRequest
from programme.registry.decrees import DecreeLine, DecreeRecord, DecreeState, LineOutcome
from programme.registry.people import PersonRecord
from programme.registry.registry import Registry
from programme.registry.shops import MerchantKind, MerchantRequest, TerminalRequest

__all__ = [
    "CardRequest",
    "DecreeLine",
    "DecreeRecord",
    "DecreeState",
    "LineOutcome",
    "MerchantKind",
    "MerchantRequest",
    "PersonRecord",
    "Registry",
    "TerminalRequest",
]
