"""The issuer's side of the chip: session keys, cryptograms, the answer that the card checks.

Profile `ssn` (decision 16): option A, EMV common session key, ISO 9797-1 algorithm 3, ARPC by
method 1.
"""

from collections.abc import Callable, Mapping

from protocols.crypto.cryptogram import arpc_method1
from protocols.crypto.emv_keys import common_session_key, icc_master_key
from protocols.crypto.errors import DataLengthError
from protocols.crypto.issuer import IssuerKey
from protocols.crypto.pure import ChipVerdict
from protocols.values import Pan, SecretBytes


class ChipKeys:
    """Gives a card's keys from the issuer's."""

    def __init__(self, issuer_key: SecretBytes) -> None:
        """Take the issuer master key for application cryptograms."""
        self._issuer_key = issuer_key
        self._issuer = IssuerKey(issuer_key)

    def session_key(self, pan: Pan, pan_sequence: str, atc: int) -> SecretBytes:
        """Give the session key of one transaction of one card."""
        master = icc_master_key(self._issuer_key, pan, _two_digits(pan_sequence))
        return common_session_key(master, atc.to_bytes(2, "big"))

    def proven_key(
        self, pan: Pan, pan_sequence: str, tags: Mapping[str, bytes]
    ) -> SecretBytes | None:
        """Give the session key of a cryptogram that is this card's own over these tags.

        None when it is not, or a tag has a wrong length. Compares in constant time.
        """
        try:
            check = self._issuer.check_tags(pan, _two_digits(pan_sequence), tags)
        except DataLengthError:
            return None
        return check.session_key if check.holds else None

    @property
    def check_tags(self) -> Callable[[bytes, Mapping[str, bytes]], ChipVerdict]:
        """Give the engine's own check of a card's tags, for the native core."""
        return self._issuer.kept.check_tags

    def issuer_authentication_data(
        self, session_key: SecretBytes, arqc: bytes, response_code: str
    ) -> bytes:
        """Give tag 91: ARPC and response code. Source: EMV 4.4 Book 3, Annex A; Book 2, 8.2.1."""
        arc = response_code.encode("ascii")
        return arpc_method1(session_key, arqc, arc) + arc


def _two_digits(pan_sequence: str) -> str:
    return f"{pan_sequence or '0':0>2}"[-2:]
