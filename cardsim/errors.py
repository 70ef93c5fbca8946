"""What can be wrong with a card's files; a card itself only ever answers status words."""

from protocols.errors import ConfigurationError, LumbungError


class CardImageError(LumbungError):
    """A card image file is damaged, of another version, or cannot be written."""

    code = "E-CS-0001"


class ProfileError(ConfigurationError):
    """A personalisation profile or the data for it is wrong; files are named with line."""

    code = "E-CS-0002"


class FaultPlanError(ConfigurationError):
    """A fault plan is wrong; `external` names the entry."""

    code = "E-CS-0003"
