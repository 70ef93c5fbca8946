"""The card bureau of a data directory: printed cards with their virtual chips and PIN letters.

Chip and letter lie in `cards/` (folder 0700, files 0600): the one place where test card numbers
and PINs may be. Neither is ever printed or logged.
"""

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path

from cardsim import personalise
from lumbung.composition import Offices
from lumbung.holders import chip_path, letter_path
from lumbung.story.cast import ISSUER, PAN_SEQUENCE
from lumbung.system import system_random
from programme.actors import Actor
from programme.chart import Purse
from programme.offices import Office
from programme.registry import CardRequest, LineOutcome
from programme.registry.cards import LIVE
from programme.registry_port import CardView
from programme.roles import require
from protocols.clock import RandomBytes
from protocols.crypto.emv_keys import icc_master_key
from protocols.crypto.pin import ibm3624_offset
from protocols.values import Pan, SecretBytes

#: Years that a card is valid for, to the end of the year.
VALID_YEARS = 4
PIN_DIGITS = 6


def issue_cards(
    parts: Offices,
    office: Office,
    decree: int,
    actor: Actor,
    *,
    on_card: Callable[[int, int], None] | None = None,
) -> list[CardView]:
    """Print a card for every eligible person of a decree who has no live one (art. 11).

    Chips and letters are on disk before the registry knows the cards; then all are registered, or
    none: a kill in between leaves files that no one knows, which the next run overwrites.
    """
    require(actor, "card.printed")
    registry, purse = parts.registry, parts.registry.decrees.get(decree).purse
    entries = registry.lists.cards()
    have = {x.recipient_number for x in entries if x.status in LIVE and x.purse == purse}
    wanted = [
        line.recipient_number
        for line in registry.decrees.lines(decree)
        if line.outcome is LineOutcome.ELIGIBLE and line.recipient_number not in have
    ]
    first = _next_number(parts)
    made: dict[str, CardRequest] = {}
    for number, recipient in enumerate(wanted, start=first):
        request = _print(parts, office, recipient, number, purse, actor, set(made))
        made[request.pan.reveal()] = request
        if on_card is not None:
            on_card(number - first + 1, len(wanted))
    issued = registry.cards.issue(list(made.values()), actor) if made else []
    assert [card.card_number for card in issued] == list(range(first, first + len(wanted)))
    return issued


def replace_card(parts: Offices, office: Office, number: int, actor: Actor) -> CardView:
    """Give the new printed card; the old one is refused from now on, account and balance stay.

    Chip and letter are on disk before the registry knows the card, as for `issue_cards`.
    """
    require(actor, "card.replaced")
    recipient = office.recipient_of(number)
    old = parts.registry.card(number)
    assert old is not None, "recipient_of looked it up"
    new_number = _next_number(parts)
    request = _print(parts, office, recipient, new_number, old.purse, actor, set())
    try:
        card = office.replace(number, request, actor)
    except BaseException:
        # Against the rules, or the disk refused: no chip and no letter of a card that is none.
        chip_path(parts.data.cards, new_number).unlink()
        letter_path(parts.data.cards, new_number).unlink()
        raise
    assert card.card_number == new_number, "the directory is locked, so no other card came between"
    return card


def _next_number(parts: Offices) -> int:
    return max((card.card_number for card in parts.registry.all_cards()), default=0) + 1


def _print(
    parts: Offices,
    office: Office,
    recipient: int,
    number: int,
    purse: int,
    actor: Actor,
    taken: set[str],
) -> CardRequest:
    """Write chip and letter of a new card, and give what the registry takes of it."""
    name = office.identity(recipient, actor).name
    pan = _fresh_pan(parts, taken, system_random)
    pin = f"{_below(10**PIN_DIGITS, system_random):0{PIN_DIGITS}d}"
    expires_on = date(parts.registry.today.year + VALID_YEARS, 12, 31)
    udk = icc_master_key(parts.keystore.get("imk_ac"), pan, PAN_SEQUENCE)
    personalise(
        "ssn",
        pan=pan,
        expiry=expires_on,
        psn=PAN_SEQUENCE,
        name=name,
        udk_ac=SecretBytes(udk.reveal()),
        random_bytes=system_random,
    ).save(chip_path(parts.data.cards, number))
    _write_letter(letter_path(parts.data.cards, number), pan, pin)
    return CardRequest(
        recipient_number=recipient,
        pan=pan,
        pan_sequence=PAN_SEQUENCE,
        expires_on=expires_on,
        pin_offset=ibm3624_offset(parts.keystore.get("pvk"), pan, pin, PIN_DIGITS),
        purse=Purse(purse),
    )


def _write_letter(path: Path, pan: Pan, pin: str) -> None:
    text = f"KARTU SSN SAMARINDA\nKARTU **** {pan.last_four}\nPIN {pin}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _fresh_pan(parts: Offices, taken: set[str], random_bytes: RandomBytes) -> Pan:
    """Give a card number of the fictitious issuer that neither registry nor `taken` has."""
    while True:
        body = ISSUER + f"{_below(10_000_000, random_bytes):07d}"
        pan = Pan(body + _luhn_digit(body))
        if pan.reveal() not in taken and parts.registry.card_by_pan(pan) is None:
            return pan


def _below(limit: int, random_bytes: RandomBytes) -> int:
    """Give an evenly drawn number from 0 to limit - 1."""
    top = (1 << 64) // limit * limit
    while True:
        drawn = int.from_bytes(random_bytes(8), "big")
        if drawn < top:
            return drawn % limit


def _luhn_digit(body: str) -> str:
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in body[::-2])
    return str(-(doubled + sum(int(digit) for digit in body[-2::-2])) % 10)
