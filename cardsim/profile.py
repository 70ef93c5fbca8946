"""Personalisation profiles: TOML files under `profiles/`, read strictly.

Unknown keys, wrong lengths, missing records and cryptogram data that a list does not ask for are
errors that name file and line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cardsim import limits
from cardsim.application import AC_TAGS
from cardsim.authority import PUBLISHED
from cardsim.errors import ProfileError
from cardsim.toml_text import parse_table, read_text
from protocols.emv import tlv
from protocols.emv.afl import AflEntry, build_afl
from protocols.emv.dol import build_dol
from protocols.emv.errors import EmvDataError
from protocols.toml_lines import line_of

#: What a record may leave open until a card is personalised.
PLACEHOLDERS = frozenset(
    (
        "{track2}",
        "{name}",
        "{pan}",
        "{psn}",
        "{expiry}",
        "{effective}",
        "{service}",
        "{cdol1}",
        "{cdol2}",
        "{ca_index}",
        "{certificate}",
        "{remainder}",
        "{exponent}",
        "{signature}",
        "{ddol}",
        "{icc_certificate}",
        "{icc_remainder}",
        "{icc_exponent}",
    )
)
#: Digits of a length in a list: one byte says it.
_LENGTH_DIGITS = 3
_MANDATORY_TAGS = ("5A", "5F24", "8C", "8D", "57")
_APPLICATION_KEYS = {
    "aid": str,
    "label": str,
    "priority": int,
    "language": str,
    "aip": str,
    "gpo_format": int,
    "pdol": list,
    "cdol1": list,
    "cdol2": list,
    "derivation_key_index": int,
    "cryptogram_version": int,
    "lower_offline_limit": int,
    "upper_offline_limit": int,
    "offline_amount_limit_sen": int,
    "pin_try_limit": int,
    "issuer_authentication_mandatory": bool,
    "service_code": str,
}
#: Keys that a product may do without: a DDOL (its cards sign dynamically), and `signer`:
#: cards of a published authority are signed under it unless another signer is given.
_OPTIONAL_KEYS = {"ddol": list, "signer": str}
#: The contactless form, for products that have one: its PDOL and its AIP.
_CONTACTLESS_KEYS = {"pdol": list, "aip": str}
_OPTIONAL_TOP = {"contactless": dict}
_TOP_KEYS = {"profile": dict, "card": dict, "application": dict, "record": list}
_PROFILE_KEYS = {"name": str, "description": str}
_CARD_KEYS = {"atr": str, "protocol": int}
_RECORD_KEYS = {"sfi": int, "number": int, "objects": list}
_OPTIONAL_RECORD_KEYS = {"authenticated": bool}

#: What only a signed card has: on other cards the records that hold it are left out.
SIGNER_PLACEHOLDERS = frozenset(
    (
        "{ca_index}", "{certificate}", "{remainder}", "{exponent}", "{signature}",
        "{icc_certificate}", "{icc_remainder}", "{icc_exponent}",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordTemplate:
    """A record before personalisation; `authenticated`: it enters offline data authentication."""

    sfi: int
    number: int
    objects: tuple[tuple[str, str], ...]
    authenticated: bool = False

    @property
    def for_signer(self) -> bool:
        """Tell whether only a signed card has this record."""
        return any(value in SIGNER_PLACEHOLDERS for _, value in self.objects)


@dataclass(frozen=True, slots=True)
class Profile:
    """A product's data: everything but what one card has of its own."""

    name: str
    description: str
    atr: bytes
    protocol: int
    application: Mapping[str, Any]
    pdol: bytes
    cdol1: bytes
    cdol2: bytes
    ddol: bytes
    records: tuple[RecordTemplate, ...]
    signer: str = ""
    contactless_pdol: bytes = b""
    contactless_aip: bytes = b"\x00\x00"


class _Fault(Exception):  # noqa: N818 - becomes a ProfileError, never leaves
    """A fault at a key path; becomes a ProfileError with file and line."""

    def __init__(self, path: tuple[str | int, ...], what: str) -> None:
        super().__init__(what)
        self.path = path
        self.what = what


def load_profile(name: str) -> Profile:
    """Give a built-in profile by name (`ssn`, `nsiccs-debit`) or one from a path ending in .toml.

    Raises ProfileError.

    >>> load_profile("ssn").application["label"]
    'SSN PANGAN'
    """
    if name.endswith(".toml"):
        return parse_profile(read_text(Path(name), "profile", ProfileError), name)
    return _built_in(name)


@cache
def _built_in(name: str) -> Profile:
    place = files("cardsim").joinpath("profiles", f"{name}.toml")
    if not name.replace("-", "").isalnum() or not place.is_file():
        known = ", ".join(profile_names())
        raise ProfileError(f"no card profile {name[:32]!r}.", fix=f"Known: {known}.")
    return parse_profile(place.read_text("utf-8"), f"{name}.toml")


def profile_names() -> tuple[str, ...]:
    """Give the names of the built-in profiles.

    >>> profile_names()
    ('emv-generic', 'emv-long', 'nsiccs-debit', 'ssn')
    """
    folder = files("cardsim").joinpath("profiles")
    names = (entry.name for entry in folder.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def parse_profile(text: str, where: str) -> Profile:
    """Give the profile of a TOML text; raise ProfileError with `where:line:`."""
    table = parse_table(text, where, ProfileError)
    try:
        return _build(table)
    except _Fault as fault:
        line = line_of(text, fault.path)
        raise ProfileError(f"{where}:{line}: {fault.what}.") from None


def _build(table: dict[str, Any]) -> Profile:
    _check_keys(table, _TOP_KEYS, (), _OPTIONAL_TOP)
    _check_keys(table["profile"], _PROFILE_KEYS, ("profile",))
    _check_keys(table["card"], _CARD_KEYS, ("card",))
    application = table["application"]
    _check_keys(application, _APPLICATION_KEYS, ("application",), _OPTIONAL_KEYS)
    names = ("pdol", "cdol1", "cdol2", "ddol")
    dols = {name: _dol(application, name, ("application",)) for name in names}
    contactless = _contactless(table.get("contactless"))
    if application.get("signer", "published") not in PUBLISHED:
        raise _Fault(("application", "signer"), f"signer is one of {', '.join(PUBLISHED)}")
    for name in ("cdol1", "cdol2"):
        _check_asked(application[name], AC_TAGS, ("application", name))
    _check_numbers(application)
    if table["card"]["protocol"] not in (0, 1):
        raise _Fault(("card", "protocol"), "protocol is 0 or 1")
    if len(table["record"]) > limits.RECORDS:
        raise _Fault(("record",), f"more than {limits.RECORDS} records")
    records = tuple(_record(entry, index) for index, entry in enumerate(table["record"]))
    _check_records(records)
    return Profile(
        name=table["profile"]["name"],
        description=table["profile"]["description"],
        atr=_octets(table["card"]["atr"], ("card", "atr"), 2, 33),
        protocol=table["card"]["protocol"],
        application=application,
        pdol=dols["pdol"],
        cdol1=dols["cdol1"],
        cdol2=dols["cdol2"],
        ddol=dols["ddol"],
        records=records,
        signer=application.get("signer", ""),
        contactless_pdol=contactless[0],
        contactless_aip=contactless[1],
    )


def _check_keys(
    table: Any,
    keys: Mapping[str, type],
    path: tuple[str | int, ...],
    optional: Mapping[str, type] = MappingProxyType({}),
) -> None:
    if not isinstance(table, dict):
        raise _Fault(path, "a table must stand here")
    for key in table:
        if key not in keys and key not in optional:
            raise _Fault((*path, key), f"unknown key {key!r}")
    for key, kind in {**keys, **optional}.items():
        if key not in table:
            if key in optional:
                continue
            raise _Fault(path, f"key {key!r} is missing")
        if type(table[key]) is not kind:
            raise _Fault((*path, key), f"{key} must be of type {kind.__name__}")


def _check_numbers(application: dict[str, Any]) -> None:
    ranges = {
        "priority": (1, 15),
        "gpo_format": (1, 2),
        "derivation_key_index": (0, 255),
        "cryptogram_version": (0, 255),
        "lower_offline_limit": (0, 255),
        "upper_offline_limit": (0, 255),
        "offline_amount_limit_sen": (0, 10**12 - 1),
        "pin_try_limit": (1, limits.PIN_TRIES),
    }
    for name, (lowest, highest) in ranges.items():
        if not lowest <= application[name] <= highest:
            raise _Fault(("application", name), f"{name} is {lowest} to {highest}")
    _octets(application["aid"], ("application", "aid"), 5, 16)
    _octets(application["aip"], ("application", "aip"), 2, 2)
    service = application["service_code"]
    if not (len(service) == 3 and service.isascii() and service.isdigit()):
        raise _Fault(("application", "service_code"), "service_code is three digits")
    label, language = application["label"], application["language"]
    if not (label.isascii() and label.isprintable() and 1 <= len(label) <= 16):
        raise _Fault(("application", "label"), "label is 1 to 16 printable ASCII characters")
    if not (language.isascii() and language.islower() and len(language) in (2, 4, 6, 8)):
        raise _Fault(("application", "language"), "language is one to four two-letter codes")


def _octets(text: str, path: tuple[str | int, ...], shortest: int, longest: int) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        raise _Fault(path, f"{path[-1]} is no hex text") from None
    if not shortest <= len(value) <= longest:
        raise _Fault(path, f"{path[-1]} is {shortest} to {longest} bytes")
    return value


def _check_asked(entries: list[str], tags: tuple[str, ...], path: tuple[str | int, ...]) -> None:
    asked = [entry.split()[0] for entry in entries]
    if missing := [tag for tag in tags if tag not in asked]:
        raise _Fault(path, f"{path[-1]} does not ask for {missing[0]} (cryptogram data)")


def _contactless(table: Any) -> tuple[bytes, bytes]:
    """Give PDOL and AIP of the contactless form, both empty of meaning without one."""
    if table is None:
        return b"", bytes(2)
    _check_keys(table, _CONTACTLESS_KEYS, ("contactless",))
    pdol = _dol(table, "pdol", ("contactless",))
    _check_asked(table["pdol"], (*AC_TAGS, "9F66"), ("contactless", "pdol"))
    return pdol, _octets(table["aip"], ("contactless", "aip"), 2, 2)


def _dol(application: dict[str, Any], name: str, path: tuple[str | int, ...]) -> bytes:
    entries: list[tuple[str, int]] = []
    for entry in application.get(name, []):
        tag, _, length = entry.partition(" ") if isinstance(entry, str) else ("", "", "")
        if not (length.isascii() and length.isdigit() and len(length) <= _LENGTH_DIGITS):
            raise _Fault((*path, name), f"an entry of {name} is not 'TAG LENGTH'")
        entries.append((tag, int(length)))
    try:
        return build_dol(entries)
    except (EmvDataError, ValueError, OverflowError):
        raise _Fault((*path, name), f"{name} is no valid data object list") from None


def _record(entry: Any, index: int) -> RecordTemplate:
    path = ("record", index)
    _check_keys(entry, _RECORD_KEYS, path, _OPTIONAL_RECORD_KEYS)
    if not 1 <= entry["sfi"] <= 10 or not 1 <= entry["number"] <= 255:
        raise _Fault(path, "sfi is 1 to 10 and number 1 to 255")
    objects: list[tuple[str, str]] = []
    for item in entry["objects"]:
        if not (isinstance(item, list) and len(item) == 2 and all(type(x) is str for x in item)):
            raise _Fault((*path, "objects"), "an object is [tag, value]")
        tag, value = item
        _check_tag(tag, path)
        if value not in PLACEHOLDERS:
            content = _octets(value, (*path, "objects"), 1, limits.RECORD_BYTES)
            _check_content(tag, content, path)
        objects.append((tag, value))
    authenticated = entry.get("authenticated", False)
    if authenticated and any(value == "{signature}" for _, value in objects):
        raise _Fault((*path, "objects"), "a signature cannot stand in a record that it signs")
    return RecordTemplate(entry["sfi"], entry["number"], tuple(objects), authenticated)


def _check_tag(tag: str, path: tuple[str | int, ...]) -> None:
    try:
        tlv.build([(tag, b"")])
        if not tag.isupper() and not tag.isdecimal():
            raise ValueError
    except (EmvDataError, ValueError):
        what = f"{tag[:16]!r} is no tag in capital hex digits"
        raise _Fault((*path, "objects"), what) from None


def _check_content(tag: str, content: bytes, path: tuple[str | int, ...]) -> None:
    """Check that an object whose tag says that it holds objects does."""
    try:
        tlv.parse(tlv.build([(tag, content)]))
    except EmvDataError:
        raise _Fault((*path, "objects"), f"{tag} holds objects, and its value is none") from None


def _check_records(records: tuple[RecordTemplate, ...]) -> None:
    """Check that all is there once."""
    tags = [tag for record in records for tag, _ in record.objects]
    always = {tag for record in records if not record.for_signer for tag, _ in record.objects}
    if missing := [tag for tag in _MANDATORY_TAGS if tag not in always]:
        raise _Fault(("record",), f"no record holds {missing[0]}")
    if len(tags) != len(set(tags)):
        raise _Fault(("record",), "a tag stands in two places")
    places = [(record.sfi, record.number) for record in records]
    for index, (sfi, number) in enumerate(places):
        if (sfi, number) in places[:index]:
            raise _Fault(("record", index), f"record {number} of file {sfi} stands there twice")


def locate(records: Iterable[RecordTemplate]) -> bytes:
    """Give the AFL that reads the records in their order.

    >>> plain, signed = RecordTemplate(1, 1, ()), RecordTemplate(1, 2, (), authenticated=True)
    >>> locate([plain, signed]).hex(), locate([signed, RecordTemplate(1, 3, ())]).hex()
    ('0801010008020201', '08020301')
    """
    entries: list[AflEntry] = []
    for record in records:
        signed = int(record.authenticated)
        last = entries[-1] if entries else None
        # In one entry the authenticated records come first (EMV 4.4 Book 3, 10.2).
        follows = last and last.sfi == record.sfi and last.last + 1 == record.number
        if last and follows and (not signed or last.authenticated == last.last - last.first + 1):
            entries[-1] = AflEntry(last.sfi, last.first, record.number, last.authenticated + signed)
        else:
            entries.append(AflEntry(record.sfi, record.number, record.number, signed))
    return build_afl(tuple(entries))
