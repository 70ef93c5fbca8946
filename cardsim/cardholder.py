"""VERIFY: the offline PIN and its try counter. Source: EMV 4.4 Book 3, 6.5.12."""

import hmac

from cardsim.application import Application
from cardsim.transaction import OK, WRONG_DATA, WRONG_LENGTH, WRONG_PARAMETERS
from protocols.crypto.errors import CryptoError
from protocols.crypto.pin import pin_block_decode
from protocols.values import SecretBytes

BLOCKED = b"\x69\x83"
NO_REFERENCE = b"\x69\x84"
_PLAINTEXT = 0x80


def verify(application: Application, p1: int, p2: int, data: bytes) -> bytes:
    """Compare a plaintext format 2 PIN block: 9000, 63Cx with tries left, 6983 at none.

    A try is spent durably before the comparison, so that a tear cannot give it back. Enciphered
    PIN (P2 88) is 6A86: this card has no RSA key.
    """
    state = application.state
    if p1 or p2 != _PLAINTEXT:
        return WRONG_PARAMETERS
    if len(data) != 8:
        return WRONG_LENGTH
    if not state.pin:
        return NO_REFERENCE
    if state.pin_tries == 0:
        return BLOCKED
    try:
        pin = pin_block_decode(2, SecretBytes(data))
    except CryptoError:
        return WRONG_DATA
    application.write("pin_tries", state.pin_tries - 1)
    application.pin_verified = hmac.compare_digest(pin.encode("ascii"), state.pin.encode("ascii"))
    if not application.pin_verified:
        return bytes((0x63, 0xC0 | state.pin_tries))
    application.write("pin_tries", application.image.pin_try_limit)
    return OK
