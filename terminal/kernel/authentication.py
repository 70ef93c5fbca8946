"""Offline data authentication: which method, and static data (SDA).

Dynamic methods go on in `terminal.kernel.dynamic`. Source: EMV 4.4 Book 3, 10.3; Book 2, 5 and 6.
"""

import datetime
from collections.abc import Generator
from enum import Enum
from functools import lru_cache

from protocols.crypto.certificates import CertificateData, recover_icc_key, recover_issuer_key
from protocols.crypto.errors import CryptoError
from protocols.crypto.oda import recover_static_data, static_data
from protocols.crypto.rsa import RsaPublicKey
from protocols.emv.apdu import CommandApdu, ResponseApdu
from protocols.emv.flags import Aip, TerminalCapabilities, Tsi, Tvr
from protocols.values import Pan
from terminal.kernel import dynamic, limits
from terminal.kernel.context import KernelContext

#: What a card must hold; 92 and 9F48 may be absent when the keys fit their certificates.
#: EMV 4.4 Book 2, 5.1.1 table 4 and 6.1.1 table 12.
_STATIC_NEEDED = ("8F", "90", "93", "9F32")
_DYNAMIC_NEEDED = ("8F", "90", "9F32", "9F46", "9F47")
_RID_BYTES = 5
#: Most digits of a card number that an issuer certificate names. EMV 4.4 Book 2, table 5.
_IDENTIFIER_DIGITS = 8


class Method(Enum):
    """The method that card and terminal have in common."""

    NONE = "none"
    STATIC = "sda"
    DYNAMIC = "dda"
    COMBINED = "cda"


def choose_method(aip: Aip, capabilities: TerminalCapabilities) -> Method:
    """Give the strongest method that both support: CDA, else DDA, else SDA. Book 3, 10.3.

    >>> choose_method(Aip(0x6100), TerminalCapabilities(0xC8)).name
    'COMBINED'
    >>> choose_method(Aip(0x6100), TerminalCapabilities(0xC0)).name
    'DYNAMIC'
    """
    if aip & Aip.CDA_SUPPORTED and capabilities & TerminalCapabilities.CDA:
        return Method.COMBINED
    if aip & Aip.DDA_SUPPORTED and capabilities & TerminalCapabilities.DDA:
        return Method.DYNAMIC
    if aip & Aip.SDA_SUPPORTED and capabilities & TerminalCapabilities.SDA:
        return Method.STATIC
    return Method.NONE


def authenticate(context: KernelContext) -> Generator[CommandApdu, ResponseApdu, None]:
    """Perform the method chosen and set its TVR and TSI bits.

    Missing objects, an unknown CA key, an expired certificate or a signature that does not hold
    are a failure, never the end. Raises KernelStop when INTERNAL AUTHENTICATE breaks the rules.
    """
    capabilities = TerminalCapabilities.read(context.data.terminal_capabilities)
    method = choose_method(context.aip, capabilities)
    if method is Method.NONE:
        context.tvr |= Tvr.OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED
    elif method is Method.STATIC:
        _authenticate_static(context)
    else:
        failed = Tvr.CDA_FAILED if method is Method.COMBINED else Tvr.DDA_FAILED
        missing = any(not context.card.get(tag) for tag in _DYNAMIC_NEEDED)
        context.icc_key = None if missing else recover_card_key(context)
        if context.icc_key is None:
            context.tvr |= failed | (Tvr.ICC_DATA_MISSING if missing else Tvr(0))
            context.tsi |= Tsi.OFFLINE_DATA_AUTHENTICATION_PERFORMED
        elif method is Method.COMBINED:
            # Performed with the first cryptogram, which sets the TSI bit. Book 2, 6.6.
            context.combined = True
        else:
            yield from dynamic.authenticate_card(context, context.icc_key)


def _authenticate_static(context: KernelContext) -> None:
    context.tvr |= Tvr.SDA_SELECTED
    context.tsi |= Tsi.OFFLINE_DATA_AUTHENTICATION_PERFORMED
    if any(not context.card.get(tag) for tag in _STATIC_NEEDED):
        context.tvr |= Tvr.ICC_DATA_MISSING | Tvr.SDA_FAILED
        return
    issuer_key = recover_issuer(context)
    try:
        if issuer_key is None:
            context.tvr |= Tvr.SDA_FAILED
            return
        covered = static_data(context.static_records, context.card["82"], context.card.get("9F4A"))
        context.card["9F45"] = recover_static_data(issuer_key, context.card["93"], covered)
    except CryptoError:
        context.tvr |= Tvr.SDA_FAILED


def recover_issuer(context: KernelContext) -> RsaPublicKey | None:
    """Give the issuer's key from its certificate, None when anything about it is wrong."""
    card, pan = context.card, context.pan
    assert pan is not None
    ca_key = _ca_key(context, card["8F"])
    if ca_key is None:
        return None
    certificate = CertificateData(card["90"], card.get("92", b""), card["9F32"])
    leading = pan.reveal()[:_IDENTIFIER_DIGITS]
    return _issuer_key(ca_key, certificate, leading, context.transaction.date)


@lru_cache(maxsize=limits.ISSUER_KEYS)
def _issuer_key(
    ca_key: RsaPublicKey, certificate: CertificateData, leading: str, on: datetime.date
) -> RsaPublicKey | None:
    """Give an issuer's key for card numbers with these leading digits, which are all it checks."""
    try:
        return recover_issuer_key(ca_key, certificate, Pan(leading.ljust(16, "0")), on)
    except CryptoError:
        return None


def recover_card_key(context: KernelContext) -> RsaPublicKey | None:
    """Give the card's key from its certificate over its static data, None when it is wrong.

    Source: EMV 4.4 Book 2, 6.4.
    """
    issuer_key, card, pan = recover_issuer(context), context.card, context.pan
    assert pan is not None
    if issuer_key is None:
        return None
    try:
        covered = static_data(context.static_records, card["82"], card.get("9F4A"))
        certificate = CertificateData(card["9F46"], card.get("9F48", b""), card["9F47"])
        return recover_icc_key(issuer_key, certificate, pan, covered, context.transaction.date)
    except CryptoError:
        return None


def recover_pin_key(context: KernelContext) -> RsaPublicKey | None:
    """Give the key that enciphers the offline PIN: the card's PIN key, else its own key.

    None when a certificate is missing or wrong. Source: EMV 4.4 Book 2, 7.1.
    """
    card, pan = context.card, context.pan
    assert pan is not None
    own = "9F2D" not in card
    if own and context.icc_key is not None:
        return context.icc_key
    needed = _DYNAMIC_NEEDED if own else ("8F", "90", "9F32", "9F2D", "9F2E")
    if any(not card.get(tag) for tag in needed):
        return None
    if own:
        return recover_card_key(context)
    issuer_key = recover_issuer(context)
    if issuer_key is None:
        return None
    try:
        certificate = CertificateData(card["9F2D"], card.get("9F2F", b""), card["9F2E"])
        return recover_icc_key(issuer_key, certificate, pan, b"", context.transaction.date)
    except CryptoError:
        return None


def _ca_key(context: KernelContext, index: bytes) -> RsaPublicKey | None:
    rid = context.aid[:_RID_BYTES]
    for known in context.data.ca_keys:
        if known.rid == rid and bytes((known.index,)) == index:
            return known.key
    return None
