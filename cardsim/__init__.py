"""Virtual chip cards: APDU in, APDU out, deterministic under a seed.

What lives here: card OS, EMV application, personalisation as data, faults, transports. What must
not: the terminal, the switch, the ledger. Card and terminal meet in APDUs only.
"""

from cardsim.authority import Authority, Signer, published_authority
from cardsim.card import Card
from cardsim.errors import CardImageError, FaultPlanError, ProfileError
from cardsim.image import ApplicationImage, ApplicationState, CardImage
from cardsim.memory import OrderedWriter, PowerLost
from cardsim.personalisation import personalise, together
from cardsim.profile import Profile, load_profile, parse_profile, profile_names
from cardsim.states import CardState

__all__ = [
    "ApplicationImage",
    "ApplicationState",
    "Authority",
    "Card",
    "CardImage",
    "CardImageError",
    "CardState",
    "FaultPlanError",
    "OrderedWriter",
    "PowerLost",
    "Profile",
    "ProfileError",
    "Signer",
    "load_profile",
    "parse_profile",
    "personalise",
    "profile_names",
    "published_authority",
    "together",
]
