"""EMV keys: card master keys from the issuer's, session keys from the card's.

Source: EMV 4.4 Book 2, Annex A1; EMV 4.1 Book 2, Annex A1.3 (tree).
"""

from hashlib import sha1
from typing import Literal

from protocols.crypto import pure, tdes
from protocols.crypto.engine import current
from protocols.crypto.errors import DataLengthError, KeyRefusedError
from protocols.values import Pan, SecretBytes

DerivationOption = Literal["A", "B"]

_PARITY_OPTION_B_DIGITS = 16


def icc_master_key(
    imk: SecretBytes, pan: Pan, psn: str = "00", option: DerivationOption = "A"
) -> SecretBytes:
    """Give a card's 16-byte master key from the issuer's, its number and sequence number.

    `psn` is two digits ("00" when the card has none). Option A takes the 16 rightmost digits of
    both; option B hashes numbers of more than 16 digits. Parity bits are left as they come
    (`tdes.with_odd_parity` sets them; no cipher reads them). Raises KeyRefusedError,
    DataLengthError.
    Source: EMV 4.4 Book 2, Annex A1.4.

    >>> imk = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> from protocols.crypto.kcv import kcv
    >>> kcv(icc_master_key(imk, Pan("12345678901234567"), "45"))[:4]
    'FF08'
    """
    return SecretBytes(
        current.engine.icc_master_key(double_key(imk), diversification_block(pan, psn, option))
    )


def diversification_block(pan: Pan, psn: str = "00", option: DerivationOption = "A") -> bytes:
    """Give the 8 bytes Y that stand for a card in the derivation of its keys."""
    if len(psn) != 2 or not (psn.isascii() and psn.isdecimal()):
        raise DataLengthError("a card sequence number is two digits")
    digits = pan.reveal() + psn
    if option == "B" and len(pan.reveal()) > _PARITY_OPTION_B_DIGITS:
        digits = _hashed_digits(digits)
    elif option not in ("A", "B"):
        raise DataLengthError("a derivation option is A or B")
    return bytes.fromhex(digits[-16:].rjust(16, "0"))


def common_session_key(master_key: SecretBytes, diversifier: bytes) -> SecretBytes:
    """Give the EMV common session key for an ATC (2 bytes) or a whole diversifier (8 bytes).

    Raises KeyRefusedError, DataLengthError. Source: EMV 4.4 Book 2, Annex A1.3.1.

    >>> mk = SecretBytes(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    >>> common_session_key(mk, b"\\x00\\x01") == common_session_key(mk, b"\\x00\\x01" + bytes(6))
    True
    """
    return SecretBytes(
        current.engine.common_session_key(double_key(master_key), checked_diversifier(diversifier))
    )


def mastercard_session_key(
    master_key: SecretBytes, atc: bytes, unpredictable_number: bytes
) -> SecretBytes:
    """Give the session key of CVN 16 and 17: ATC, two zeros, unpredictable number (4 bytes).

    Source: M/Chip 4 session key derivation, as in the vectors.
    """
    if len(atc) != 2 or len(unpredictable_number) != 4:
        raise DataLengthError("an ATC is 2 bytes, an unpredictable number 4")
    return common_session_key(master_key, atc + bytes(2) + unpredictable_number)


def visa_script_session_key(master_key: SecretBytes, atc: bytes) -> SecretBytes:
    """Give the session key of scripts in VIS cards: halves crossed with the ATC and its inverse.

    Source: VIS 1.4, Appendix B.4, as in the vectors.
    """
    if len(atc) != 2:
        raise DataLengthError("an ATC is 2 bytes")
    inverse = bytes(byte ^ 0xFF for byte in atc)
    mask = bytes(6) + atc + bytes(6) + inverse
    return SecretBytes(pure.xor(double_key(master_key), mask))


def emv2000_session_key(
    master_key: SecretBytes,
    atc: bytes,
    *,
    height: int = 8,
    branch_factor: int = 4,
    initial_vector: bytes = bytes(16),
) -> SecretBytes:
    """Give the session key of the EMV2000 tree for an ATC, with odd parity.

    The tree has `branch_factor` to the power `height` leaves and must hold every ATC. Raises
    KeyRefusedError, DataLengthError. Source: EMV 4.1 Book 2, Annex A1.3.
    """
    if len(atc) != 2 or len(initial_vector) != 16:
        raise DataLengthError("an ATC is 2 bytes, an initial vector 16")
    if not (2 <= branch_factor <= 4 and 8 <= height <= 16 and branch_factor**height > 0xFFFF):
        raise DataLengthError("the tree does not hold 65,536 leaves in its bounds")
    leaf = int.from_bytes(atc, "big")
    parent, grandparent = double_key(master_key), initial_vector
    for level in range(height - 1, 0, -1):
        node = _tree_node(parent, grandparent, leaf // branch_factor**level, branch_factor)
        parent, grandparent = node, parent
    last = _tree_node(parent, grandparent, leaf, branch_factor)
    return tdes.with_odd_parity(SecretBytes(pure.xor(last, grandparent)))


def double_key(key: SecretBytes) -> bytes:
    """Give the content of a 16-byte key; raise KeyRefusedError for another length."""
    content = key.reveal()
    if len(content) != 16:
        raise KeyRefusedError(f"an EMV key is 16 bytes, not {len(content)}")
    return content


def checked_diversifier(diversifier: bytes) -> bytes:
    """Give 8 bytes from an ATC or a whole diversifier; raise DataLengthError for another length."""
    if len(diversifier) == 2:
        return diversifier + bytes(6)
    if len(diversifier) != 8:
        raise DataLengthError("a diversifier is an ATC of 2 bytes, or 8 bytes")
    return diversifier


def _tree_node(parent: bytes, grandparent: bytes, position: int, branch_factor: int) -> bytes:
    branch = (position % branch_factor).to_bytes(8, "big")
    left = pure.xor(grandparent[:8], branch)
    right = pure.xor(pure.xor(grandparent[8:], branch), bytes(7) + b"\xf0")
    return current.engine.tdes_encipher(parent, left + right)


def _hashed_digits(digits: str) -> str:
    """Give 16 digits of the hash: decimal ones from the left, then A to F as 0 to 5."""
    packed = bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
    text = sha1(packed).hexdigest()  # noqa: S324 - the derivation is defined with it
    decimal = [digit for digit in text if digit.isdecimal()]
    decimal += [str(int(digit, 16) - 10) for digit in text if not digit.isdecimal()]
    return "".join(decimal[:16])
