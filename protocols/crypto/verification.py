"""Values by which an issuer verifies a PIN or a card: IBM 3624 offset, PVV, CVV.

A PVV binds four digits only; a six-digit PIN needs the offset (design decision 13).
"""

import hmac

from protocols.crypto import mac, tdes
from protocols.crypto.errors import PinError
from protocols.values import Pan, SecretBytes

#: The usual decimalisation table: hex digits A to F become 0 to 5.
DECIMALISATION = "0123456789012345"

_MAXIMUM_DIGITS = 12


def ibm3624_natural_pin(
    pvk: SecretBytes, pan: Pan, length: int = 6, decimalisation: str = DECIMALISATION
) -> str:
    """Give the PIN that the key itself assigns to this card: `length` digits, 4 to 12.

    Validation data: the 12 rightmost digits of the card number but its check digit, padded with
    F on the right to 16. Source: IBM 3624 PIN generation algorithm (z/OS ICSF Application
    Programmer's Guide, "IBM 3624 PIN generation algorithm").
    """
    if not 4 <= length <= _MAXIMUM_DIGITS:
        raise PinError("an IBM 3624 PIN is 4 to 12 digits")
    if len(decimalisation) != 16 or not _digits(decimalisation):
        raise PinError("a decimalisation table is 16 digits")
    validation_data = pan.reveal()[-13:-1].rjust(12, "0").ljust(16, "F")
    enciphered = tdes.encipher_ecb(pvk, bytes.fromhex(validation_data)).hex()
    return "".join(decimalisation[int(digit, 16)] for digit in enciphered[:length])


def ibm3624_offset(
    pvk: SecretBytes,
    pan: Pan,
    pin: str,
    length: int = 6,
    decimalisation: str = DECIMALISATION,
) -> str:
    """Give the offset to keep for a chosen PIN of `length` digits: PIN minus natural PIN, by digit.

    Raises PinError, KeyRefusedError.

    >>> pvk = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> offset = ibm3624_offset(pvk, Pan("9360099912344821"), "123456")
    >>> ibm3624_verify(pvk, Pan("9360099912344821"), "123456", offset)
    True
    """
    if len(pin) != length or not _digits(pin):
        raise PinError(f"the PIN is not {length} digits")
    natural = ibm3624_natural_pin(pvk, pan, length, decimalisation)
    return "".join(str((int(p) - int(n)) % 10) for p, n in zip(pin, natural, strict=True))


def ibm3624_verify(
    pvk: SecretBytes,
    pan: Pan,
    pin: str,
    offset: str,
    decimalisation: str = DECIMALISATION,
) -> bool:
    """Tell, in constant time, whether the PIN belongs to this card and offset.

    A PIN of another length than the offset is simply wrong. Raises PinError for an offset that
    is none, KeyRefusedError.
    """
    if not _digits(offset):
        raise PinError("an offset holds digits only")
    natural = ibm3624_natural_pin(pvk, pan, len(offset), decimalisation)
    expected = "".join(str((int(n) + int(o)) % 10) for n, o in zip(natural, offset, strict=True))
    return hmac.compare_digest(expected.encode(), pin.encode())


def pvv(pvk: SecretBytes, pan: Pan, pin: str, key_index: int) -> str:
    """Give the four-digit PIN verification value; `key_index` (PVKI) is 0 to 6.

    Only the first four digits of the PIN count. Raises PinError, KeyRefusedError.
    Source: ANSI X9.8 practice as in Visa's PVV; z/OS ICSF, "VISA PVV algorithm".

    >>> pvk = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> pvv(pvk, Pan("1122334455667788"), "1912", 2)
    '3244'
    """
    if len(pin) < 4 or not _digits(pin):
        raise PinError("a PVV needs a PIN of at least 4 digits")
    if not 0 <= key_index <= 6:
        raise PinError("a PVV key index is 0 to 6")
    security_parameter = pan.reveal()[-12:-1].rjust(11, "0") + str(key_index) + pin[:4]
    return _decimal_digits(tdes.encipher_ecb(pvk, bytes.fromhex(security_parameter)), 4)


def cvv(cvk: SecretBytes, pan: Pan, expiry: str, service_code: str) -> str:
    """Give the three-digit card verification value of a card.

    `expiry` is YYMM (iCVV and CVV2 differ by service code 999 and 000, CVV2 by MMYY).
    Raises PinError, KeyRefusedError. Source: z/OS ICSF, "Visa CVV and MasterCard CVC algorithm".

    >>> cvv(SecretBytes(b"\\x99" * 8 + b"\\x88" * 8), Pan("2222222222222222"), "3333", "111")
    '361'
    """
    if len(expiry) != 4 or len(service_code) != 3 or not _digits(expiry + service_code):
        raise PinError("a CVV takes an expiry of 4 digits and a service code of 3")
    data = (pan.reveal() + expiry + service_code).ljust(32, "0")
    # Single DES on the first block, TDES on the second: what the retail MAC does.
    return _decimal_digits(mac.retail_mac(cvk, bytes.fromhex(data), 1), 3)


def _decimal_digits(block: bytes, count: int) -> str:
    """Give the decimal digits from left to right, then A to F as 0 to 5, `count` in all."""
    text = block.hex()
    digits = [digit for digit in text if digit.isdecimal()]
    digits += [str(int(digit, 16) - 10) for digit in text if not digit.isdecimal()]
    return "".join(digits[:count])


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()
