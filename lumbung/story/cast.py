"""Who plays: the decree's people with their cards, the shops, the terminals with their keys.

Everything here may be run again on the same directory and changes nothing that is done already:
a story killed in the middle of its set-up goes on where it was.
"""

from dataclasses import dataclass
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path

from cardsim import Card, CardImage, personalise
from lumbung.composition import Composition, Offices
from lumbung.system import seeded_random
from programme.actors import Actor, Agency
from programme.decree import read_decree
from programme.decree.importing import ImportResult, import_decree
from programme.registry import CardRequest, DecreeState, TerminalRequest
from programme.registry_port import CardStatus, CardView
from programme.shop_file import read_shops, read_terminals
from protocols.crypto.emv_keys import icc_master_key
from protocols.crypto.pin import ibm3624_offset
from protocols.values import Pan, SecretBytes

MAYOR = Actor(Agency.WALI_KOTA, "wali-kota")
DISKOMINFO = Actor(Agency.DISKOMINFO, "kominfo-01")
DINSOS_MAKER = Actor(Agency.DINSOS_PM, "dinsos-01")
DINSOS_CHECKER = Actor(Agency.DINSOS_PM, "dinsos-02")
BANK = Actor(Agency.BANK, "bank-01")

#: Fictitious issuer number of every card here (design decision 16).
ISSUER = "93600999"
PAN_SEQUENCE = "01"
CARDS_EXPIRE_ON = date(2030, 12, 31)
#: Spreads numbers over seven digits without a repeat: it shares no factor with ten million.
_SPREAD = 4_973_107


@dataclass(frozen=True, slots=True)
class Holder:
    """A recipient with the card in hand: what the person at the counter has and knows."""

    card: CardView
    image_path: Path
    pin: str


def pan_of(seed: int, recipient_number: int) -> Pan:
    """Give the fictitious card number of a recipient: 16 digits, the last by Luhn."""
    body = ISSUER + f"{(recipient_number * _SPREAD + seed * 7919) % 10_000_000:07d}"
    return Pan(body + _luhn_digit(body))


def pin_of(seed: int, recipient_number: int) -> str:
    """Give the six digits that a recipient chose at the bank's counter."""
    number = int.from_bytes(seeded_random(seed, f"pin/{recipient_number}")(8), "big")
    return f"{number % 1_000_000:06d}"


def _luhn_digit(body: str) -> str:
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in body[::-2])
    return str(-(doubled + sum(int(digit) for digit in body[-2::-2])) % 10)


def take_decree(parts: Composition) -> ImportResult:
    """Import the decree file and lead it through the stages of articles 7 to 10."""
    with as_file(files("lumbung.story").joinpath("decree-2022.csv")) as path:
        result = import_decree(parts.registry, read_decree(path), DISKOMINFO)
    stages = [
        (DecreeState.VERIFICATION, DINSOS_MAKER),
        (DecreeState.VALIDATION, DINSOS_CHECKER),
        (DecreeState.DETERMINATION, MAYOR),
    ]
    order = list(DecreeState)
    for state, actor in stages:
        decree = parts.registry.decrees.get(result.decree.decree_number)
        if order.index(decree.state) < order.index(state):
            parts.registry.decrees.move(decree.decree_number, state, actor)
    return result


def open_shops(parts: Composition) -> tuple[int, int]:
    """Register shops and terminals with a master key each; give how many of both there are.

    One durable write for the shops, one for the keys, one for the terminals.
    """
    registry = parts.registry
    story = files("lumbung.story")
    with as_file(story.joinpath("merchants.csv")) as path:
        shops = [shop for shop in read_shops(path) if registry.merchant(shop.merchant_id) is None]
    if shops:
        registry.shops.add_merchants(shops, DINSOS_MAKER)
    with as_file(story.joinpath("terminals.csv")) as path:
        rows = read_terminals(path)
    labels = {row.terminal_id: f"tmk/{row.terminal_id}" for row in rows}
    missing_keys = [label for label in labels.values() if label not in parts.keystore]
    if missing_keys:
        parts.keystore.generate_all(missing_keys)
    terminals = [
        TerminalRequest(
            terminal_id=row.terminal_id,
            home_merchant_id=row.merchant_id,
            key_label=labels[row.terminal_id],
            key_check_value=parts.keystore.check_value(labels[row.terminal_id]),
        )
        for row in rows
        if registry.terminal(row.terminal_id) is None
    ]
    if terminals:
        registry.shops.add_terminals(terminals, BANK)
    return len(registry.all_merchants()), len(registry.all_terminals())


def hand_out_cards(parts: Composition, result: ImportResult, seed: int) -> int:
    """Print, deliver and activate a card for each recipient; give how many cards there are."""
    registry = parts.registry
    pvk = parts.keystore.get("pvk")
    requests = []
    for line in registry.decrees.lines(result.decree.decree_number):
        number = line.recipient_number
        pan = pan_of(seed, number)
        if registry.card_by_pan(pan) is None:
            offset = ibm3624_offset(pvk, pan, pin_of(seed, number), 6)
            requests.append(
                CardRequest(
                    recipient_number=number,
                    pan=pan,
                    pan_sequence=PAN_SEQUENCE,
                    expires_on=CARDS_EXPIRE_ON,
                    pin_offset=offset,
                )
            )
    if requests:
        registry.cards.issue(requests, DISKOMINFO)
    for status, after, actor in (
        (CardStatus.AT_BANK, CardStatus.PRINTED, DISKOMINFO),
        (CardStatus.COLLECTED, CardStatus.AT_BANK, BANK),
        (CardStatus.ACTIVE, CardStatus.COLLECTED, BANK),
    ):
        waiting = [c.card_number for c in registry.all_cards() if c.status is after]
        if waiting:
            registry.move_cards(waiting, status, actor)
    return len(registry.all_cards())


def holder(parts: Offices, decree_number: int, seed: int, place: int) -> Holder:
    """Give the holder at a place (0, 1, ...) of the decree, the card's chip made if need be."""
    line = parts.registry.decrees.lines(decree_number)[place]
    pan = pan_of(seed, line.recipient_number)
    card = parts.registry.card_by_pan(pan)
    assert card is not None, "hand_out_cards has run"
    path = parts.data.cards / f"card-{card.card_number:06d}.json"
    if not path.exists():
        person = parts.registry.people.open_identity(line.recipient_number)
        _make_chip(parts, card, pan, person.name, seed).save(path)
    return Holder(card, path, pin_of(seed, line.recipient_number))


def _make_chip(parts: Offices, card: CardView, pan: Pan, name: str, seed: int) -> CardImage:
    udk = icc_master_key(parts.keystore.get("imk_ac"), pan, card.pan_sequence)
    return personalise(
        "ssn",
        pan=pan,
        expiry=card.expires_on,
        psn=card.pan_sequence,
        name=name,
        udk_ac=SecretBytes(udk.reveal()),
        random_bytes=seeded_random(seed, f"chip/{card.card_number}"),
    )


def insert(parts: Offices, who: Holder) -> Card:
    """Give the chip as it lies in the slot, its state as last written."""
    image = CardImage.load(who.image_path)
    return Card(image, parts.clock, parts.random_for(f"card/{who.card.card_number}"))
