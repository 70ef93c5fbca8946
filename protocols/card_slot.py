"""What can happen at a card slot: events and the two ways in which a card is lost.

Shared vocabulary: the terminal waits for these and a virtual card's transport raises them, and
neither may import the other. `terminal.card_channel` gives them on.
"""

from enum import Enum


class CardEvent(Enum):
    """What happens at the slot."""

    INSERTED = "inserted"
    REMOVED = "removed"
    READER_LOST = "reader lost"


class CardRemovedError(Exception):
    """The card left the slot, or tore: fewer than two bytes came back."""


class CardMuteError(Exception):
    """The card gave no answer before the deadline; the channel has been reset or abandoned."""
