"""Derived unique key per transaction with AES: a new key for every message, none kept.

Source: ANSI X9.24-3:2017, 6. A key serial number (KSN) is 12 bytes: 8 name the initial key, 4
count transactions.
"""

from enum import IntEnum

from protocols.clock import RandomBytes
from protocols.crypto.aes import AesCipher, check_not_zero, checked_key
from protocols.crypto.errors import DataLengthError
from protocols.crypto.pin import encipher_pin_block
from protocols.values import Pan, PinBlock, SecretBytes

KSN_BYTES = 12
IKID_BYTES = 8
#: A counter with more ones than this is never used, which bounds the work of a derivation.
COUNTER_ONES_MAX = 16

_COUNTER_MAX = 0xFFFFFFFF
_INITIAL_KEY = 0x8001
_DERIVATION_KEY = 0x8000


class KeyUsage(IntEnum):
    """What a working key is for. Source: X9.24-3:2017, table 1."""

    KEY_ENCRYPTION = 0x0002
    PIN = 0x1000
    MAC_GENERATION = 0x2000
    MAC_VERIFICATION = 0x2001
    MAC_BOTH = 0x2002
    DATA_ENCRYPTION = 0x3000
    DATA_DECRYPTION = 0x3001
    DATA_BOTH = 0x3002


class KeyType(IntEnum):
    """Algorithm and length of a derived key. Source: X9.24-3:2017, table 2."""

    TDES2 = 0
    TDES3 = 1
    AES128 = 2
    AES192 = 3
    AES256 = 4

    @property
    def key_bytes(self) -> int:
        """Give the key's length in bytes."""
        return (16, 24, 16, 24, 32)[self]


_AES_TYPES = {16: KeyType.AES128, 24: KeyType.AES192, 32: KeyType.AES256}


def initial_key(bdk: SecretBytes, ikid: bytes) -> SecretBytes:
    """Give the key that a device is loaded with, as long as the base derivation key.

    Raises KeyRefusedError (wrong length, zeros), DataLengthError.

    >>> bdk = SecretBytes(bytes.fromhex("FEDCBA9876543210F1F1F1F1F1F1F1F1"))
    >>> key = initial_key(bdk, bytes.fromhex("1234567890123456"))
    >>> key == SecretBytes(bytes.fromhex("1273671EA26AC29AFA4D1084127652A1"))
    True
    """
    if len(ikid) != IKID_BYTES:
        raise DataLengthError(f"an initial key id is {IKID_BYTES} bytes, not {len(ikid)}")
    check_not_zero(bdk)
    return _derive(bdk, _type_of(bdk), _INITIAL_KEY, ikid)


def derivation_key(initial: SecretBytes, ksn: bytes) -> SecretBytes:
    """Give the key from which the working keys of one transaction are made.

    Raises KeyRefusedError, and DataLengthError for a counter of 0 or with more than 16 ones.
    """
    device, counter = _split(ksn)
    if not counter or counter.bit_count() > COUNTER_ONES_MAX:
        raise DataLengthError("the KSN's counter is 0 or has more than sixteen ones")
    return _derived_along(initial, device, counter)


def update_key(initial: SecretBytes, ikid: bytes, kind: KeyType | None = None) -> SecretBytes:
    """Give the key under which a device is sent its next initial key, as long as its present one.

    It belongs to the counter of all ones, which counts no transaction, and can be made once. `kind`
    is its type where it is another one. Raises KeyRefusedError, DataLengthError.
    Source: X9.24-3:2017, DUKPT update key.
    """
    if len(ikid) != IKID_BYTES:
        raise DataLengthError(f"an initial key id is {IKID_BYTES} bytes, not {len(ikid)}")
    key = _derived_along(initial, ikid[4:], _COUNTER_MAX)
    ksn = ikid + _COUNTER_MAX.to_bytes(4, "big")
    return working_key(
        key, ksn, KeyUsage.KEY_ENCRYPTION, _type_of(initial) if kind is None else kind
    )


def working_key(
    derivation: SecretBytes, ksn: bytes, usage: KeyUsage, kind: KeyType = KeyType.AES128
) -> SecretBytes:
    """Give one working key of a transaction, no longer than the derivation key is strong.

    Raises KeyRefusedError, DataLengthError.
    """
    if kind in _AES_TYPES.values() and kind.key_bytes > len(derivation):
        raise DataLengthError("a working key is never longer than the key it comes from")
    device, counter = _split(ksn)
    return _derive(derivation, kind, usage, device + counter.to_bytes(4, "big"))


def encipher_pin(
    derivation: SecretBytes,
    ksn: bytes,
    pin: str,
    pan: Pan,
    random_bytes: RandomBytes,
    kind: KeyType = KeyType.AES128,
) -> PinBlock:
    """Give the format 4 block of a PIN under the transaction's PIN key. Raises PinError."""
    key = working_key(derivation, ksn, KeyUsage.PIN, kind)
    return encipher_pin_block(key, pin, pan, form=4, random_bytes=random_bytes)


def next_ksn(ksn: bytes) -> bytes:
    """Give the KSN of the following transaction, leaving out counters with too many ones.

    0x0001FFFF, for one, has 17 ones and is never used. Raises DataLengthError at the end.

    >>> next_ksn(bytes.fromhex("12345678901234560001FFFE")).hex()
    '123456789012345600020000'
    """
    _, counter = _split(ksn)
    counter += 1
    while counter.bit_count() > COUNTER_ONES_MAX:
        counter += counter & -counter
    if counter > _COUNTER_MAX:
        raise DataLengthError("the device has used all its keys")
    return ksn[:IKID_BYTES] + counter.to_bytes(4, "big")


def _derived_along(initial: SecretBytes, device: bytes, counter: int) -> SecretBytes:
    """Give the key that one derivation for each one of the counter leads to, highest first."""
    check_not_zero(initial)
    key, kind, working = initial, _type_of(initial), 0
    for bit in range(31, -1, -1):
        if counter >> bit & 1:
            working |= 1 << bit
            key = _derive(key, kind, _DERIVATION_KEY, device + working.to_bytes(4, "big"))
    return key


def _derive(key: SecretBytes, kind: KeyType, usage: int, context: bytes) -> SecretBytes:
    """Encipher one block of derivation data per 16 key bytes. Source: X9.24-3:2017, 6.2.

    `context` is the initial key id, or four bytes of it and the counter.
    """
    cipher = AesCipher(key)
    length = kind.key_bytes
    fixed = usage.to_bytes(2, "big") + kind.to_bytes(2, "big") + (8 * length).to_bytes(2, "big")
    blocks = b"".join(
        cipher.encipher_ecb(b"\x01" + bytes((number,)) + fixed + context)
        for number in range(1, -(-length // 16) + 1)
    )
    return SecretBytes(blocks[:length])


def _type_of(key: SecretBytes) -> KeyType:
    return _AES_TYPES[len(checked_key(key))]


def _split(ksn: bytes) -> tuple[bytes, int]:
    """Give the last four bytes of the initial key id and the counter."""
    if len(ksn) != KSN_BYTES:
        raise DataLengthError(f"a KSN is {KSN_BYTES} bytes, not {len(ksn)}")
    return ksn[4:IKID_BYTES], int.from_bytes(ksn[IKID_BYTES:], "big")
