"""GENERATE AC: filling its list, reading its answer. Source: EMV 4.4 Book 3, 6.5.5 and 10.8."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha1

from protocols.emv import commands, dol, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.commands import AcType
from protocols.emv.errors import EmvDataError
from protocols.emv.flags import Tvr
from terminal.kernel.context import KernelContext
from terminal.kernel.dynamic import check_combined

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
    """A cryptogram as the card gave it: 9F27, 9F36, 9F26, 9F10 (empty when absent).

    `cryptogram` is empty when a combined signature, which hides it, did not hold.
    """

    cid: int
    atc: bytes
    cryptogram: bytes
    issuer_application_data: bytes
    combined_failed: bool = False

    @property
    def kind(self) -> AcType:
        """Give the cryptogram's type."""
        return _TYPES[self.cid & _TYPE_BITS]


def generate_ac(
    context: KernelContext, kind: AcType, cdol_tag: str
) -> Generator[CommandApdu, ResponseApdu, CardCryptogram]:
    """Ask for a cryptogram over the objects of CDOL1 (8C) or CDOL2 (8D); raise AcError.

    With CDA chosen and not failed so far, a TC or ARQC is asked with a combined signature; when
    that does not hold, the TVR says so and `combined_failed` is set. EMV 4.4 Book 2, 6.6.
    """
    values = dict(context.dol_values())
    entries = context.lists[cdol_tag]
    if any(tag == "98" for tag, _ in entries):
        try:
            values["98"] = certificate_hash(context, values)
        except EmvDataError:
            raise AcError("data-malformed") from None
        values["95"] = context.tvr.encoded()
    data = dol.fill_dol(entries, values)
    combined = context.combined and kind is not AcType.AAC and not context.tvr & Tvr.CDA_FAILED
    answer = yield commands.generate_ac(kind, data, cda=combined)
    if not answer.ok:
        raise AcError("ac-status")
    sent = [data] if cdol_tag == "8C" else [context.cdol1_values, data]
    context.cdol1_values = sent[0]
    given = _signed(context, answer.data, sent) if combined else read_cryptogram(answer.data)
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
            return cryptogram_of(tlv.parse_flat(outer["77"]))
        else:
            raise AcError("ac-malformed")
    except EmvDataError:
        raise AcError("ac-malformed") from None
    return _checked(*parts)


def cryptogram_of(objects: Mapping[str, bytes]) -> CardCryptogram:
    """Give the cryptogram from the objects of template 77; raise AcError."""
    return _checked(*(objects.get(tag, b"") for tag in ("9F27", "9F36", "9F26", "9F10")))


def _signed(context: KernelContext, data: bytes, sent: list[bytes]) -> CardCryptogram:
    """Give the cryptogram of an answer with a combined signature; an AAC comes without one.

    Source: EMV 4.4 Book 2, 6.6.1 and 6.6.2.
    """
    try:
        outer = tlv.parse_flat(data)
        template = outer["77"] if list(outer) == ["77"] else b""
        objects = tlv.parse_flat(template)
    except EmvDataError:
        raise AcError("ac-malformed") from None
    cid = objects.get("9F27", b"") if template else outer.get("80", b"")[:1]
    if len(cid) == 1 and cid[0] & _TYPE_BITS == AcType.AAC:
        return read_cryptogram(data)
    if not objects.get("9F4B"):
        raise AcError("ac-malformed")
    shape = _checked(cid, objects.get("9F36", b""), bytes(8), objects.get("9F10", b""))
    found = check_combined(context, template, objects, sent)
    if found is None:
        return replace(shape, cryptogram=b"", combined_failed=True)
    return replace(shape, cryptogram=found.application_cryptogram)


def _checked(cid: bytes, atc: bytes, cryptogram: bytes, issuer_data: bytes) -> CardCryptogram:
    if (len(cid), len(atc), len(cryptogram)) != (1, 2, 8) or len(issuer_data) > 32:
        raise AcError("ac-malformed")
    return CardCryptogram(cid[0], atc, cryptogram, issuer_data)
