"""VERIFY: the offline PIN and its try counter. Source: EMV 4.4 Book 3, 6.5.12."""

import hmac

from cardsim.application import Application
from cardsim.misbehaviour import Misbehaviour
from cardsim.transaction import CONDITIONS, OK, WRONG_DATA, WRONG_LENGTH, WRONG_PARAMETERS
from protocols.crypto.errors import CryptoError
from protocols.crypto.oda import decipher_offline_pin
from protocols.crypto.pin import pin_block_decode
from protocols.values import SecretBytes

BLOCKED = b"\x69\x83"
NO_REFERENCE = b"\x69\x84"
_PLAINTEXT, _ENCIPHERED = 0x80, 0x88


def verify(application: Application, p1: int, p2: int, data: bytes) -> bytes:
    """Compare a PIN block, plaintext (P2 80) or under the card's key (88): 9000, 63Cx, 6983.

    A try is spent durably before the comparison (for an enciphered block before it is
    deciphered), so that a tear cannot give it back. An enciphered PIN needs the challenge of the
    command before. Source: EMV 4.4 Book 3, 6.5.12; Book 2, 7.2.
    """
    challenge, application.challenge = application.challenge, b""
    state, key = application.state, application.key
    enciphered = p2 == _ENCIPHERED and key is not None
    if p1 or not (p2 == _PLAINTEXT or enciphered):
        return WRONG_PARAMETERS
    if len(data) != (len(key.public) if enciphered and key is not None else 8):
        return WRONG_LENGTH
    if not state.pin:
        return NO_REFERENCE
    if application.pin_tries == 0:
        return BLOCKED
    if enciphered:
        if not challenge:
            return CONDITIONS
        _spend(application)
        pin = _deciphered(application, data, challenge)
    else:
        try:
            pin = pin_block_decode(2, SecretBytes(data))
        except CryptoError:
            return WRONG_DATA
        _spend(application)
    application.pin_verified = hmac.compare_digest(pin.encode("ascii"), state.pin.encode("ascii"))
    if not application.pin_verified:
        return bytes((0x63, 0xC0 | state.pin_tries))
    application.write("pin_tries", application.image.pin_try_limit)
    return OK


def _spend(application: Application) -> None:
    if Misbehaviour.KEEPS_PIN_TRIES not in application.misbehaves:
        application.write("pin_tries", application.state.pin_tries - 1)


def _deciphered(application: Application, data: bytes, challenge: bytes) -> str:
    """Give the PIN; empty, which no reference PIN is, for a block of another challenge."""
    assert application.key is not None
    try:
        return decipher_offline_pin(application.key, data, challenge)
    except CryptoError:
        return ""
