"""The card bureau of a data directory: a replacement with its virtual chip and its PIN letter.

Chip and letter lie in `cards/` (folder 0700, files 0600): the one place where test card numbers
and PINs may be. Neither is ever printed or logged.
"""

import os
from datetime import date
from pathlib import Path

from cardsim import personalise
from lumbung.composition import Offices
from lumbung.story.cast import ISSUER, PAN_SEQUENCE
from lumbung.system import system_random
from programme.actors import Actor
from programme.offices import Office
from programme.registry import CardRequest
from programme.registry_port import CardView
from protocols.clock import RandomBytes
from protocols.crypto.emv_keys import icc_master_key
from protocols.crypto.pin import ibm3624_offset
from protocols.values import Pan, SecretBytes

#: Years that a replacement is valid for, to the end of the year: as the first cards.
VALID_YEARS = 4
PIN_DIGITS = 6


def replace_card(
    parts: Offices, office: Office, number: int, actor: Actor, today: date
) -> CardView:
    """Give the new printed card; the old one is refused from now on, account and balance stay.

    Chip and letter are on disk before the registry knows the card: a kill in between leaves files
    that no one knows, which the next replacement overwrites.
    """
    recipient = office.recipient_of(number)
    pan = _fresh_pan(parts, system_random)
    pin = f"{_below(10**PIN_DIGITS, system_random):0{PIN_DIGITS}d}"
    new_number = max(card.card_number for card in parts.registry.all_cards()) + 1
    expires_on = date(today.year + VALID_YEARS, 12, 31)
    request = CardRequest(
        recipient_number=recipient,
        pan=pan,
        pan_sequence=PAN_SEQUENCE,
        expires_on=expires_on,
        pin_offset=ibm3624_offset(parts.keystore.get("pvk"), pan, pin, PIN_DIGITS),
    )
    udk = icc_master_key(parts.keystore.get("imk_ac"), pan, PAN_SEQUENCE)
    personalise(
        "ssn",
        pan=pan,
        expiry=expires_on,
        psn=PAN_SEQUENCE,
        name=parts.registry.people.open_identity(recipient).name,
        udk_ac=SecretBytes(udk.reveal()),
        random_bytes=system_random,
    ).save(chip_path(parts.data.cards, new_number))
    try:
        _write_letter(letter_path(parts.data.cards, new_number), pan, pin)
        card = office.replace(number, request, actor)
    except BaseException:
        # Against the rules, or the disk refused: no chip and no letter of a card that is none.
        chip_path(parts.data.cards, new_number).unlink()
        letter_path(parts.data.cards, new_number).unlink(missing_ok=True)
        raise
    assert card.card_number == new_number, "the directory is locked, so no other card came between"
    return card


def chip_path(folder: Path, card_number: int) -> Path:
    """Give where a card's virtual chip lies."""
    return folder / f"card-{card_number:06d}.json"


def letter_path(folder: Path, card_number: int) -> Path:
    """Give where a card's PIN letter lies."""
    return folder / f"pin-{card_number:06d}.txt"


def _write_letter(path: Path, pan: Pan, pin: str) -> None:
    text = f"KARTU SSN SAMARINDA\nKARTU **** {pan.last_four}\nPIN {pin}\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _fresh_pan(parts: Offices, random_bytes: RandomBytes) -> Pan:
    """Give a card number of the fictitious issuer that the registry does not know."""
    while True:
        body = ISSUER + f"{_below(10_000_000, random_bytes):07d}"
        pan = Pan(body + _luhn_digit(body))
        if parts.registry.card_by_pan(pan) is None:
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
