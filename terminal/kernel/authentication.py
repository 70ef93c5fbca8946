"""Offline data authentication: static (SDA). Source: EMV 4.4 Book 3, 10.3; Book 2, 5.

DDA and CDA are not performed by this kernel; `TerminalData` refuses capabilities that claim them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocols.crypto.certificates import CertificateData
from protocols.crypto.errors import CryptoError
from protocols.crypto.oda import recover_issuer_key, recover_static_data, static_data
from protocols.crypto.rsa import RsaPublicKey
from protocols.emv.flags import Aip, TerminalCapabilities, Tsi, Tvr
from protocols.values import Pan
from terminal.kernel.configuration import TerminalData, TransactionInput

#: What a card must hold for SDA; 92 may be absent when the key fits its certificate. Book 2, 5.1.
_NEEDED = ("8F", "90", "93", "9F32")
_RID_BYTES = 5

Records = Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Authentication:
    """What authentication came to; `code` is the data authentication code (9F45), or empty."""

    tvr: Tvr
    tsi: Tsi
    code: bytes = b""


_NOT_PERFORMED = Authentication(Tvr.OFFLINE_DATA_AUTHENTICATION_NOT_PERFORMED, Tsi(0))


def authenticate_static_data(
    card: Mapping[str, bytes],
    records: Records,
    data: TerminalData,
    transaction: TransactionInput,
    aid: bytes,
    pan: Pan,
) -> Authentication:
    """Perform SDA when card and terminal both support it and give its result; never raises.

    `records` are those that the AFL marks, as read. Missing objects, an unknown CA key, an expired
    certificate or a signature that does not hold are a failure. EMV 4.4 Book 3, 7.5 and 10.3.
    """
    capable = TerminalCapabilities.read(data.terminal_capabilities) & TerminalCapabilities.SDA
    if not (capable and Aip.read(card["82"]) & Aip.SDA_SUPPORTED):
        return _NOT_PERFORMED
    tvr, tsi = Tvr.SDA_SELECTED, Tsi.OFFLINE_DATA_AUTHENTICATION_PERFORMED
    if any(not card.get(tag) for tag in _NEEDED):
        return Authentication(tvr | Tvr.ICC_DATA_MISSING | Tvr.SDA_FAILED, tsi)
    ca_key = _ca_key(data, aid, card["8F"])
    if ca_key is None:
        return Authentication(tvr | Tvr.SDA_FAILED, tsi)
    try:
        issuer = CertificateData(card["90"], card.get("92", b""), card["9F32"])
        issuer_key = recover_issuer_key(ca_key, issuer, pan, transaction.date)
        covered = static_data(records, card["82"], card.get("9F4A"))
        code = recover_static_data(issuer_key, card["93"], covered)
    except CryptoError:
        return Authentication(tvr | Tvr.SDA_FAILED, tsi)
    return Authentication(tvr, tsi, code)


def _ca_key(data: TerminalData, aid: bytes, index: bytes) -> RsaPublicKey | None:
    rid = aid[:_RID_BYTES]
    for known in data.ca_keys:
        if known.rid == rid and bytes((known.index,)) == index:
            return known.key
    return None
