"""The issuer's check of a chip message in one step: raw DE55 bytes to verdict and session key.

`IssuerKey` keeps the master key's context: hold one per issuer. Cards are those of NSICCS and of
our `ssn` profile: option A or B, EMV common session key, ISO 9797-1 algorithm 3, padding 2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protocols.crypto import cryptogram
from protocols.crypto.cryptogram import NSICCS_DATA_ORDER, NSICCS_LENGTHS
from protocols.crypto.emv_keys import (
    DerivationOption,
    common_session_key,
    diversification_block,
    double_key,
    icc_master_key,
)
from protocols.crypto.engine import current
from protocols.crypto.errors import DataLengthError
from protocols.crypto.mac import same_mac
from protocols.crypto.pure import ChipVerdict
from protocols.crypto.tdes import check_strength
from protocols.emv import limits, tlv
from protocols.errors import LumbungError
from protocols.values import Pan, SecretBytes

_BOUNDS = (limits.TLV_INPUT_BYTES, limits.TLV_DEPTH, limits.TLV_TAG_BYTES, limits.TLV_OBJECTS)
_ORDER = [(bytes.fromhex(tag), NSICCS_LENGTHS.get(tag, 0)) for tag in NSICCS_DATA_ORDER]


class ChipCheck(NamedTuple):
    """What a chip message proves: `holds` tells whether the cryptogram is the card's.

    `atc` is the transaction counter that it states; `session_key` makes the answer (ARPC).
    """

    holds: bool
    atc: int
    session_key: SecretBytes


@dataclass(frozen=True, slots=True)
class ChipClaim:
    """A card, by number and two-digit sequence number, and the raw chip data that it sent."""

    pan: Pan
    psn: str
    chip: bytes


class IssuerKey:
    """The issuer's master key for application cryptograms, its context kept."""

    __slots__ = ("_imk", "_option", "kept")

    def __init__(self, imk: SecretBytes, option: DerivationOption = "A") -> None:
        """Set up the context; raise KeyRefusedError for a weak key, zeros or another length."""
        check_strength(imk)
        self._imk = imk
        self._option: DerivationOption = option
        #: The engine's context, as the native core takes it.
        self.kept = current.engine.IssuerKey(double_key(imk), _ORDER, _BOUNDS)

    def check(self, claim: ChipClaim) -> ChipCheck:
        """Give the verdict on a chip message.

        Raises: TlvError for data that is no BER-TLV, DataLengthError for a tag that is missing
        or has the wrong length, or a card sequence number that is none.
        """
        block = diversification_block(claim.pan, claim.psn, self._option)
        return self._made(claim, self.kept.check(block, claim.chip))

    def check_tags(self, pan: Pan, psn: str, tags: Mapping[str, bytes]) -> ChipCheck:
        """Give the verdict on chip data that was taken apart already: hex tag to value.

        Raises: DataLengthError for a tag that is missing or has the wrong length, or a card
        sequence number that is none.
        """
        block = diversification_block(pan, psn, self._option)
        verdict = self.kept.check_tags(block, tags)
        if verdict is not None:
            holds, atc, key = verdict
            return ChipCheck(holds, atc, SecretBytes(key))
        return self._check_slowly(pan, psn, tags)

    def check_batch(self, claims: Sequence[ChipClaim]) -> list[ChipCheck | LumbungError]:
        """Give the verdict on each, in order, or the error that `check` raises.

        The native engine checks them all while other Python threads run on.
        """
        blocks: list[bytes | LumbungError] = []
        for claim in claims:
            try:
                blocks.append(diversification_block(claim.pan, claim.psn, self._option))
            except DataLengthError as error:
                blocks.append(error)
        pairs = [
            (block, claim.chip)
            for block, claim in zip(blocks, claims, strict=True)
            if isinstance(block, bytes)
        ]
        verdicts = iter(self.kept.check_batch(pairs))
        out: list[ChipCheck | LumbungError] = []
        for block, claim in zip(blocks, claims, strict=True):
            try:
                out.append(
                    block if isinstance(block, LumbungError) else self._made(claim, next(verdicts))
                )
            except LumbungError as error:
                out.append(error)
        return out

    def _made(self, claim: ChipClaim, verdict: ChipVerdict) -> ChipCheck:
        if verdict is not None:
            holds, atc, key = verdict
            return ChipCheck(holds, atc, SecretBytes(key))
        return self._check_slowly(claim.pan, claim.psn, tlv.parse_flat(claim.chip))

    def _check_slowly(self, pan: Pan, psn: str, tags: Mapping[str, bytes]) -> ChipCheck:
        data = cryptogram.arqc_data_nsiccs(tags)
        given = tags.get("9F26")
        if given is None:
            raise DataLengthError("tag 9F26 is missing from the chip's data")
        master = icc_master_key(self._imk, pan, psn, self._option)
        session_key = common_session_key(master, tags["9F36"])
        expected = cryptogram.application_cryptogram(session_key, data)
        holds = len(given) == len(expected) and same_mac(expected, given)
        return ChipCheck(holds, int.from_bytes(tags["9F36"], "big"), session_key)
