"""Secure messaging of issuer scripts: MAC and PIN encipherment.

Source: EMV 4.4 Book 2, 9.2-9.3 and Annex A1.
"""

from protocols.crypto import mac, tdes
from protocols.crypto.pin import pin_block_encode
from protocols.values import SecretBytes


def script_mac(session_key: SecretBytes, message: bytes, length: int = 8) -> bytes:
    """Give the MAC of a script: `length` 4 to 8 bytes of algorithm 3 with padding 2.

    `message` is what the scheme covers: header, (ATC, cryptogram,) data. Raises KeyRefusedError.
    Source: EMV 4.4 Book 2, 9.2.3.
    """
    assert 4 <= length <= 8
    return mac.retail_mac(session_key, message, 2)[:length]


def encipher_script_data(session_key: SecretBytes, data: bytes, *, pad: bool = True) -> bytes:
    """Give script data enciphered with TDES CBC; `pad` adds 80 00... first.

    Raises KeyRefusedError, and DataLengthError for part of a block without padding.
    Source: EMV 4.4 Book 2, 9.3 and Annex A1.1.
    """
    return tdes.encipher_cbc(session_key, _padded(data) if pad else data)


def encipher_script_pin(session_key: SecretBytes, pin: str, *, pad: bool = True) -> bytes:
    """Give a new PIN for PIN CHANGE: its format 2 block, enciphered. Raises PinError.

    >>> key = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> len(encipher_script_pin(key, "123456")), len(encipher_script_pin(key, "123456", pad=False))
    (16, 8)
    """
    return encipher_script_data(session_key, pin_block_encode(2, pin).reveal(), pad=pad)


def _padded(data: bytes) -> bytes:
    return data + b"\x80" + bytes(-(len(data) + 1) % 8)
