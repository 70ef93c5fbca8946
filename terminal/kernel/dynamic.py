"""Dynamic authentication: INTERNAL AUTHENTICATE (DDA) and the combined signature (CDA).

Source: EMV 4.4 Book 2, 6.5 and 6.6; Book 3, 6.5.9 and 10.3.
"""

from collections.abc import Generator
from hashlib import sha1

from protocols.crypto.errors import CryptoError
from protocols.crypto.oda import CdaData, cda_transaction_hash, check_cda, recover_dynamic_data
from protocols.crypto.rsa import RsaPublicKey
from protocols.emv import commands, dol, tlv
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.errors import EmvDataError
from protocols.emv.flags import Tsi, Tvr
from terminal.kernel import parsed
from terminal.kernel.context import KernelContext
from terminal.kernel.stop import card_error

_UNPREDICTABLE_NUMBER = "9F37"


def authenticate_card(
    context: KernelContext, icc_key: RsaPublicKey
) -> Generator[CommandApdu, ResponseApdu, None]:
    """Let the card sign the DDOL's values and check it; a failure sets the TVR bit.

    Raises KernelStop for an answer that is none. Source: EMV 4.4 Book 2, 6.5; Book 3, 6.5.9.4.
    """
    context.tsi |= Tsi.OFFLINE_DATA_AUTHENTICATION_PERFORMED
    values = _ddol_values(context)
    if values is None:
        context.tvr |= Tvr.DDA_FAILED
        return
    answer = yield commands.internal_authenticate(values)
    if not answer.ok:
        raise card_error("internal-authenticate-status")
    signed = _signature(answer.data)
    try:
        dynamic = recover_dynamic_data(icc_key, signed, values)
    except CryptoError:
        context.tvr |= Tvr.DDA_FAILED
        return
    number = dynamic[1 : 1 + dynamic[0]] if dynamic else b""
    if 2 <= len(number) <= 8:
        context.card["9F4C"] = number


def _ddol_values(context: KernelContext) -> bytes | None:
    """Give the list's values; None for a list that is malformed or asks no unpredictable number."""
    ddol = context.card.get("9F49", context.data.default_ddol)
    try:
        entries = parsed.data_object_list(ddol)
        if _UNPREDICTABLE_NUMBER not in {tag for tag, _ in entries}:
            return None
        return dol.fill_dol(entries, context.dol_values())
    except EmvDataError:
        return None


def _signature(data: bytes) -> bytes:
    """Give 9F4B from format 1 (80) or 2 (77)."""
    try:
        outer = tlv.parse_flat(data)
        if list(outer) == ["80"]:
            return outer["80"]
        if list(outer) == ["77"]:
            return tlv.parse_flat(outer["77"])["9F4B"]
    except (EmvDataError, KeyError):
        raise card_error("internal-authenticate-malformed") from None
    raise card_error("internal-authenticate-malformed")


def _transaction_hash(sent: list[bytes], template: bytes, signed: bytes) -> bytes:
    """Give the hash over what was sent and the answer without 9F4B. EMV 4.4 Book 2, 6.6.2.

    The shortest encoding of 9F4B is cut out as it stands; any other form takes the slower way.
    """
    head, found, tail = template.partition(b"\x9f\x4b" + tlv.encode_length(len(signed)) + signed)
    if not found:
        return cda_transaction_hash(sent, template)
    return sha1(b"".join((*sent, head, tail)), usedforsecurity=False).digest()


def check_combined(
    context: KernelContext, template: bytes, objects: dict[str, bytes], sent: list[bytes]
) -> CdaData | None:
    """Give the data of a combined signature when it holds; else set the TVR bit and give None.

    `template` is the value of template 77, `objects` its objects, `sent` the values of CDOL1 and,
    the second time, CDOL2. Source: EMV 4.4 Book 2, 6.6.2.
    """
    assert context.icc_key is not None
    context.tsi |= Tsi.OFFLINE_DATA_AUTHENTICATION_PERFORMED
    try:
        found = check_cda(
            context.icc_key,
            objects["9F4B"],
            context.values[_UNPREDICTABLE_NUMBER],
            objects["9F27"][0],
            _transaction_hash([context.pdol_values, *sent], template, objects["9F4B"]),
        )
    except CryptoError:
        context.tvr |= Tvr.CDA_FAILED
        return None
    context.card["9F4C"] = found.icc_dynamic_number
    return found
