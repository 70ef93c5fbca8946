"""Derived unique key per transaction with TDES: a new key for every message, none kept.

Source: ANSI X9.24-1:2009, Annex A. A key serial number (KSN) is 10 bytes: 59 bits name the
device, 21 bits count its transactions.
"""

from typing import Literal

from protocols.crypto import mac, pure, tdes
from protocols.crypto.errors import DataLengthError, KeyRefusedError
from protocols.crypto.pin import encipher_pin_block
from protocols.values import Pan, PinBlock, SecretBytes

Direction = Literal["request", "response"]

KSN_BYTES = 10
COUNTER_MASK = 0x1FFFFF
#: A counter with more ones than this is never used, which bounds the work of a derivation.
COUNTER_ONES_MAX = 10

_KEY_MASK = bytes.fromhex("C0C0C0C000000000C0C0C0C000000000")
_PIN_MASK = bytes.fromhex("00000000000000FF00000000000000FF")
_MAC_MASKS = {
    "request": bytes.fromhex("000000000000FF00000000000000FF00"),
    "response": bytes.fromhex("00000000FF00000000000000FF000000"),
}
_DATA_MASKS = {
    "request": bytes.fromhex("0000000000FF00000000000000FF0000"),
    "response": bytes.fromhex("000000FF00000000000000FF00000000"),
}


def initial_key(bdk: SecretBytes, ksn: bytes) -> SecretBytes:
    """Give the key that a device is loaded with, from the base derivation key.

    The counter in the KSN does not matter. Raises DataLengthError, and KeyRefusedError for a base
    key that is weak, zero, of two equal halves or of another length (X9.24-1:2009, 7.2).

    >>> bdk = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> key = initial_key(bdk, bytes.fromhex("FFFF9876543210E00000"))
    >>> key == SecretBytes(bytes.fromhex("6AC292FAA1315B4D858AB3A3D7D5933A"))
    True
    """
    tdes.check_strength(bdk)
    device = (_number(ksn) & ~COUNTER_MASK).to_bytes(KSN_BYTES, "big")[:8]
    left = tdes.encipher_ecb(_double(bdk), device)
    right = tdes.encipher_ecb(SecretBytes(pure.xor(bdk.reveal(), _KEY_MASK)), device)
    return SecretBytes(left + right)


def transaction_key(initial: SecretBytes, ksn: bytes) -> SecretBytes:
    """Give the key of one transaction from the device's initial key.

    Raises KeyRefusedError (as for a base key), and DataLengthError for a counter of 0 or with more
    than ten ones.
    """
    tdes.check_strength(_double(initial))
    counter = _number(ksn) & COUNTER_MASK
    if not counter or counter.bit_count() > COUNTER_ONES_MAX:
        raise DataLengthError("the KSN's counter is 0 or has more than ten ones")
    register = (_number(ksn) & ~COUNTER_MASK) & (1 << 64) - 1
    key = initial.reveal()
    for bit in range(20, -1, -1):
        if counter >> bit & 1:
            register |= 1 << bit
            key = _next_key(key, register.to_bytes(8, "big"))
    return SecretBytes(key)


def pin_key(transaction: SecretBytes) -> SecretBytes:
    """Give the variant that enciphers a PIN block."""
    return _masked(transaction, _PIN_MASK)


def mac_key(transaction: SecretBytes, direction: Direction) -> SecretBytes:
    """Give the variant that makes the MAC of a request or of a response."""
    return _masked(transaction, _MAC_MASKS[direction])


def data_key(transaction: SecretBytes, direction: Direction) -> SecretBytes:
    """Give the key that enciphers data: its variant, enciphered with itself by halves."""
    variant = _masked(transaction, _DATA_MASKS[direction])
    return SecretBytes(tdes.encipher_ecb(variant, variant.reveal()))


def encipher_pin(transaction: SecretBytes, pin: str, pan: Pan) -> PinBlock:
    """Give the format 0 block of a PIN under the transaction's PIN key. Raises PinError."""
    return encipher_pin_block(pin_key(transaction), pin, pan)


def message_mac(transaction: SecretBytes, direction: Direction, data: bytes) -> bytes:
    """Give the 4-byte MAC: algorithm 3, padding 1, left half. Source: X9.24-1:2009, A.3."""
    return mac.retail_mac(mac_key(transaction, direction), data, 1)[:4]


def next_ksn(ksn: bytes) -> bytes:
    """Give the KSN of the following transaction, leaving out counters with too many ones.

    Raises DataLengthError when the device has used all its keys.

    >>> next_ksn(bytes.fromhex("FFFF9876543210E007FE")).hex().upper()
    'FFFF9876543210E00800'
    """
    number = _number(ksn)
    counter = (number & COUNTER_MASK) + 1
    while counter.bit_count() > COUNTER_ONES_MAX:
        counter += counter & -counter
    if counter > COUNTER_MASK:
        raise DataLengthError("the device has used all its keys")
    return (number & ~COUNTER_MASK | counter).to_bytes(KSN_BYTES, "big")


def _next_key(key: bytes, register: bytes) -> bytes:
    """Give the non-reversible step: each half by DES between two additions of the right half."""
    halves = []
    for mask in (_KEY_MASK, bytes(16)):
        masked = pure.xor(key, mask)
        block = pure.xor(register, masked[8:])
        enciphered = tdes.encipher_ecb(SecretBytes(masked[:8]), block)
        halves.append(pure.xor(enciphered, masked[8:]))
    return b"".join(halves)


def _masked(key: SecretBytes, mask: bytes) -> SecretBytes:
    return SecretBytes(pure.xor(_double(key).reveal(), mask))


def _double(key: SecretBytes) -> SecretBytes:
    if len(key) != 16:
        raise KeyRefusedError(f"a TDES DUKPT key is 16 bytes, not {len(key)}")
    return key


def _number(ksn: bytes) -> int:
    if len(ksn) != KSN_BYTES:
        raise DataLengthError(f"a KSN is {KSN_BYTES} bytes, not {len(ksn)}")
    return int.from_bytes(ksn, "big")
