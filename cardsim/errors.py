"""What can be wrong with a card's files; a card itself only ever answers status words."""

from protocols.errors import LumbungError


class CardImageError(LumbungError):
    """A card image file is damaged, of another version, or cannot be written."""

    code = "E-CS-0001"


class ProfileError(LumbungError):
    """A personalisation profile or the data for it is wrong; files are named with line."""

    code = "E-CS-0002"


class FaultPlanError(LumbungError):
    """A fault plan is wrong; `external` names the entry."""

    code = "E-CS-0003"
