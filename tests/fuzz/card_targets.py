"""Fuzz targets of virtual cards: commands, image files, profiles, fault plans, reader's wire."""

import contextlib
import copy
import datetime
import json
import random
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from cardsim import Card, CardImage, CardImageError, FaultPlanError, ProfileError, personalise
from cardsim.fault_kinds import fault_kinds
from cardsim.faults import FaultLayer, parse_faults
from cardsim.profile import parse_profile, profile_names
from cardsim.transport_wire import FramingError
from cardsim.vpcd import VpcdSlot
from protocols.emv import tlv
from protocols.emv.afl import parse_afl
from protocols.values import Pan, SecretBytes

KEY = SecretBytes(bytes(range(16)))
PAN = Pan("9360099900000018")
#: A whole purchase of the food card: SELECT, GPO, records, GENERATE AC, EXTERNAL AUTHENTICATE.
PURCHASE = (
    "00A4040005F053534E0100",
    "80A80000078305036003600000",
    "00B2010C00",
    f"80AE800021{'00' * 33}00",
    f"008200000A{'00' * 10}",
    f"80AE40001F{'00' * 31}00",
)


class StillClock:
    """A clock that stands."""

    def now_ns(self) -> int:
        """Give 0."""
        return 0

    def monotonic_ns(self) -> int:
        """Give 0."""
        return 0


@cache
def image_text(profile: str) -> str:
    """Give a personalised card's file."""
    made = personalise(
        profile, pan=PAN, expiry=datetime.date(2030, 12, 31), psn="01", name="FUZZ", pin="123456",
        udk_ac=KEY, udk_mac=KEY, udk_encipherment=KEY, random_bytes=random.Random(1).randbytes,
    )  # fmt: skip
    return made.to_json()


def powered(text: str) -> Card:
    """Give a powered card of an image's text."""
    card = Card(CardImage.from_json(text), StillClock(), random.Random(2).randbytes)
    card.power()
    return card


def run_card(raw: bytes) -> None:
    """Send commands, each behind its length, to a card of the profile that the first byte names."""
    names = profile_names()
    card = powered(image_text(names[raw[0] % len(names)] if raw else names[0]))
    at, counter = 1, 0
    while at < len(raw):
        command = raw[at + 1 : at + 1 + raw[at]]
        at += 1 + raw[at]
        answer = card.apdu(command)
        assert 2 <= len(answer) <= 258
        assert KEY.reveal() not in answer
        now = card.image.applications[0].state.atc
        assert now >= counter, "a counter ran back"
        counter = now
    # Whatever it was told, its file can be read again.
    assert CardImage.from_json(card.image.to_json()).to_json() == card.image.to_json()


def purchases() -> list[bytes]:
    """Give whole purchases as the card target reads them."""
    sent = [bytes.fromhex(text) for text in PURCHASE]
    body = b"".join(bytes((len(command),)) + command for command in sent)
    return [bytes((number,)) + body for number in range(len(profile_names()))]


def run_image(raw: bytes) -> None:
    """Read a card file with this content and its checksum; what comes out works and writes back."""
    text = raw.decode("ascii", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(text)
        canonical = json.dumps(content, separators=(",", ":"), sort_keys=True).encode("ascii")
        document = {"format": "lumbung-card", "version": 2, "card": content}
        text = json.dumps({**document, "checksum": sha256(canonical).hexdigest()})
    try:
        image = CardImage.from_json(text)
        card = Card(image, StillClock(), random.Random(2).randbytes)
    except CardImageError:
        # A list that misses cryptogram data is refused when the card is made.
        return
    card.power()
    aid = image.applications[0].aid
    for command in (f"00A40400{len(aid):02X}{aid.hex()}00", *PURCHASE[1:], "80CA9F3600"):
        assert 2 <= len(card.apdu(bytes.fromhex(command))) <= 258
    assert CardImage.from_json(image.to_json()).to_json() == image.to_json()


def images() -> list[bytes]:
    """Give the content of every product's card, and JSON that is nested too deep."""
    cards = [json.loads(image_text(name))["card"] for name in profile_names()]
    return [*(json.dumps(card).encode() for card in cards), b"[" * 5_000]


#: What an edited card file may hold in the place of anything.
ODD_VALUES = (
    None, True, 0, -1, 2, 255, 256, 65_536, 10**13, 1.5, "", "zz", "ABC", "00", "FF" * 300, "9F02",
    "9F0206", "\u00e9", [], {}, [[]], "7000",
)  # fmt: skip


def run_image_edit(raw: bytes) -> None:
    """Read a product's card file with one or two values changed, its checksum made right again."""
    draw = random.Random(raw)
    card = json.loads(image_text(draw.choice(profile_names())))["card"]
    for _ in range(draw.choice((1, 1, 2))):
        holder, key = draw.choice(list(places(card)))
        value = holder[key]
        if isinstance(value, str) and draw.random() < 0.5:
            at = draw.randrange(len(value) + 1)
            holder[key] = draw.choice((value[:at], value * 2, value[:at] + "00" + value[at:]))
        else:
            holder[key] = draw.choice(ODD_VALUES)
    run_image(json.dumps(card).encode())


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """Give each place of a JSON value, as what holds it and its key there."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def run_profile(raw: bytes) -> None:
    """Read a profile; one that comes out makes a card, or is refused for what it says."""
    try:
        profile = parse_profile(raw.decode("utf-8", "replace"), "fuzz.toml")
        made = personalise(
            profile, pan=PAN, expiry=datetime.date(2030, 12, 31), psn="01", name="FUZZ",
            udk_ac=KEY, random_bytes=random.Random(1).randbytes,
        )  # fmt: skip
    except ProfileError:
        return
    assert powered(made.to_json()).apdu(bytes.fromhex("00A4040000"))[-2:] == b"\x67\x00"


def run_profile_edit(raw: bytes) -> None:
    """Read a built-in profile with one to three places changed; refusals name file and line.

    A card that comes out answers: its file can be read again, and a terminal that follows its
    file locator finds every mandatory object once.
    """
    draw = random.Random(raw)
    table = tomllib.loads(draw.choice(profiles()).decode())
    for _ in range(draw.choice((1, 1, 2, 3))):
        edit_profile(table, draw)
    text = toml_of(table)
    refused = ""
    try:
        profile = parse_profile(text, "fuzz.toml")
    except ProfileError as error:
        refused = error.external
    if refused:
        assert re.match(r"fuzz\.toml:\d+: ", refused), refused
        return
    with contextlib.suppress(ProfileError):  # a record too long, no place for a signature
        made = personalise(
            profile, pan=PAN, expiry=datetime.date(2030, 12, 31), psn="01", name="FUZZ",
            udk_ac=KEY, random_bytes=random.Random(1).randbytes,
        )  # fmt: skip
        check_made(made)


def edit_profile(table: dict[str, Any], draw: random.Random) -> None:
    """Change one place: another value, none, twice, two swapped, or a key that nobody knows."""
    found = list(places(table))
    if not found:
        return
    holder, key = draw.choice(found)
    how = draw.randrange(5)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif how == 2:
        other = draw.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        holder[key], holder[other] = holder[other], holder[key]
    elif how == 3 and isinstance(holder, dict):
        holder[draw.choice(("colour", "version", "sfi", "aid"))] = 1
    else:
        odd = [value for value in (*ODD_VALUES, "9F02 99", "5A 4", "5a") if value is not None]
        holder[key] = draw.choice(odd)


def toml_of(table: dict[str, Any]) -> str:
    """Give a profile's table as TOML; JSON writes the same values but for tables in arrays."""
    plain, tables = [], []
    for name, value in table.items():
        is_array = isinstance(value, list) and value and all(type(x) is dict for x in value)
        if isinstance(value, dict) or is_array:
            head = f"[[{name}]]" if is_array else f"[{name}]"
            tables += [
                "\n".join((head, *(f"{k} = {inline(v)}" for k, v in one.items())))
                for one in (value if is_array else (value,))
            ]
        else:
            plain.append(f"{name} = {inline(value)}")
    return "\n".join((*plain, *tables))


def inline(value: object) -> str:
    """Give a value in one line of TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return json.dumps(value)


def check_made(made: CardImage) -> None:
    """Check what a terminal relies on in any card that personalisation gives."""
    assert CardImage.from_json(made.to_json()).to_json() == made.to_json()
    one = made.applications[0]
    tags = [item.tag for record in one.records.values() for item in tlv.parse(record)[0].children]
    assert [tags.count(tag) for tag in ("5A", "57", "5F24", "8C", "8D")] == [1] * 5
    located = {
        (entry.sfi, number)
        for entry in parse_afl(one.afl)
        for number in range(entry.first, entry.last + 1)
    }
    assert located == set(one.records)


def profiles() -> list[bytes]:
    """Give the built-in profiles."""
    folder = files("cardsim").joinpath("profiles")
    return [folder.joinpath(f"{name}.toml").read_bytes() for name in profile_names()]


def run_plan(raw: bytes) -> None:
    """Read a fault plan and run a purchase under it."""
    try:
        plan = parse_faults(raw.decode("utf-8", "replace"), "plan.toml")
        layer = FaultLayer(powered(image_text("ssn")), plan)
    except FaultPlanError:
        return
    for text in PURCHASE:
        layer.exchange(bytes.fromhex(text))
    assert KEY.reveal().hex() not in layer.trace.text().lower()


def plans() -> list[bytes]:
    """Give plans of several kinds as TOML."""
    named = sorted({fault.action.value for kind in fault_kinds().values() for fault in kind.faults})
    return [
        f'seed = 7\n[[fault]]\naction = "{action}"\ncommand = "READ_RECORD"\nevery = true\n'
        f'tag = "57"\ndata = "9F36"\nprobability = 0.5\n'.encode()
        for action in named
    ]


def run_wire(raw: bytes) -> None:
    """Feed the reader's bytes whole and one at a time: the same requests, the same reactions.

    A frame that is none ends the connection, and what came with it in one piece is never seen.
    """
    seen, broken = [], False
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        slot = VpcdSlot(FaultLayer(powered(image_text("ssn"))))
        reactions = []
        try:
            for piece in pieces:
                reactions += [slot.react(request) for request in slot.receive(piece)]
        except FramingError:
            broken = True
        seen.append([None if item is None else (item.kind, item.data) for item in reactions])
    assert seen[0] == seen[1][: len(seen[0])]
    assert broken or len(seen[0]) == len(seen[1])


def wires() -> list[bytes]:
    """Give a session of the driver: on, ATR, commands, off."""
    frames = [b"\x01", b"\x04", *(bytes.fromhex(text) for text in PURCHASE), b"\x02", b"\x00"]
    return [b"".join(len(body).to_bytes(2, "big") + body for body in frames)]
