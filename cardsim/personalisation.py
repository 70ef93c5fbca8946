"""Making cards: a profile and what one card has of its own give an image."""

import datetime

from cardsim import limits
from cardsim.errors import ProfileError
from cardsim.image import ApplicationImage, ApplicationState, CardImage
from cardsim.profile import Profile, load_profile
from protocols.business_time import WITA
from protocols.clock import RandomBytes
from protocols.emv import tlv
from protocols.values import Pan, SecretBytes

_PIN_DIGITS = (4, 12)
_TRACK2_DISCRETIONARY = "00000000000"
_STAMP = "%y%m%d%H%M%S"


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
    balance_sen: int = 0,
    balance_at: datetime.datetime = datetime.datetime(2025, 1, 1, tzinfo=WITA),
    random_bytes: RandomBytes,
) -> CardImage:
    """Give the image of one card; equal arguments and random bytes give equal images.

    `udk_ac` is the card's own master key for cryptograms (option A), `udk_mac` and
    `udk_encipherment` those for scripts (None: the card takes no scripts). `psn` is two digits.
    `name` is written in the card's character set and cut to 26 bytes. `pin` is the offline
    reference PIN, empty for none. `balance_sen` and `balance_at` (WITA) fill the balance mirror.
    Raises ProfileError for an unknown profile or values that no card can hold.
    Source: Perwali 70/2025 art. 1(15); EMV 4.4 Book 3, Annex A.
    """
    template = load_profile(profile) if isinstance(profile, str) else profile
    _check(psn, pin, balance_sen, udk_ac, udk_mac, udk_encipherment)
    values = _values(template, pan, expiry, effective, psn, name)
    application = template.application
    state = ApplicationState(
        pin=pin,
        pin_tries=application["pin_try_limit"] if pin else 0,
        balance_mirror=balance_mirror(balance_sen, balance_at),
    )
    image = ApplicationImage(
        aid=bytes.fromhex(application["aid"]),
        label=application["label"],
        priority=application["priority"],
        language=application["language"],
        aip=bytes.fromhex(application["aip"]),
        afl=template.afl,
        pdol=template.pdol,
        cdol1=template.cdol1,
        cdol2=template.cdol2,
        records=_records(template, values),
        derivation_key_index=application["derivation_key_index"],
        cryptogram_version=application["cryptogram_version"],
        lower_offline_limit=application["lower_offline_limit"],
        upper_offline_limit=application["upper_offline_limit"],
        offline_amount_limit_sen=application["offline_amount_limit_sen"],
        pin_try_limit=application["pin_try_limit"],
        issuer_authentication_mandatory=application["issuer_authentication_mandatory"],
        gpo_format=application["gpo_format"],
        udk_ac=udk_ac,
        udk_mac=udk_mac,
        udk_encipherment=udk_encipherment,
        state=state,
    )
    serial = random_bytes(8).hex()
    return CardImage(template.name, serial, template.protocol, template.atr, (image,))


def balance_mirror(balance_sen: int, at: datetime.datetime) -> bytes:
    """Give tag DF71: 12 digits of sen, then YYMMDDhhmmss in WITA of when they were true.

    >>> balance_mirror(30000000, datetime.datetime(2026, 1, 5, 9, 14, 7, tzinfo=WITA)).hex()
    '000030000000260105091407'
    """
    if not 0 <= balance_sen < 10**12:
        raise ProfileError("a balance mirror holds 0 to 999999999999 sen.")
    assert at.tzinfo is not None, "a time without a zone is no instant"
    return bytes.fromhex(f"{balance_sen:012d}{at.astimezone(WITA).strftime(_STAMP)}")


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
    if balance_sen < 0:
        raise ProfileError("a balance mirror is never negative.")
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
    }


def _even(digits: str) -> str:
    return digits + "F" * (len(digits) % 2)


def _records(template: Profile, values: dict[str, bytes]) -> dict[tuple[int, int], bytes]:
    records: dict[tuple[int, int], bytes] = {}
    for sfi, number, objects in template.records:
        pairs = [
            (tag, values[value] if value in values else bytes.fromhex(value))
            for tag, value in objects
        ]
        record = tlv.build([("70", tlv.build(pairs))])
        if len(record) > limits.RECORD_BYTES:
            raise ProfileError(
                f"record {number} of file {sfi} of profile {template.name} is longer than "
                f"{limits.RECORD_BYTES} bytes."
            )
        records[sfi, number] = record
    return records
