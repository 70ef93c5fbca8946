"""The table of all acts of the service layer."""

from programme.acts.base import Act
from programme.acts.cards import CARD_ACTS
from programme.acts.field import FIELD_ACTS
from programme.acts.money import MONEY_ACTS

#: Every act by its name.
ACTS: dict[str, Act] = {one.name: one for one in (*CARD_ACTS, *FIELD_ACTS, *MONEY_ACTS)}
assert len(ACTS) == len(CARD_ACTS) + len(FIELD_ACTS) + len(MONEY_ACTS), "a name stands twice"


def act(name: str) -> Act:
    """Give an act by its name.

    >>> act("card-block").summary
    'block cards, in force when it answers'
    """
    return ACTS[name]
