"""The pure-Python engine: the same functions as `protocols._core`, over `cryptography`.

Works on bare bytes that the public modules have checked. `cryptography` has TDES only in its
`decrepit` part and wants 24 bytes; both are met here once, so that no warning ever escapes.
Source: NIST SP 800-67; ISO/IEC 9797-1; EMV 4.4 Book 2, Annex A1; ISO 9564-1.
"""

import hmac
from collections.abc import Mapping
from functools import reduce
from operator import xor as xor_bytes

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, modes

NAME = "pure"

#: Verdict, transaction counter, session key; None when Python must look and word a fault.
ChipVerdict = tuple[bool, int, bytes] | None

_ZERO_BLOCK = bytes(8)
_INVERT_BLOCK = (1 << 64) - 1


def xor(left: bytes, right: bytes) -> bytes:
    """Give the exclusive or of two equally long byte strings."""
    length = len(left)
    assert length == len(right)
    value = int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
    return value.to_bytes(length, "big")


def pad(data: bytes, padding: int) -> bytes:
    """Give data padded to whole 8-byte blocks by ISO/IEC 9797-1 method 1, 2 or 3.

    Methods 1 and 3 make one block of zeros of nothing: the padded length is a positive multiple.
    """
    before = (8 * len(data)).to_bytes(8, "big") if padding == 3 else b""
    if padding == 2:
        data += b"\x80"
    return before + (data + bytes(-len(data) % 8) if data else _ZERO_BLOCK)


class Tdes:
    """TDES under one key of 8, 16 or 24 bytes, with its contexts kept."""

    __slots__ = ("_algorithm", "_decryptor", "_encryptor")

    def __init__(self, key: bytes) -> None:
        """Set up the contexts."""
        self._algorithm = TripleDES((key * 3)[:24])
        ecb = Cipher(self._algorithm, modes.ECB())  # noqa: S305 - single blocks, as the standards have it
        self._encryptor = ecb.encryptor()
        self._decryptor = ecb.decryptor()

    def encipher_ecb(self, data: bytes) -> bytes:
        """Give the encipherment of whole blocks."""
        return self._encryptor.update(data)

    def decipher_ecb(self, data: bytes) -> bytes:
        """Give the decipherment of whole blocks."""
        return self._decryptor.update(data)

    def encipher_cbc(self, data: bytes, iv: bytes) -> bytes:
        """Give the encipherment of whole blocks, chained from `iv`."""
        return Cipher(self._algorithm, modes.CBC(iv)).encryptor().update(data)

    def decipher_cbc(self, data: bytes, iv: bytes) -> bytes:
        """Give the decipherment of whole blocks, chained from `iv`."""
        return Cipher(self._algorithm, modes.CBC(iv)).decryptor().update(data)

    def encipher_pin_block_0(self, pin: str, pan_part: str) -> bytes:
        """Give an enciphered format 0 block of a PIN and the 12 PAN digits that enter it."""
        pin_field = bytes.fromhex(f"0{len(pin):X}{pin:F<14}")
        return self._encryptor.update(xor(pin_field, bytes.fromhex("0000" + pan_part)))

    def translate_pin_block_0(self, target: "Tdes", block: bytes, pan_part: str) -> bytes | None:
        """Give the block under another key, None when it does not hold a format 0 PIN."""
        clear = self._decryptor.update(block)
        if clear_pin_0(clear, pan_part) is None:
            return None
        return target._encryptor.update(clear)


class RetailMac:
    """ISO/IEC 9797-1 algorithm 3 under one 16-byte key.

    Single DES over all blocks but the last, TDES on the last: the same value as the standard's
    DES with two more steps at the end, in one pass fewer. A chaining context is kept with what it
    was left with, which is added to the next first block, where chaining takes it away again.
    """

    __slots__ = ("_algorithm", "_free", "_last")

    def __init__(self, key: bytes) -> None:
        """Set up the contexts."""
        self._algorithm = TripleDES(key[:8] * 3)
        self._last = Cipher(TripleDES(key + key[:8]), modes.ECB()).encryptor()  # noqa: S305 - single blocks, as the standards have it
        #: Contexts that nobody chains with just now: as many as threads ever did at once.
        self._free: list[tuple[CipherContext, bytes]] = []

    def mac(self, data: bytes, padding: int) -> bytes:
        """Give the 8-byte MAC."""
        padded = pad(data, padding)
        last = padded[-8:]
        if len(padded) > 8:
            try:
                chain, left = self._free.pop()
            except IndexError:
                chain, left = (
                    Cipher(self._algorithm, modes.CBC(_ZERO_BLOCK)).encryptor(),
                    _ZERO_BLOCK,
                )
            left = chain.update(xor(padded[:8], left) + padded[8:-8])[-8:]
            self._free.append((chain, left))
            last = xor(left, last)
        return self._last.update(last)


class ModPower:
    """Raising to one secret exponent modulo one odd number: half of an RSA private key."""

    __slots__ = ("_exponent", "_modulus", "_size")

    def __init__(self, modulus: bytes, exponent: bytes) -> None:
        """Keep both as integers."""
        self._modulus = int.from_bytes(modulus, "big")
        self._exponent = int.from_bytes(exponent, "big")
        self._size = len(modulus)

    def power(self, base: bytes) -> bytes:
        """Give the power, as long as the modulus."""
        power = pow(int.from_bytes(base, "big"), self._exponent, self._modulus)
        return power.to_bytes(self._size, "big")


class IssuerKey:
    """An issuer's cryptogram key; chip data is taken apart by the parser, so it says None."""

    __slots__ = ()

    def __init__(
        self, imk: bytes, order: list[tuple[bytes, int]], bounds: tuple[int, int, int, int]
    ) -> None:
        """Take nothing: `protocols.crypto.issuer` does the work step by step."""
        del imk, order, bounds

    def check(self, card: bytes, chip: bytes) -> ChipVerdict:
        """Give None: Python must look."""
        del card, chip
        return None

    def check_tags(self, card: bytes, tags: Mapping[str, bytes]) -> ChipVerdict:
        """Give None: Python must look."""
        del card, tags
        return None

    def check_batch(self, claims: list[tuple[bytes, bytes]]) -> list[ChipVerdict]:
        """Give None for each."""
        return [None] * len(claims)


def verify_macs(claims: list[tuple[RetailMac, int, bytes, bytes]]) -> list[bool]:
    """Tell of each (context, padding, data, given MAC) whether it holds."""
    out = []
    for context, padding, data, given in claims:
        made = context.mac(data, padding)
        fits = 4 <= len(given) <= len(made)
        out.append(fits and hmac.compare_digest(made[: len(given)], given))
    return out


def clear_pin_0(clear: bytes, pan_part: str) -> str | None:
    """Give the PIN of a clear format 0 block, None when it holds none."""
    field = xor(clear, bytes.fromhex("0000" + pan_part)).hex()
    length = int(field[1], 16)
    if field[0] != "0" or not 4 <= length <= 12:
        return None
    pin = field[2 : 2 + length]
    return pin if pin.isdecimal() and not field[2 + length :].strip("f") else None


def check_pin_0(
    cipher: Tdes, block: bytes, pan_part: str, pvk: Tdes, offset: str, decimals: str
) -> int:
    """Give 1 when a format 0 block holds the PIN of an offset, 0 when another, 2 when none."""
    pin = clear_pin_0(cipher.decipher_ecb(block), pan_part)
    if pin is None:
        return 2
    natural = pvk.encipher_ecb(bytes.fromhex(pan_part + "FFFF")).hex()
    expected = "".join(
        str((int(decimals[int(one, 16)]) + int(digit)) % 10)
        for one, digit in zip(natural, offset, strict=False)
    )
    return int(hmac.compare_digest(expected.encode(), pin.encode()))


def lrc(data: bytes) -> int:
    """Give the exclusive or of all bytes."""
    return reduce(xor_bytes, data, 0)


def tdes_encipher(key: bytes, data: bytes) -> bytes:
    """Give TDES ECB of whole blocks under a key used once."""
    ecb = Cipher(TripleDES((key * 3)[:24]), modes.ECB())  # noqa: S305 - single blocks, as the standards have it
    return ecb.encryptor().update(data)


def retail_mac(key: bytes, data: bytes, padding: int) -> bytes:
    """Give the algorithm 3 MAC under a key used once."""
    return RetailMac(key).mac(data, padding)


def icc_master_key(imk: bytes, block: bytes) -> bytes:
    """Give the card's master key from the 8-byte diversification block."""
    inverted = (int.from_bytes(block, "big") ^ _INVERT_BLOCK).to_bytes(8, "big")
    return tdes_encipher(imk, block + inverted)


def common_session_key(master_key: bytes, diversifier: bytes) -> bytes:
    """Give the EMV common session key for an 8-byte diversifier."""
    left = diversifier[:2] + b"\xf0" + diversifier[3:]
    right = diversifier[:2] + b"\x0f" + diversifier[3:]
    return tdes_encipher(master_key, left + right)


def issuer_cryptogram(
    imk: bytes, block: bytes, diversifier: bytes, data: bytes, padding: int
) -> bytes:
    """Give the cryptogram of a card from the issuer's key: master, session key and MAC in one."""
    session_key = common_session_key(icc_master_key(imk, block), diversifier)
    return retail_mac(session_key, data, padding)


def arpc_method1(session_key: bytes, arqc: bytes, arc: bytes) -> bytes:
    """Give the 8-byte ARPC over an ARQC and a 2-byte response code."""
    return tdes_encipher(session_key, xor(arqc, arc + bytes(6)))


def tlv_flat(
    data: bytes, leaves: bool, bounds: tuple[int, int, int, int]
) -> dict[str, bytes] | None:
    """Give None: without the native walk the parser of `protocols.emv.tlv` does it all."""
    del data, leaves, bounds
    return None
