"""TR-31 key blocks, versions A to E: keys that travel with what they may be used for.

A and C bind by variants of the protection key, B and D by keys derived from it, E is ISO 20038
in counter mode. New blocks should be B (TDES) or D (AES); the others are for peers that send
them. Source: ANSI X9.143:2021, 7; ASC X9 TR 31:2018; ISO 20038:2017.
"""

from dataclasses import dataclass

from protocols.clock import RandomBytes
from protocols.crypto import limits, mac, tdes
from protocols.crypto.aes import AesCipher, check_not_zero, checked_key
from protocols.crypto.errors import KeyBlockError, KeyRefusedError
from protocols.crypto.tr31_header import (
    KeyBlockHeader,
    OptionalBlock,
    check_codes,
    encode_header,
    parse_header,
)
from protocols.values import SecretBytes

__all__ = ["KeyBlockError", "KeyBlockHeader", "OptionalBlock", "unwrap", "wrap"]

_MAC_BYTES = {"A": 4, "B": 8, "C": 4, "D": 16, "E": 16}
_CIPHER_BYTES = {"A": 8, "B": 8, "C": 8, "D": 16, "E": 1}
_LENGTH_BYTES = 2
_ENCIPHER_VARIANT = 0x45
_MAC_VARIANT = 0x4D
_TDES_CODES = {16: 0x0000, 24: 0x0001}
_AES_CODES = {16: 0x0002, 24: 0x0003, 32: 0x0004}
#: Usage indicators of derived keys: CBC encipherment, MAC, counter mode. X9.143:2021, 7.3.
_FOR_CBC, _FOR_MAC, _FOR_CTR = 0x0000, 0x0001, 0x0002
_HEX = frozenset("0123456789ABCDEF")


@dataclass(frozen=True, slots=True)
class _ProtectionKeys:
    """The two keys that protect one block: for encipherment and for the MAC."""

    encipher: SecretBytes
    authenticate: SecretBytes


def wrap(
    kbpk: SecretBytes, header: KeyBlockHeader, key: SecretBytes, random_bytes: RandomBytes
) -> str:
    """Give the key block of a key under a protection key, as upper-case ASCII text.

    The padding hides whether a TDES key is double or triple. Raises KeyBlockError for codes the
    standard does not know, KeyRefusedError for a key that is weak, of wrong length, or stronger
    than its protection.

    >>> kbpk = SecretBytes(bytes.fromhex("1D22BF32387C600AD97F9B97A51311AC"))
    >>> key = SecretBytes(bytes.fromhex("E8BC63E5479455E26577F715D587FE68"))
    >>> block = wrap(kbpk, KeyBlockHeader("B", "M3", "T", "C"), key, bytes)
    >>> len(block), block[:16]
    (96, 'B0096M3TC00N0000')
    >>> unwrap(kbpk, block)[1] == key
    True
    """
    check_codes(header)
    _check_key(header, key, kbpk)
    clear = _key_field(header, key, random_bytes)
    mac_bytes = _MAC_BYTES[header.version]
    text = encode_header(header, 2 * (len(clear) + mac_bytes))
    body, tag = _protect(_protection_keys(header.version, kbpk), text, clear)
    return text + (body + tag[:mac_bytes]).hex().upper()


def unwrap(kbpk: SecretBytes, block: str) -> tuple[KeyBlockHeader, SecretBytes]:
    """Give header and key of a block. Call `header.require` before the key is used.

    Raises KeyBlockError for a damaged block, an unknown code or a foreign protection key (which
    cannot be told apart), KeyRefusedError for a protection key of wrong length or a weak key
    inside. No error holds any of the block.
    """
    header, start = parse_header(block)
    body = _body(block[start:], header.version)
    mac_bytes = _MAC_BYTES[header.version]
    clear = _unprotect(
        _protection_keys(header.version, kbpk),
        block[:start],
        body[:-mac_bytes],
        body[-mac_bytes:],
    )
    key = _read_key_field(clear)
    _check_key(header, key, kbpk)
    return header, key


def _protect(keys: _ProtectionKeys, text: str, clear: bytes) -> tuple[bytes, bytes]:
    """Give the enciphered key field and the whole MAC."""
    covered = text.encode("ascii")
    version = text[0]
    if version in "AC":
        body = tdes.encipher_cbc(keys.encipher, clear, covered[:8])
        return body, mac.cbc_mac(keys.authenticate, covered + body)
    if version == "B":
        tag = mac.tdes_cmac(keys.authenticate, covered + clear)
        return tdes.encipher_cbc(keys.encipher, clear, tag), tag
    tag = mac.aes_cmac(keys.authenticate, covered + clear)
    cipher = AesCipher(keys.encipher)
    if version == "D":
        return cipher.encipher_cbc(clear, tag), tag
    return cipher.encipher_ctr(clear, tag), tag


def _unprotect(keys: _ProtectionKeys, text: str, body: bytes, tag: bytes) -> bytes:
    """Give the clear key field once its MAC holds, else raise KeyBlockError."""
    covered = text.encode("ascii")
    version = text[0]
    if version in "AC":
        computed = mac.cbc_mac(keys.authenticate, covered + body)
        clear = tdes.decipher_cbc(keys.encipher, body, covered[:8])
    elif version == "B":
        clear = tdes.decipher_cbc(keys.encipher, body, tag)
        computed = mac.tdes_cmac(keys.authenticate, covered + clear)
    else:
        cipher = AesCipher(keys.encipher)
        clear = (cipher.decipher_cbc if version == "D" else cipher.encipher_ctr)(body, tag)
        computed = mac.aes_cmac(keys.authenticate, covered + clear)
    if not mac.same_mac(computed, tag):
        raise KeyBlockError("the MAC does not hold: a damaged block or another protection key")
    return clear


def _protection_keys(version: str, kbpk: SecretBytes) -> _ProtectionKeys:
    """Give the two keys for one version. Raises KeyRefusedError for an unfit protection key."""
    if version in "DE":
        cipher_usage = _FOR_CBC if version == "D" else _FOR_CTR
        checked_key(kbpk)
        check_not_zero(kbpk)
        return _ProtectionKeys(_derive_aes(kbpk, cipher_usage), _derive_aes(kbpk, _FOR_MAC))
    tdes.check_strength(kbpk)
    if version == "B":
        return _ProtectionKeys(_derive_tdes(kbpk, _FOR_CBC), _derive_tdes(kbpk, _FOR_MAC))
    return _ProtectionKeys(_variant(kbpk, _ENCIPHER_VARIANT), _variant(kbpk, _MAC_VARIANT))


def _variant(kbpk: SecretBytes, mask: int) -> SecretBytes:
    return SecretBytes(bytes(byte ^ mask for byte in kbpk.reveal()))


def _derive_tdes(kbpk: SecretBytes, usage: int) -> SecretBytes:
    return SecretBytes(
        b"".join(
            mac.tdes_cmac(kbpk, _derivation_data(counter, usage, _TDES_CODES[len(kbpk)], len(kbpk)))
            for counter in range(1, len(kbpk) // 8 + 1)
        )
    )


def _derive_aes(kbpk: SecretBytes, usage: int) -> SecretBytes:
    length = len(kbpk)
    blocks = b"".join(
        mac.aes_cmac(kbpk, _derivation_data(counter, usage, _AES_CODES[length], length))
        for counter in range(1, 2 + (length > 16))
    )
    return SecretBytes(blocks[:length])


def _derivation_data(counter: int, usage: int, algorithm: int, key_bytes: int) -> bytes:
    """Give the eight bytes that the key derivation enciphers. Source: X9.143:2021, 7.3."""
    return (
        bytes((counter,))
        + usage.to_bytes(2, "big")
        + b"\x00"
        + algorithm.to_bytes(2, "big")
        + (8 * key_bytes).to_bytes(2, "big")
    )


def _key_field(header: KeyBlockHeader, key: SecretBytes, random_bytes: RandomBytes) -> bytes:
    """Give length, key and random padding; TDES and AES keys are padded to their longest form."""
    longest = {"T": 24, "A": 32}.get(header.algorithm, len(key))
    if header.version == "E":
        longest = len(key)  # ISO 20038 pads nothing: counter mode needs no whole blocks
    step = _CIPHER_BYTES[header.version]
    padding = longest - len(key)
    padding += -(_LENGTH_BYTES + longest) % step
    bits = (8 * len(key)).to_bytes(_LENGTH_BYTES, "big")
    return bits + key.reveal() + random_bytes(padding)


def _read_key_field(clear: bytes) -> SecretBytes:
    bits = int.from_bytes(clear[:_LENGTH_BYTES], "big")
    if bits % 8 or not 0 < bits // 8 <= len(clear) - _LENGTH_BYTES:
        raise KeyBlockError("the key length inside does not fit the block")
    return SecretBytes(clear[_LENGTH_BYTES : _LENGTH_BYTES + bits // 8])


def _body(text: str, version: str) -> bytes:
    if len(text) % 2 or not _HEX.issuperset(text):
        raise KeyBlockError("the enciphered part is not whole bytes of upper-case hex")
    body = bytes.fromhex(text)
    length = len(body) - _MAC_BYTES[version]
    if length <= _LENGTH_BYTES or length % _CIPHER_BYTES[version]:
        raise KeyBlockError("the enciphered part does not hold whole cipher blocks and a MAC")
    return body


def _check_key(header: KeyBlockHeader, key: SecretBytes, kbpk: SecretBytes) -> None:
    """Refuse a key that its algorithm forbids, or that its protection is too weak for."""
    length = len(key)
    if not 0 < length <= limits.KEY_BLOCK_KEY_BYTES:
        raise KeyRefusedError(f"a key of {length} bytes does not go into a key block")
    if header.algorithm == "T":
        tdes.check_strength(key)
    elif header.algorithm == "A":
        checked_key(key)
        check_not_zero(key)
        if header.version in "ABC" or length > len(kbpk):
            raise KeyRefusedError("the key is stronger than the key that protects it")
    else:
        check_not_zero(key)
