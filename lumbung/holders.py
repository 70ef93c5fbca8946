"""Who stands at the counter with which virtual card: the newest of a person, chip and PIN.

A story's first cards follow from its seed; a card that the bureau printed (issue, replacement) has
its chip and its PIN letter in `cards/`.
"""

from pathlib import Path

from lumbung.composition import Offices
from lumbung.data_directory import DataDirectoryError
from lumbung.story.cast import Holder, holder
from programme.registry_port import CardView
from protocols.errors import LumbungError


class NoSuchHolderError(LumbungError):
    """There is nobody at that place of the decree, or the card has no virtual chip here."""

    code = "E-LB-0031"


def chip_path(folder: Path, card_number: int) -> Path:
    """Give where a card's virtual chip lies."""
    return folder / f"card-{card_number:06d}.json"


def letter_path(folder: Path, card_number: int) -> Path:
    """Give where a card's PIN letter lies."""
    return folder / f"pin-{card_number:06d}.txt"


def pin_in(letter: Path) -> str:
    """Give the PIN of a letter; raise DataDirectoryError for a file that is none."""
    for line in letter.read_text("ascii", "replace").splitlines():
        word, _, pin = line.partition(" ")
        if word == "PIN" and pin.isdigit():
            return pin
    raise DataDirectoryError(f"{letter}: this is no PIN letter.", fix="Replace the card.")


def holder_at(offices: Offices, place: int) -> Holder:
    """Give the person at a place (from 1) of the first decree, with the newest card in hand.

    Raises: NoSuchHolderError.
    """
    registry, seed = offices.registry, offices.data.manifest.seed
    decrees = registry.decrees.all()
    lines = registry.decrees.lines(decrees[0].decree_number) if decrees else []
    if not 1 <= place <= len(lines):
        raise NoSuchHolderError(
            f"the decree has {len(lines)} recipients.", fix="Give --card a place from 1."
        )
    number = registry.accounts.newest_cards(decrees[0].purse).get(lines[place - 1].recipient_number)
    card = None if number is None else registry.card(number)
    printed = None if card is None else _printed(offices, card)
    if printed is not None:
        return printed
    if seed is None or card is None:
        raise NoSuchHolderError(
            f"the person at place {place} has no virtual card here.",
            fix="Print one: lumbung programme card issue --decree 1 --data DIRECTORY",
        )
    return holder(offices, decrees[0].decree_number, seed, place - 1)


def _printed(offices: Offices, card: CardView) -> Holder | None:
    chip = chip_path(offices.data.cards, card.card_number)
    letter = letter_path(offices.data.cards, card.card_number)
    if not (chip.exists() and letter.exists()):
        return None
    return Holder(card, chip, pin_in(letter))
