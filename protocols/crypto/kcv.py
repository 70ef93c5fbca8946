"""Key check values: enough of a key's fingerprint to compare two entries of it, no more."""

from typing import Literal

from protocols.crypto import aes, mac, tdes
from protocols.values import SecretBytes


def kcv(key: SecretBytes, algorithm: Literal["T", "A"] = "T") -> str:
    """Give six upper-case hex digits that identify a TDES (`T`) or AES (`A`) key.

    TDES: the first three bytes of enciphered zeros. AES: of the CMAC of one zero block.
    Source: ANSI X9.24-1:2017, 7.7 (Annex A for AES).

    >>> kcv(SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")))
    '08D7B4'
    """
    if algorithm == "A":
        return mac.aes_cmac(key, bytes(aes.BLOCK_BYTES))[:3].hex().upper()
    return tdes.encipher_ecb(key, bytes(tdes.BLOCK_BYTES))[:3].hex().upper()
