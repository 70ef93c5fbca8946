"""Who does something: an agency and a person, on every change (R21, R49; design decision 20)."""

from dataclasses import dataclass
from enum import StrEnum

from programme.errors import RuleError
from programme.limits import PERSON_CHARACTERS_MAX
from protocols.values import mask_free_text


class Agency(StrEnum):
    """The parties of the programme. Source: Perwali 70/2025 art. 1, 4, 8-12."""

    WALI_KOTA = "Wali Kota"
    DISKOMINFO = "Diskominfo"
    DINSOS_PM = "Dinsos PM"
    BANK = "Bank Penyalur"
    E_WARONG = "E-Warong"
    #: Who examines: inspectorate, evaluation (domain.md 1.3).
    AUDITOR = "Auditor"
    #: Who runs the machines.
    OPERATOR = "Operator"
    #: The switch, where it acts by itself: activation at first use, a suspicion block.
    SWITCH = "Switch"


@dataclass(frozen=True, slots=True)
class Actor:
    """An officer of an agency. `person` is a staff name or short id, never a recipient.

    >>> Actor(Agency.DINSOS_PM, "staf-07")
    Actor(agency=<Agency.DINSOS_PM: 'Dinsos PM'>, person='staf-07')
    """

    agency: Agency
    person: str

    def __post_init__(self) -> None:
        """Raise RuleError for an empty or long name, or one that looks like a personal number."""
        text = self.person
        if not (text.strip() and text.isprintable() and len(text) <= PERSON_CHARACTERS_MAX):
            raise RuleError.of("programme.actor_named", limit=PERSON_CHARACTERS_MAX)
        if mask_free_text(text) != text:
            raise RuleError.of("programme.actor_number")


#: Agencies as they are written before the colon of `agency:name`.
AGENCY_WORDS = {
    "wali-kota": Agency.WALI_KOTA,
    "diskominfo": Agency.DISKOMINFO,
    "dinsos": Agency.DINSOS_PM,
    "bank": Agency.BANK,
    "e-warong": Agency.E_WARONG,
    "auditor": Agency.AUDITOR,
    "operator": Agency.OPERATOR,
    "switch": Agency.SWITCH,
}
_WORDS = {agency: word for word, agency in AGENCY_WORDS.items()}


def actor_of(text: str, default: Agency | None = None) -> Actor:
    """Give the actor written as `agency:name`; a bare name is of the default agency.

    Raises ValueError for another agency or none, RuleError for a name that may not be.

    >>> actor_of("dinsos:staf-02")
    Actor(agency=<Agency.DINSOS_PM: 'Dinsos PM'>, person='staf-02')
    """
    word, colon, person = text.partition(":")
    if not colon:
        word, person = "", text
    agency = AGENCY_WORDS.get(word) if colon else default
    if agency is None:
        raise ValueError(f"write agency:name with one of {', '.join(AGENCY_WORDS)}")
    return Actor(agency, person)


def actor_text(actor: Actor) -> str:
    """Give an actor as `agency:name`; `actor_of` reads it back.

    >>> actor_text(Actor(Agency.BANK, "bank-01"))
    'bank:bank-01'
    """
    return f"{_WORDS[actor.agency]}:{actor.person}"


def same_person(one: Actor, other: Actor) -> bool:
    """Give whether two actors are one person, whatever the agency, case and spaces.

    >>> same_person(Actor(Agency.DINSOS_PM, "Staf-02"), Actor(Agency.BANK, " staf-02"))
    True
    """
    return one.person.strip().casefold() == other.person.strip().casefold()
