"""A card's whole content: what personalisation put there, and the non-volatile state.

The one place where test card numbers and card keys stand in clear (design decision 19); files are
written with mode 0600, and no repr shows any of it.
"""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from cardsim import image_file, limits
from cardsim.errors import CardImageError
from protocols.crypto.errors import CryptoError
from protocols.crypto.rsa import RsaPrivateKey, private_key
from protocols.emv.afl import parse_afl
from protocols.emv.balance_mirror import BalanceMirror
from protocols.emv.dol import dol_length, parse_dol
from protocols.emv.errors import EmvDataError
from protocols.values import SecretBytes

FORMAT = "lumbung-card"
VERSION = 2
#: Version 1 had no card key, DDOL and contactless form; its cards read as cards without them.
READABLE = (1, 2)


@dataclass(slots=True, repr=False)
class ApplicationState:
    """What an application remembers without power.

    `online_pending`: an ARQC left and no final cryptogram followed. `log` holds the newest entry
    first. `pin` is the reference PIN, empty on a card without offline PIN. `balance_mirror` is
    the value of tag DF71: 12 digits of sen and YYMMDDhhmmss (WITA) of when it was true.
    """

    atc: int = 0
    last_online_atc: int = 0
    pin_tries: int = 0
    pin: str = ""
    offline_count: int = 0
    offline_amount_sen: int = 0
    blocked: bool = False
    script_count: int = 0
    script_failed: bool = False
    issuer_authentication_failed: bool = False
    online_pending: bool = False
    balance_mirror: bytes = b""
    log: tuple[bytes, ...] = ()


@dataclass(slots=True, repr=False)
class ApplicationImage:
    """One application: its data, its keys, its state.

    `records` maps (SFI, record number) to a whole record. `icc_key` signs dynamically and
    deciphers PINs; None on a card without. `contactless_pdol` is empty on a card that has no
    contactless form; `contactless_aip` is its AIP there.
    """

    aid: bytes
    label: str
    priority: int
    language: str
    aip: bytes
    afl: bytes
    pdol: bytes
    cdol1: bytes
    cdol2: bytes
    records: dict[tuple[int, int], bytes]
    derivation_key_index: int
    cryptogram_version: int
    lower_offline_limit: int
    upper_offline_limit: int
    offline_amount_limit_sen: int
    pin_try_limit: int
    issuer_authentication_mandatory: bool
    gpo_format: int
    udk_ac: SecretBytes
    udk_mac: SecretBytes | None
    udk_encipherment: SecretBytes | None
    ddol: bytes = b""
    icc_key: RsaPrivateKey | None = None
    contactless_pdol: bytes = b""
    contactless_aip: bytes = b"\x00\x00"
    state: ApplicationState = field(default_factory=ApplicationState)

    def __repr__(self) -> str:
        return f"<ApplicationImage {self.aid.hex().upper()} atc {self.state.atc}>"


@dataclass(slots=True, repr=False)
class CardImage:
    """A card: protocol, answer to reset, applications, and whether it is blocked for good.

    `serial` is 16 hex digits that name the card in traces; `protocol` is 0 or 1 (T=0, T=1).
    """

    profile: str
    serial: str
    protocol: int
    atr: bytes
    applications: tuple[ApplicationImage, ...]
    blocked: bool = False

    def __repr__(self) -> str:
        return f"<CardImage {self.profile} {self.serial}>"

    def to_json(self) -> str:
        """Give the image as JSON text with version and checksum."""
        card = _encode(self)
        document = {
            "format": FORMAT,
            "version": VERSION,
            "checksum": _checksum(card),
            "card": card,
        }
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, where: str = "card image") -> "CardImage":
        """Give the image of a JSON text; raise CardImageError naming `where`."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise _damaged(where, "no JSON") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise _damaged(where, f"no {FORMAT} file")
        if document.get("version") not in READABLE:
            raise CardImageError(
                f"{where}: a card image of version {_short(document.get('version'))}; "
                f"this program reads versions 1 to {VERSION}.",
                fix="Personalise the card anew.",
            )
        card = document.get("card")
        if not isinstance(card, dict) or document.get("checksum") != _checksum(card):
            raise _damaged(where, "the checksum does not match")
        try:
            return _decode(card)
        except (KeyError, TypeError, ValueError, AttributeError, EmvDataError):
            raise _damaged(where, "a field is missing or has another form") from None

    def save(self, path: Path | str) -> None:
        """Write the image durably with mode 0600, replacing the file at once or not at all."""
        image_file.write_private(Path(path), self.to_json().encode("ascii"))

    @classmethod
    def load(cls, path: Path | str) -> "CardImage":
        """Read an image; raise CardImageError for a missing, damaged or foreign file."""
        return cls.from_json(image_file.read_text(Path(path)), str(path))


def _short(value: object) -> str:
    return str(value)[:8] if isinstance(value, int) else "unknown"


def _damaged(where: str, what: str) -> CardImageError:
    return CardImageError(
        f"{where}: not a readable card image: {what}.",
        fix="Restore the file from a copy or personalise the card anew.",
    )


def _checksum(card: dict[str, Any]) -> str:
    text = json.dumps(card, separators=(",", ":"), sort_keys=True)
    return sha256(text.encode("ascii")).hexdigest()


_BYTES = ("aid", "aip", "afl", "pdol", "cdol1", "cdol2")
#: Fields that came with version 2, with what cards of version 1 have instead.
_ADDED = {"ddol": "", "contactless_pdol": "", "contactless_aip": "0000"}
#: Texts with the most characters each may have. EMV 4.4 Book 3, Annex A (50, 5F2D).
_TEXTS = {"label": 16, "language": 8}
#: Whole numbers with the highest each can be: those that travel in one byte end at 255.
_NUMBERS = {
    "priority": 15,
    "derivation_key_index": 0xFF,
    "cryptogram_version": 0xFF,
    "lower_offline_limit": 0xFF,
    "upper_offline_limit": 0xFF,
    "offline_amount_limit_sen": limits.AMOUNT_SEN,
    "pin_try_limit": limits.PIN_TRIES,
    "gpo_format": 2,
}
_KEYS = ("udk_ac", "udk_mac", "udk_encipherment")
_STATE_NUMBERS = {
    "atc": limits.ATC_MAXIMUM,
    "last_online_atc": limits.ATC_MAXIMUM,
    "pin_tries": limits.PIN_TRIES,
    "offline_count": 0xFF,
    "offline_amount_sen": limits.AMOUNT_SEN,
    "script_count": 15,
}
_STATE_FLAGS = ("blocked", "script_failed", "issuer_authentication_failed", "online_pending")


def _encode(image: CardImage) -> dict[str, Any]:
    return {
        "profile": image.profile,
        "serial": image.serial,
        "protocol": image.protocol,
        "atr": image.atr.hex(),
        "blocked": image.blocked,
        "applications": [_encode_application(item) for item in image.applications],
    }


def _encode_application(item: ApplicationImage) -> dict[str, Any]:
    encoded: dict[str, Any] = {name: getattr(item, name).hex() for name in _BYTES}
    encoded.update({name: getattr(item, name) for name in (*_TEXTS, *_NUMBERS)})
    for name in _KEYS:
        key = getattr(item, name)
        encoded[name] = None if key is None else key.reveal().hex()
    encoded.update({name: getattr(item, name).hex() for name in _ADDED})
    encoded["icc_key"] = None if item.icc_key is None else _encode_rsa(item.icc_key)
    encoded["issuer_authentication_mandatory"] = item.issuer_authentication_mandatory
    encoded["records"] = {
        f"{sfi}/{number}": record.hex() for (sfi, number), record in item.records.items()
    }
    state = item.state
    encoded["state"] = {name: getattr(state, name) for name in (*_STATE_NUMBERS, *_STATE_FLAGS)}
    encoded["state"]["pin"] = state.pin
    encoded["state"]["balance_mirror"] = state.balance_mirror.hex()
    encoded["state"]["log"] = [entry.hex() for entry in state.log]
    return encoded


def _encode_rsa(key: RsaPrivateKey) -> dict[str, Any]:
    return {
        "prime_p": f"{key.prime_p:x}",
        "prime_q": f"{key.prime_q:x}",
        "exponent": key.public.exponent,
    }


def _decode_rsa(value: dict[str, Any] | None) -> RsaPrivateKey | None:
    if value is None:
        return None
    primes = [int(_typed(value[name], str), 16) for name in ("prime_p", "prime_q")]
    if max(primes).bit_length() > limits.PRIME_BITS or min(primes) < 2:
        raise ValueError("icc_key")
    return _kept_key(*primes, _in_range(value["exponent"], 65537))


@lru_cache(maxsize=64)
def _kept_key(prime_p: int, prime_q: int, exponent: int) -> RsaPrivateKey:
    """Give the key of two primes: cards share a pool's keys, so each is set up once."""
    try:
        return private_key(prime_p, prime_q, exponent)
    except CryptoError:
        raise ValueError("icc_key") from None


def _decode(card: dict[str, Any]) -> CardImage:
    items = card["applications"]
    if not isinstance(items, list) or not 1 <= len(items) <= limits.APPLICATIONS:
        raise ValueError("applications")
    return CardImage(
        profile=_typed(card["profile"], str),
        serial=_typed(card["serial"], str),
        protocol=_in_range(card["protocol"], 1),
        atr=bytes.fromhex(card["atr"]),
        applications=tuple(_decode_application(item) for item in items),
        blocked=_typed(card["blocked"], bool),
    )


def _decode_application(item: dict[str, Any]) -> ApplicationImage:
    fields: dict[str, Any] = {name: bytes.fromhex(item[name]) for name in _BYTES}
    for name, most in _TEXTS.items():
        fields[name] = _typed(item[name], str)
        if not (fields[name].isascii() and 1 <= len(fields[name]) <= most):
            raise ValueError(name)
    fields.update({name: _in_range(item[name], most) for name, most in _NUMBERS.items()})
    fields.update({name: _key(item[name]) for name in _KEYS})
    if fields["udk_ac"] is None:
        raise ValueError("udk_ac")
    for name, absent in _ADDED.items():
        fields[name] = bytes.fromhex(item.get(name, absent))
    if not len(fields["contactless_aip"]) == len(fields["aip"]) == limits.AIP_BYTES:
        raise ValueError("aip")
    if not limits.AID_BYTES[0] <= len(fields["aid"]) <= limits.AID_BYTES[1]:
        raise ValueError("aid")
    parse_afl(fields["afl"])
    fields["icc_key"] = _decode_rsa(item.get("icc_key"))
    for name in ("pdol", "cdol1", "cdol2", "ddol", "contactless_pdol"):
        dol_length(parse_dol(fields[name]))
    records = _decode_records(item["records"])
    mandatory = _typed(item["issuer_authentication_mandatory"], bool)
    return ApplicationImage(
        **fields,
        records=records,
        issuer_authentication_mandatory=mandatory,
        state=_decode_state(item["state"]),
    )


def _decode_records(places: dict[str, str]) -> dict[tuple[int, int], bytes]:
    if len(places) > limits.RECORDS:
        raise ValueError("records")
    records: dict[tuple[int, int], bytes] = {}
    for place, text in places.items():
        sfi, _, number = place.partition("/")
        records[int(sfi), int(number)] = record = bytes.fromhex(text)
        if not (0 < int(sfi) <= limits.SFI and 0 < int(number) <= limits.RECORD_NUMBER):
            raise ValueError("record number")
        if len(record) > limits.RECORD_BYTES:
            raise ValueError("record")
    return records


def _decode_state(state: dict[str, Any]) -> ApplicationState:
    fields: dict[str, Any] = {
        name: _in_range(state[name], most) for name, most in _STATE_NUMBERS.items()
    }
    fields.update({name: _typed(state[name], bool) for name in _STATE_FLAGS})
    log = tuple(bytes.fromhex(entry) for entry in state["log"])[: limits.LOG_ENTRIES]
    if any(len(entry) != limits.LOG_ENTRY_BYTES for entry in log):
        raise ValueError("log")
    mirror = bytes.fromhex(state["balance_mirror"])
    if mirror:
        BalanceMirror.read(mirror)
    return ApplicationState(**fields, pin=_typed(state["pin"], str), balance_mirror=mirror, log=log)


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(kind.__name__)
    return value


def _in_range(value: Any, maximum: int) -> int:
    number: int = _typed(value, int)
    if not 0 <= number <= maximum:
        raise ValueError("out of range")
    return number


def _key(value: str | None) -> SecretBytes | None:
    if value is None:
        return None
    key = bytes.fromhex(value)
    if len(key) != 16:
        raise ValueError("key")
    return SecretBytes(key)
