"""Application cryptograms (ARQC, TC, AAC) and the issuer's answer (ARPC).

Source: EMV 4.4 Book 2, 8.1-8.2; NSICCS data order as reproduced by published vectors.
"""

from collections.abc import Mapping

from protocols.crypto import mac
from protocols.crypto.emv_keys import (
    DerivationOption,
    checked_diversifier,
    common_session_key,
    diversification_block,
    double_key,
    icc_master_key,
    mastercard_session_key,
)
from protocols.crypto.engine import current
from protocols.crypto.errors import CryptoError, DataLengthError
from protocols.crypto.mac import Padding
from protocols.values import Pan, SecretBytes

#: What enters an NSICCS cryptogram, in order: CDOL data, AIP, ATC, the whole 9F10.
NSICCS_DATA_ORDER = (
    "9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37", "82", "9F36", "9F10",
)  # fmt: skip

#: Bytes that each of them has; 9F10 differs from card to card.
NSICCS_LENGTHS = {
    "9F02": 6, "9F03": 6, "9F1A": 2, "95": 5, "5F2A": 2, "9A": 3, "9C": 1, "9F37": 4,
    "82": 2, "9F36": 2,
}  # fmt: skip


def application_cryptogram(session_key: SecretBytes, data: bytes, padding: Padding = 2) -> bytes:
    """Give the 8-byte cryptogram over data already in order. Raises KeyRefusedError.

    CVN 10 pads by method 1 and takes the card's master key itself; CVN 16, 17, 18 and NSICCS pad
    by method 2 and take a session key. Source: EMV 4.4 Book 2, 8.1.2 and Annex A1.2.1.
    """
    return mac.retail_mac(session_key, data, padding)


def issuer_cryptogram(
    imk: SecretBytes,
    pan: Pan,
    psn: str,
    diversifier: bytes,
    data: bytes,
    *,
    option: DerivationOption = "A",
    padding: Padding = 2,
) -> bytes:
    """Give the cryptogram that a card must have made, from the issuer's key in one step.

    Card master key by `option`, EMV common session key for `diversifier` (the ATC), algorithm 3.
    Raises KeyRefusedError, DataLengthError.
    """
    return current.engine.issuer_cryptogram(
        double_key(imk),
        diversification_block(pan, psn, option),
        checked_diversifier(diversifier),
        data,
        padding,
    )


def version_cryptogram(
    version: int,
    imk: SecretBytes,
    pan: Pan,
    psn: str,
    *,
    atc: bytes,
    unpredictable_number: bytes,
    data: bytes,
    option: DerivationOption = "A",
) -> bytes:
    """Give the cryptogram of a Visa or Mastercard cryptogram version number (CVN) 10, 16, 17, 18.

    `data` is what that version covers, in its order. CVN 10 uses the card's master key itself and
    padding 1; 16 and 17 a session key of ATC and unpredictable number; 18 the common session key.
    `option` says how the card's key is derived: it matters for numbers of more than 16 digits only,
    where issuers of CVN 18 use B.
    Raises CryptoError for another version, KeyRefusedError, DataLengthError.
    Source: VIS 1.5 Appendix D; M/Chip 4; as reproduced by the vectors.

    >>> imk = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> un = bytes.fromhex("52BF4585")
    >>> data = bytes.fromhex(
    ...     "0000000040000000000000000124800004800001241911050152BF45851800001C06011203A0B800"
    ... )
    >>> pan = Pan("1234567890123456")
    >>> at = {"atc": b"\\x00\\x1c", "unpredictable_number": un, "data": data}
    >>> version_cryptogram(18, imk, pan, "00", **at).hex()
    '7a788ea6b8a3e733'
    """
    master_key = icc_master_key(imk, pan, psn, option)
    if version == 10:
        return application_cryptogram(master_key, data, padding=1)
    if version in (16, 17):
        session_key = mastercard_session_key(master_key, atc, unpredictable_number)
    elif version == 18:
        session_key = common_session_key(master_key, atc)
    else:
        raise CryptoError("a cryptogram version that is not 10, 16, 17 or 18")
    return application_cryptogram(session_key, data)


def verify_cryptogram(
    imk: SecretBytes,
    pan: Pan,
    psn: str,
    atc: bytes,
    data: bytes,
    given: bytes,
    *,
    option: DerivationOption = "A",
) -> bool:
    """Tell, in constant time, whether the 8 given bytes are this card's cryptogram."""
    expected = issuer_cryptogram(imk, pan, psn, atc, data, option=option)
    return len(given) == 8 and mac.same_mac(expected, given)


def arqc_data_nsiccs(values: Mapping[str, bytes]) -> bytes:
    """Give the bytes that an NSICCS (and our `ssn`) cryptogram covers, from tag values.

    Raises DataLengthError naming the tag that is missing or has the wrong length.
    """
    parts: list[bytes] = []
    for tag in NSICCS_DATA_ORDER:
        value = values.get(tag)
        if value is None:
            raise DataLengthError(f"tag {tag} is missing from the cryptogram's data")
        if (wanted := NSICCS_LENGTHS.get(tag, len(value))) != len(value):
            raise DataLengthError(f"tag {tag} is {len(value)} bytes, not {wanted}")
        parts.append(value)
    return b"".join(parts)


def arpc_method1(session_key: SecretBytes, arqc: bytes, arc: bytes) -> bytes:
    """Give the 8-byte ARPC over ARQC and the 2-byte response code (8A).

    Raises KeyRefusedError, DataLengthError. Source: EMV 4.4 Book 2, 8.2.1.

    >>> key = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> len(arpc_method1(key, bytes(8), b"00"))
    8
    """
    if len(arqc) != 8 or len(arc) != 2:
        raise DataLengthError("an ARQC is 8 bytes, a response code 2")
    return current.engine.arpc_method1(double_key(session_key), arqc, arc)


def arpc_method2(
    session_key: SecretBytes, arqc: bytes, card_status_update: bytes, proprietary: bytes = b""
) -> bytes:
    """Give the 4-byte ARPC over ARQC, card status update (4 bytes) and 0 to 8 bytes more.

    Raises KeyRefusedError, DataLengthError. Source: EMV 4.4 Book 2, 8.2.2.
    """
    if len(arqc) != 8 or len(card_status_update) != 4 or len(proprietary) > 8:
        raise DataLengthError("ARQC 8 bytes, status update 4, proprietary data at most 8")
    return mac.retail_mac(session_key, arqc + card_status_update + proprietary, 2)[:4]
