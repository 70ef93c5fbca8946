"""An application made ready to answer: templates built, lists cut into slices, keys at hand."""

from collections.abc import Mapping

from cardsim import key_faults, limits
from cardsim.errors import CardImageError
from cardsim.image import ApplicationImage
from cardsim.memory import OrderedWriter
from cardsim.misbehaviour import Misbehaviour
from protocols.clock import RandomBytes
from protocols.crypto import emv_keys
from protocols.crypto.cryptogram import arpc_method1
from protocols.crypto.mac import RetailMac, same_mac
from protocols.crypto.rsa import RsaPrivateKey
from protocols.emv import tlv
from protocols.emv.balance_mirror import TAG_DF71_BALANCE_MIRROR
from protocols.emv.commands import AcType
from protocols.emv.dol import dol_length, parse_dol
from protocols.emv.tags import (
    TAG_9F4F_LOG_FORMAT,
    TAG_9F13_LAST_ONLINE_ATC_REGISTER,
    TAG_9F17_PIN_TRY_COUNTER,
    TAG_9F36_APPLICATION_TRANSACTION_COUNTER,
)
from protocols.values import SecretBytes

#: Terminal data that enter a cryptogram, in order; AIP, ATC and 9F10 follow. emv.md 4.3.
AC_TAGS = ("9F02", "9F03", "9F1A", "95", "5F2A", "9A", "9C", "9F37")
#: The log file and what one of its entries holds. EMV 4.4 Book 3, Annex D.
LOG_SFI = 11
LOG_TAGS = (("9F27", 1), ("9F02", 6), ("5F2A", 2), ("9A", 3), ("9F36", 2), ("9C", 1))
assert sum(size for _, size in LOG_TAGS) == limits.LOG_ENTRY_BYTES
#: Length of 9F10 in NSICCS cards, zeros at the end. emv.md 4.3.
IAD_BYTES = 28
#: Which list a value is taken from: CDOL1, CDOL2, or the contactless PDOL.
FIRST, SECOND, TAP = 0, 1, 2

_NO_ARC = b"\x00\x00"
_COUNT_MAXIMUM = 0xFF
Slices = tuple[tuple[int, int], ...]


class Application:
    """One application of a powered card.

    Volatile state lives here and is gone with `reset`; everything else goes through the writer.
    """

    __slots__ = (
        "_shown",
        "_slices",
        "_writer",
        "arc_verified",
        "arqc",
        "atc",
        "cdol1_values",
        "chaining_value",
        "challenge",
        "ddol_length",
        "fci",
        "first_cryptogram",
        "first_type",
        "gpo_answer",
        "image",
        "issuer_authenticated",
        "lengths",
        "mac",
        "misbehaves",
        "pdol_length",
        "pdol_values",
        "pin_verified",
        "positions",
        "random_bytes",
        "script_broken",
        "session_key",
        "state",
        "tap_fci",
    )

    def __init__(
        self, image: ApplicationImage, writer: OrderedWriter, random_bytes: RandomBytes
    ) -> None:
        """Build the templates. Raises CardImageError for a CDOL without a cryptogram's tag."""
        self.image = image
        self.state = image.state
        self._writer = writer
        self.random_bytes = random_bytes
        self.fci = _fci(image, image.pdol)
        self.tap_fci = _fci(image, image.contactless_pdol) if image.contactless_pdol else b""
        self.ddol_length = dol_length(parse_dol(image.ddol))
        self.gpo_answer = _gpo_answer(image)
        self.pdol_length = dol_length(parse_dol(image.pdol))
        lists = [parse_dol(image.cdol1), parse_dol(image.cdol2)]
        if image.contactless_pdol:
            lists.append(parse_dol(image.contactless_pdol))
        self.positions = tuple(_positions(entries) for entries in lists)
        self.lengths = tuple(dol_length(entries) for entries in lists)
        self._slices = tuple(_slices(positions, AC_TAGS) for positions in self.positions)
        self.misbehaves: frozenset[Misbehaviour] = frozenset()
        self._shown: Mapping[tuple[int, int], bytes] | None = None
        self.challenge = b""
        self.reset()

    def reset(self) -> None:
        """Forget everything volatile: selection does it, and without one nothing is heard."""
        self.atc = b""
        self.arqc = b""
        self.first_cryptogram = b""
        self.first_type = 0
        self.session_key: SecretBytes | None = None
        self.mac: RetailMac | None = None
        self.issuer_authenticated: bool | None = None
        self.arc_verified = _NO_ARC
        self.pin_verified: bool | None = None
        self.chaining_value = b""
        self.script_broken = False
        self.pdol_values = b""
        self.cdol1_values = b""

    def misbehave(self, how: Misbehaviour) -> None:
        """Misbehave from now on, whatever is selected; the image stays as it is."""
        self.misbehaves |= {how}
        self._shown = None

    @property
    def blocked(self) -> bool:
        """Tell whether the application is blocked, or pretends to be."""
        return self.state.blocked or Misbehaviour.APPLICATION_BLOCKED in self.misbehaves

    @property
    def pin_tries(self) -> int:
        """Give the PIN tries that are left, none on a card that pretends so."""
        return 0 if Misbehaviour.PIN_BLOCKED in self.misbehaves else self.state.pin_tries

    @property
    def offline_count(self) -> int:
        """Give the offline approvals since the last online one, at their end when pretended."""
        spent = Misbehaviour.OFFLINE_LIMITS_SPENT in self.misbehaves
        return _COUNT_MAXIMUM if spent else self.state.offline_count

    @property
    def key(self) -> RsaPrivateKey | None:
        """Give the key that signs and deciphers: the card's own, or a weak one in its place."""
        weak = Misbehaviour.WEAK_KEY in self.misbehaves
        return (key_faults.weak_key(self.image) if weak else None) or self.image.icc_key

    @property
    def records(self) -> Mapping[tuple[int, int], bytes]:
        """Give the records as the card shows them."""
        weak = Misbehaviour.WEAK_KEY in self.misbehaves
        foreign = Misbehaviour.FOREIGN_CERTIFICATE in self.misbehaves
        if not (weak or foreign):
            return self.image.records
        if self._shown is None:
            self._shown = key_faults.records_of(self.image, weak=weak, foreign=foreign)
        return self._shown

    def granted(self, kind: AcType) -> AcType:
        """Give the cryptogram that is given in place of the one that the card's rules say."""
        if Misbehaviour.HIGHER_CRYPTOGRAM in self.misbehaves:
            return AcType.TC
        return AcType.AAC if Misbehaviour.LOWER_CRYPTOGRAM in self.misbehaves else kind

    def write(self, field: str, value: object) -> None:
        """Write one non-volatile field; nothing is written when it holds the value already."""
        if getattr(self.state, field) != value:
            self._writer.write(self.state, field, value)

    def replace_record(self, place: tuple[int, int], record: bytes) -> None:
        """Write a record of this application in one non-volatile write."""
        records = {**self.image.records, place: record}
        self._writer.write(self.image, "records", records)

    def begin(self) -> None:
        """Start a transaction under the next counter, which is durable before it is used."""
        atc = self.state.atc + 1
        if Misbehaviour.STUCK_ATC in self.misbehaves:
            atc = max(self.state.atc, 1)
        self.write("atc", atc)
        self.atc = atc.to_bytes(2, "big")
        self.session_key = emv_keys.common_session_key(self.image.udk_ac, self.atc)
        self.mac = RetailMac(self.session_key, padding=2)

    def value(self, ordinal: int, data: bytes, tag: str) -> bytes:
        """Give the value of a tag from a list's data, empty when the list does not ask it."""
        place = self.positions[ordinal].get(tag)
        return b"" if place is None else data[place[0] : place[1]]

    def cryptogram(
        self, ordinal: int, data: bytes, issuer_data: bytes, aip: bytes | None = None
    ) -> bytes:
        """Give the 8-byte cryptogram over a list's data, AIP, ATC and 9F10. emv.md 4.3."""
        assert self.mac is not None
        parts = b"".join([data[start:end] for start, end in self._slices[ordinal]])
        if Misbehaviour.OTHER_AMOUNT in self.misbehaves:
            parts = bytes((parts[0] ^ 0x01,)) + parts[1:]
        if Misbehaviour.WRONG_CRYPTOGRAM in self.misbehaves:
            return bytes(8)
        return self.mac.mac(parts + (aip or self.image.aip) + self.atc + issuer_data)

    def issuer_application_data(self, cvr: bytes) -> bytes:
        """Give 9F10: key index, cryptogram version, CVR, counters, zeros to 28 bytes."""
        image, state = self.image, self.state
        head = bytes((image.derivation_key_index, image.cryptogram_version)) + cvr
        counters = state.last_online_atc.to_bytes(2, "big") + bytes(
            (self.offline_count, state.script_count)
        )
        return (head + counters).ljust(IAD_BYTES, b"\x00")

    def check_arpc(self, data: bytes) -> bool:
        """Check tag 91 by method 1 (8 + 2 bytes); its response code counts when this is true."""
        assert self.session_key is not None
        arpc, arc = data[:8], data[8:10]
        good = same_mac(arpc_method1(self.session_key, self.arqc, arc), arpc)
        self.issuer_authenticated = good or Misbehaviour.ACCEPTS_ANY_ARPC in self.misbehaves
        self.arc_verified = arc
        return self.issuer_authenticated

    def data_object(self, tag: str) -> bytes | None:
        """Give the value for GET DATA, None for a tag that the card does not give."""
        state = self.state
        if tag == TAG_9F36_APPLICATION_TRANSACTION_COUNTER:
            return state.atc.to_bytes(2, "big")
        if tag == TAG_9F13_LAST_ONLINE_ATC_REGISTER:
            return state.last_online_atc.to_bytes(2, "big")
        if tag == TAG_9F17_PIN_TRY_COUNTER and state.pin:
            return bytes((self.pin_tries,))
        if tag == TAG_9F4F_LOG_FORMAT:
            return b"".join(bytes.fromhex(name) + bytes((size,)) for name, size in LOG_TAGS)
        if tag == TAG_DF71_BALANCE_MIRROR and state.balance_mirror:
            return state.balance_mirror
        return None

    def log_entry(self, ordinal: int, data: bytes, cid: int) -> bytes:
        """Give a log entry of this transaction in the order of the log format."""
        known = {"9F27": bytes((cid,)), "9F36": self.atc}
        return b"".join(
            known.get(tag) or self.value(ordinal, data, tag).rjust(size, b"\x00")[-size:]
            for tag, size in LOG_TAGS
        )


def _fci(image: ApplicationImage, pdol: bytes) -> bytes:
    proprietary: list[tuple[str, bytes]] = [
        ("50", image.label.encode("ascii")),
        ("87", bytes((image.priority,))),
        ("5F2D", image.language.encode("ascii")),
    ]
    if pdol:
        proprietary.append(("9F38", pdol))
    log = tlv.build([("9F4D", bytes((LOG_SFI, 10)))])
    proprietary.append(("BF0C", log))
    inner = tlv.build([("84", image.aid), ("A5", tlv.build(proprietary))])
    return tlv.build([("6F", inner)])


def _gpo_answer(image: ApplicationImage) -> bytes:
    if image.gpo_format == 1:
        return tlv.build([("80", image.aip + image.afl)])
    return tlv.build([("77", tlv.build([("82", image.aip), ("94", image.afl)]))])


def _positions(cdol: list[tuple[str, int]]) -> Mapping[str, tuple[int, int]]:
    positions: dict[str, tuple[int, int]] = {}
    at = 0
    for tag, length in cdol:
        positions.setdefault(tag, (at, at + length))
        at += length
    return positions


def _slices(positions: Mapping[str, tuple[int, int]], tags: tuple[str, ...]) -> Slices:
    """Give the places of these tags, neighbours in order joined into one slice."""
    joined: list[tuple[int, int]] = []
    for tag in tags:
        if tag not in positions:
            raise CardImageError(
                f"a CDOL does not ask for tag {tag}, which the cryptogram covers.",
                fix="Personalise the card anew.",
            )
        start, end = positions[tag]
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
