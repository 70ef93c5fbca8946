"""Secure messaging of issuer scripts: MAC and PIN encipherment.

Source: EMV 4.4 Book 2, 9.2-9.3 and Annex A1.
"""

from protocols.crypto import mac, tdes
from protocols.crypto.errors import PinError
from protocols.crypto.pin import pin_block_decode, pin_block_encode
from protocols.values import SecretBytes

#: The format number in the first digit of a format 2 block. ISO 9564-1, 9.3.3.
_FORM_2 = 0x2 << 60


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


def encipher_bound_pin(
    session_key: SecretBytes, card_key: SecretBytes, pin: str, current: str
) -> bytes:
    """Give a new PIN for PIN CHANGE bound to the card and its current PIN: 16 bytes, TDES ECB.

    `card_key` is the card's master key for cryptograms. Raises PinError.
    Source: VIS 1.5, Appendix C (PIN CHANGE/UNBLOCK, P2 01), as pyemv has it.
    """
    block = _bound(pin_block_encode(2, pin).reveal(), card_key, current)
    return tdes.encipher_ecb(session_key, _padded(bytes((len(block),)) + block))


def decipher_bound_pin(
    session_key: SecretBytes, card_key: SecretBytes, data: bytes, current: str
) -> str:
    """Give the new PIN in the 16 bytes of `encipher_bound_pin`.

    Raises PinError, and DataLengthError for part of a block.

    >>> session = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> card = SecretBytes(bytes.fromhex("1123456789ABCDEFFEDCBA9876543211"))
    >>> data = encipher_bound_pin(session, card, "654321", "123456")
    >>> decipher_bound_pin(session, card, data, "123456")
    '654321'
    """
    clear = tdes.decipher_ecb(session_key, data)
    block = clear[1:9]
    if clear != _padded(bytes((len(block),)) + block):
        raise PinError("a new PIN is not padded as it must be")
    return pin_block_decode(2, SecretBytes(_bound(block, card_key, current)))


def _bound(block: bytes, card_key: SecretBytes, current: str) -> bytes:
    """Give a format 2 block as a bound one, or the other way round: both differ by one secret.

    A bound block begins with 0 where format 2 has its number. A card's master key has odd parity
    by its definition (EMV 4.4 Book 2, A1.4), whoever holds it how.
    """
    key = tdes.with_odd_parity(card_key).reveal()
    secret = int.from_bytes(key[4:8], "big") ^ int(f"{current:0<16}", 16) ^ _FORM_2
    return (int.from_bytes(block, "big") ^ secret).to_bytes(8, "big")


def _padded(data: bytes) -> bytes:
    return data + b"\x80" + bytes(-(len(data) + 1) % 8)
