"""A person with a chip card and a PIN."""

from dataclasses import dataclass, field

from cardsim import CardImage
from protocols.values import Pan


@dataclass(slots=True)
class Holder:
    """A person with a card: at one counter at a time. `pin` may change.

    Who has a new card and who found the old one are two holders.
    """

    pan: Pan
    image: CardImage
    pin: str
    is_away: bool = False
    has_new_pin: bool = False
    atc: int = 0
    #: Ids of messages with a wrong PIN.
    mistyped: set[int] = field(default_factory=set)
