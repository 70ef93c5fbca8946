"""An online PIN checked in one step: a format 0 block deciphered and held against its offset.

In the native engine the PIN never becomes a Python value. `PinVerifier` keeps the context of the
verification key; the terminal's PIN key comes as a kept `TdesCipher`.
"""

from enum import Enum

from protocols.crypto.engine import TdesContext, current
from protocols.crypto.errors import PinError
from protocols.crypto.pin import PIN_DIGITS_MAX, PIN_DIGITS_MIN, pan_digits, whole_block
from protocols.crypto.tdes import TdesCipher, check_strength
from protocols.crypto.verification import DECIMALISATION
from protocols.values import Pan, PinBlock, SecretBytes


class PinCheck(Enum):
    """What a PIN block proves. MALFORMED is a key fault of the terminal, never the cardholder's."""

    WRONG = 0
    RIGHT = 1
    MALFORMED = 2


#: The verdicts by the number that an engine gives.
_VERDICTS = tuple(sorted(PinCheck, key=lambda verdict: verdict.value))


class PinVerifier:
    """The PIN verification key, its context kept.

    >>> pvk = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> key, pan = TdesCipher(SecretBytes(bytes(range(16)))), Pan("9360099912344821")
    >>> from protocols.crypto.pin import encipher_pin_block
    >>> from protocols.crypto.verification import ibm3624_offset
    >>> block = encipher_pin_block(SecretBytes(bytes(range(16))), "123456", pan)
    >>> PinVerifier(pvk).check(key, block, pan, ibm3624_offset(pvk, pan, "123456"))
    <PinCheck.RIGHT: 1>
    """

    __slots__ = ("_decimalisation", "_pvk")

    def __init__(self, pvk: SecretBytes, decimalisation: str = DECIMALISATION) -> None:
        """Set up the context; raise KeyRefusedError, or PinError for another table."""
        if len(decimalisation) != 16 or not _digits(decimalisation):
            raise PinError("a decimalisation table is 16 digits")
        check_strength(pvk)
        self._pvk = TdesCipher(pvk)
        self._decimalisation = decimalisation

    @property
    def kept(self) -> tuple[TdesContext, str]:
        """Give the key's context and the table, as the native core takes them."""
        return self._pvk.context, self._decimalisation

    def check(self, pin_key: TdesCipher, block: PinBlock, pan: Pan, offset: str) -> PinCheck:
        """Tell, in constant time, whether the block holds the PIN of this card and offset.

        A PIN of another length than the offset is simply wrong. Raises PinError for a block of
        another size than 8 bytes, or an offset that is none.
        """
        if not (PIN_DIGITS_MIN <= len(offset) <= PIN_DIGITS_MAX and _digits(offset)):
            raise PinError("an offset is 4 to 12 digits")
        found = current.engine.check_pin_0(
            pin_key.context,
            whole_block(block),
            pan_digits(pan),
            self._pvk.context,
            offset,
            self._decimalisation,
        )
        return _VERDICTS[found]


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()
