"""GENERATE AC: filling its list, reading its answer. Source: EMV 4.4 Book 3, 6.5.5 and 10.8."""

from collections.abc import Generator
from dataclasses import dataclass
from hashlib import sha1

from protocols.emv import commands, dol, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import AcType
from protocols.emv.errors import EmvDataError
from protocols.emv.flags import Tvr
from terminal.kernel.context import KernelContext

#: The two bits of 9F27 that give the type. EMV 4.4 Book 3, 6.5.5.4.
_TYPE_BITS = 0xC0
#: How high a cryptogram stands: a card may answer lower than asked, never higher. Book 3, 9.3.
_RANK = {AcType.AAC: 0, AcType.ARQC: 1, AcType.TC: 2}
_TYPES = {int(kind): kind for kind in AcType}


class AcError(Exception):
    """The card's answer to GENERATE AC is no cryptogram; `code` names the reason."""

    def __init__(self, code: str) -> None:
        """Keep the reason's code."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class CardCryptogram:
    """A cryptogram as the card gave it: 9F27, 9F36, 9F26, 9F10 (empty when absent)."""

    cid: int
    atc: bytes
    cryptogram: bytes
    issuer_application_data: bytes

    @property
    def kind(self) -> AcType:
        """Give the cryptogram's type."""
        return _TYPES[self.cid & _TYPE_BITS]


def generate_ac(
    context: KernelContext, kind: AcType, cdol_tag: str
) -> Generator[CommandApdu, ResponseApdu, CardCryptogram]:
    """Ask for a cryptogram over the objects of CDOL1 (8C) or CDOL2 (8D); raise AcError."""
    values = dict(context.dol_values())
    entries = context.lists[cdol_tag]
    if any(tag == "98" for tag, _ in entries):
        try:
            values["98"] = certificate_hash(context, values)
        except EmvDataError:
            raise AcError("data-malformed") from None
        values["95"] = context.tvr.encoded()
    data = dol.fill_dol(entries, values)
    answer = yield commands.generate_ac(kind, data)
    if not answer.ok:
        raise AcError("ac-status")
    given = read_cryptogram(answer.data)
    if given.cid & _TYPE_BITS not in _TYPES or _RANK[given.kind] > _RANK[kind]:
        raise AcError("ac-type")
    return given


def certificate_hash(context: KernelContext, values: dict[str, bytes]) -> bytes:
    """Give tag 98: SHA-1 over the card's TDOL objects, or over the terminal's default list.

    Using the default list sets its TVR bit. Source: EMV 4.4 Book 3, 9.2.2; SHA-1 is EMV's choice.
    """
    tdol = context.card.get("97")
    if tdol is None:
        context.tvr |= Tvr.DEFAULT_TDOL_USED
        tdol = context.data.default_tdol
    now = {**values, "95": context.tvr.encoded()}
    return sha1(dol.fill_dol(tdol, now), usedforsecurity=False).digest()


def read_cryptogram(data: bytes) -> CardCryptogram:
    """Give the cryptogram of a response in format 1 (80) or 2 (77); raise AcError.

    >>> read_cryptogram(bytes.fromhex("800B80000117A6E3D1F0B2C455")).atc.hex()
    '0001'
    """
    try:
        outer = tlv.parse_flat(data)
        if list(outer) == ["80"]:
            body = outer["80"]
            parts = (body[:1], body[1:3], body[3:11], body[11:])
        elif list(outer) == ["77"]:
            objects = tlv.parse_flat(outer["77"])
            parts = (
                objects.get("9F27", b""),
                objects.get("9F36", b""),
                objects.get("9F26", b""),
                objects.get("9F10", b""),
            )
        else:
            raise AcError("ac-malformed")
    except EmvDataError:
        raise AcError("ac-malformed") from None
    cid, atc, cryptogram, issuer_data = parts
    if (len(cid), len(atc), len(cryptogram)) != (1, 2, 8) or len(issuer_data) > 32:
        raise AcError("ac-malformed")
    return CardCryptogram(cid[0], atc, cryptogram, issuer_data)
