"""Making cards: a profile and what one card has of its own give an image."""

import datetime
from dataclasses import replace
from typing import Any

from cardsim import limits
from cardsim.authority import Signer, published_authority
from cardsim.errors import ProfileError
from cardsim.image import ApplicationImage, ApplicationState, CardImage
from cardsim.profile import Profile, RecordTemplate, load_profile, locate
from cardsim.signing import DYNAMIC_PLACEHOLDERS, STATIC_PLACEHOLDERS, signed_values
from protocols.business_time import WITA
from protocols.clock import RandomBytes
from protocols.crypto.oda import static_data
from protocols.emv import tlv
from protocols.emv.balance_mirror import BalanceMirror
from protocols.emv.flags import Aip
from protocols.values import Pan, SecretBytes

_PIN_DIGITS = (4, 12)
#: Fields of an application that stand in its profile as they are.
_COPIED = (
    "label",
    "priority",
    "language",
    "derivation_key_index",
    "cryptogram_version",
    "lower_offline_limit",
    "upper_offline_limit",
    "offline_amount_limit_sen",
    "pin_try_limit",
    "issuer_authentication_mandatory",
    "gpo_format",
)
#: Tag 9F4A of every card here: the AIP is signed too. EMV 4.4 Book 3, 10.3.
_STATIC_TAG_LIST = b"\x82"
_TRACK2_DISCRETIONARY = "00000000000"


def personalise(
    profile: str | Profile,
    *,
    pan: Pan,
    expiry: datetime.date,
    psn: str,
    name: str,
    udk_ac: SecretBytes,
    udk_mac: SecretBytes | None = None,
    udk_encipherment: SecretBytes | None = None,
    pin: str = "",
    effective: datetime.date = datetime.date(2025, 1, 1),
    signer: Signer | None = None,
    balance_sen: int = 0,
    balance_at: datetime.datetime = datetime.datetime(2025, 1, 1, tzinfo=WITA),
    random_bytes: RandomBytes,
) -> CardImage:
    """Give the image of one card; equal arguments and random bytes give equal images.

    `udk_ac` is the card's own master key for cryptograms (option A), `udk_mac` and
    `udk_encipherment` those for scripts (None: the card takes no scripts). `psn` is two digits.
    `name` is written in the card's character set and cut to 26 bytes. `pin` is the offline
    reference PIN, empty for none. `signer` signs the card, when the profile has a place for what
    it signs, and sets the AIP's bits; None takes the one that the profile names, if any.
    `balance_sen` and `balance_at` (WITA) fill the balance mirror.
    Raises ProfileError for an unknown profile or values that no card can hold.
    Source: Perwali 70/2025 art. 1(15); EMV 4.4 Book 3, Annex A.
    """
    template = load_profile(profile) if isinstance(profile, str) else profile
    _check(psn, pin, balance_sen, udk_ac, udk_mac, udk_encipherment)
    values = _values(template, pan, expiry, effective, psn, name)
    if signer is None and template.signer:
        signer = published_authority(template.signer).signer(pan)
    data = _application_data(template, values, signer, pan, expiry)
    state = ApplicationState(
        pin=pin,
        pin_tries=data["pin_try_limit"] if pin else 0,
        balance_mirror=BalanceMirror(balance_sen, balance_at).encoded(),
    )
    image = ApplicationImage(
        **data, udk_ac=udk_ac, udk_mac=udk_mac, udk_encipherment=udk_encipherment, state=state
    )
    serial = random_bytes(8).hex()
    return CardImage(template.name, serial, template.protocol, template.atr, (image,))


def together(first: CardImage, *others: CardImage) -> CardImage:
    """Give one card with the applications of several, in this order.

    Protocol, answer to reset and serial are the first's; the profile's name joins all names.
    Raises ProfileError for an application that two of them have, or too many.
    Source: EMV 4.4 Book 1, 12.1 (several applications on one card).
    """
    applications = tuple(item for image in (first, *others) for item in image.applications)
    if len({item.aid for item in applications}) != len(applications):
        raise ProfileError("an application stands twice on one card.")
    if len(applications) > limits.APPLICATIONS:
        raise ProfileError(f"a card has at most {limits.APPLICATIONS} applications.")
    name = "+".join(image.profile for image in (first, *others))
    return replace(first, profile=name, applications=applications)


def _application_data(
    template: Profile,
    values: dict[str, bytes],
    signer: Signer | None,
    pan: Pan,
    expiry: datetime.date,
) -> dict[str, Any]:
    """Give the application's fields but for its secret keys and state."""
    application = template.application
    aip = bytes.fromhex(application["aip"])
    wanted = _wanted_records(template, signer)
    icc_key = None
    if signer is not None:
        icc_key = signer.card_key(pan)
        aip = bytes((aip[0] | _signed_aip(signer), aip[1]))
        signed = [(r.sfi, _encode(r, values, template.name)) for r in wanted if r.authenticated]
        data = static_data(signed, aip, _STATIC_TAG_LIST)
        values = values | signed_values(signer, data, pan, expiry)
    records = {(r.sfi, r.number): _encode(r, values, template.name) for r in wanted}
    return {
        **{name: application[name] for name in _COPIED},
        "aid": bytes.fromhex(application["aid"]),
        "aip": aip,
        "afl": locate(wanted),
        "pdol": template.pdol,
        "cdol1": template.cdol1,
        "cdol2": template.cdol2,
        "ddol": template.ddol if icc_key is not None else b"",
        "icc_key": icc_key,
        "contactless_pdol": template.contactless_pdol,
        "contactless_aip": template.contactless_aip,
        "records": records,
    }


def _signed_aip(signer: Signer) -> int:
    """Give the bits of the AIP's first byte that a signer sets. EMV 4.4 Book 3, Annex C1."""
    bits = Aip(0)
    if signer.static:
        bits |= Aip.SDA_SUPPORTED
    if signer.card_keys:
        bits |= Aip.DDA_SUPPORTED
        bits |= Aip.CDA_SUPPORTED if signer.combined else Aip(0)
    return int(bits) >> 8


def card_name(name: str) -> bytes:
    """Give a name as tag 5F20 holds it: printable ASCII, 2 to 26 bytes, others replaced.

    >>> card_name("Siti Nur'aini")
    b"SITI NUR'AINI"
    """
    text = "".join(c if 32 <= ord(c) < 127 else " " for c in name.upper()).strip()
    return text.encode("ascii")[: limits.NAME_BYTES].ljust(2)


def _check(
    psn: str,
    pin: str,
    balance_sen: int,
    *keys: SecretBytes | None,
) -> None:
    if len(psn) != 2 or not (psn.isascii() and psn.isdecimal()):
        raise ProfileError("a card sequence number is two digits.")
    shortest, longest = _PIN_DIGITS
    if pin and not (pin.isascii() and pin.isdecimal() and shortest <= len(pin) <= longest):
        raise ProfileError("a PIN is 4 to 12 digits.")
    if not 0 <= balance_sen < 10**12:
        raise ProfileError("a balance mirror holds 0 to 999999999999 sen.")
    if any(key is not None and len(key) != 16 for key in keys):
        raise ProfileError("a card key is 16 bytes.")


def _values(
    template: Profile,
    pan: Pan,
    expiry: datetime.date,
    effective: datetime.date,
    psn: str,
    name: str,
) -> dict[str, bytes]:
    digits = pan.reveal()
    service: str = template.application["service_code"]
    track = f"{digits}D{expiry.strftime('%y%m')}{service}{_TRACK2_DISCRETIONARY}"[:37]
    return {
        "{pan}": bytes.fromhex(_even(digits)),
        "{track2}": bytes.fromhex(_even(track)),
        "{name}": card_name(name),
        "{psn}": bytes.fromhex(psn),
        "{expiry}": bytes.fromhex(expiry.strftime("%y%m%d")),
        "{effective}": bytes.fromhex(effective.strftime("%y%m%d")),
        "{service}": bytes.fromhex(f"0{service}"),
        "{cdol1}": template.cdol1,
        "{cdol2}": template.cdol2,
        "{ddol}": template.ddol,
    }


def _even(digits: str) -> str:
    return digits + "F" * (len(digits) % 2)


def _wanted_records(template: Profile, signer: Signer | None) -> tuple[RecordTemplate, ...]:
    """Give the records that this card has: none that needs a signature which it has not."""
    if signer is None:
        return tuple(record for record in template.records if not record.for_signer)
    absent = frozenset() if signer.static else STATIC_PLACEHOLDERS
    absent |= frozenset() if signer.card_keys else DYNAMIC_PLACEHOLDERS
    places = {value for record in template.records for _, value in record.objects}
    if signer.static and not places & STATIC_PLACEHOLDERS:
        raise ProfileError(f"profile {template.name} has no place for a signature.")
    if signer.card_keys and not places >= DYNAMIC_PLACEHOLDERS:
        raise ProfileError(f"profile {template.name} has no place for a card key.")
    return tuple(
        record
        for record in template.records
        if not any(value in absent for _, value in record.objects)
    )


def _encode(record: RecordTemplate, values: dict[str, bytes], name: str) -> bytes:
    pairs = [
        (tag, values[value] if value in values else bytes.fromhex(value))
        for tag, value in record.objects
    ]
    # An issuer key that fits into its certificate has no remainder, and no object 92.
    encoded = tlv.build([("70", tlv.build([pair for pair in pairs if pair[1]]))])
    if len(encoded) > limits.RECORD_BYTES:
        raise ProfileError(
            f"record {record.number} of file {record.sfi} of profile {name} is longer than "
            f"{limits.RECORD_BYTES} bytes."
        )
    return encoded
