"""Requests of the `edc` dialect built from what the journal keeps, and their answers read.

Nothing here decides; it puts values into elements and takes them out. Every message names the key
set it is MACed under in DE61. Source: protocols/specs/edc.toml; domain.md 4.3.
"""

from dataclasses import dataclass

from protocols.business_time import wita
from protocols.clock import RandomBytes
from protocols.crypto.mac import retail_mac
from protocols.crypto.pin import encipher_pin_block
from protocols.framing import EDC_FRAMES, frame, make_tpdu
from protocols.iso8583 import Codec, Message, Value, load_spec
from protocols.values import Pan, SecretBytes
from terminal.host.events import ChipRequest, HostProfile
from terminal.journal.records import Intent, Kind
from terminal.journal.state import Transaction
from terminal.keystore import SessionKeys

#: DE70. Source: edc.toml, element 70.
LOG_ON = "001"
KEY_CHANGE = "161"

#: DE39 of a reversal's answer that say "not now": the reversal stays queued.
TRY_LATER_CODES = frozenset({"19", "63", "68", "90", "91", "96"})

_PURCHASE, _VOID, _BALANCE = "009800", "029800", "319800"
_PROCESSING_CODES = {Kind.PURCHASE: _PURCHASE, Kind.VOID: _VOID, Kind.BALANCE: _BALANCE}
_CHIP_ENTRY, _NO_ACQUIRER, _RUPIAH = "051", "00000000000", "360"
_NO_KEY_SET = "0000"
#: DE62 counts thousandths of a piece, so that weighed goods fit.
_THOUSANDTHS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What a new request is numbered and dated with."""

    stan: int
    rrn: str
    transmission_time: str
    started_ns: int
    batch: int


class MessageBuilder:
    """Builds the requests of one terminal."""

    def __init__(self, profile: HostProfile, random_bytes: RandomBytes) -> None:
        """Load the dialect."""
        self._profile = profile
        self._random_bytes = random_bytes
        self.codec = Codec(load_spec("edc"))
        self._tpdu = make_tpdu(profile.nii.zfill(4), "0000")

    def frame(self, message: Message, mac_key: SecretBytes | None) -> bytes:
        """Give the bytes for the line, MACed when there is a key."""
        if mac_key is None:
            payload = self.codec.encode(message)
        else:
            payload = self.codec.encode_with_mac(message, lambda data: retail_mac(mac_key, data))
        return frame(payload, self._tpdu, EDC_FRAMES)

    # Intents: what is journalled

    def chip_intent(self, kind: Kind, request: ChipRequest, numbers: Numbers) -> Intent:
        """Give the intent of a purchase or a balance inquiry."""
        return self._intent(
            kind,
            numbers,
            amount_sen=request.amount_sen,
            pan=request.pan,
            psn=request.psn,
            entry="CHIP",
            items=request.items,
            pin_entered=request.pin is not None,
        )

    def void_intent(self, original: Intent, numbers: Numbers) -> Intent:
        """Give the intent of a void: its original's card, amount and DE37."""
        return self._intent(
            Kind.VOID,
            numbers,
            rrn=original.rrn,
            amount_sen=original.amount_sen,
            pan=original.pan,
            psn=original.psn,
            entry=original.entry,
            original_stan=original.stan,
        )

    def network_intent(self, numbers: Numbers) -> Intent:
        """Give the intent of a log-on or key change: it takes a STAN, no more."""
        return self._intent(Kind.NETWORK, numbers, mti="0800")

    def _intent(
        self,
        kind: Kind,
        numbers: Numbers,
        *,
        mti: str = "0200",
        rrn: str = "",
        amount_sen: int = 0,
        pan: Pan | None = None,
        **more: object,
    ) -> Intent:
        return Intent(
            kind=kind,
            stan=numbers.stan,
            rrn=rrn or numbers.rrn,
            transmission_time=numbers.transmission_time,
            started_ns=numbers.started_ns,
            mti=mti,
            processing_code=_PROCESSING_CODES.get(kind, ""),
            amount_sen=amount_sen,
            batch=numbers.batch,
            pan=pan,
            operator=self._profile.operator,
            **more,  # type: ignore[arg-type]  # the callers above name Intent's own fields
        )

    # Messages: what is sent

    def chip(self, intent: Intent, request: ChipRequest, keys: SessionKeys) -> Message:
        """Give the 0200 of a purchase or balance inquiry."""
        elements = self._common(intent, keys)
        elements[35] = request.track2.reveal()
        elements[55] = dict(request.de55)
        if request.pin is not None:
            block = encipher_pin_block(keys.pin, request.pin.reveal().decode("ascii"), request.pan)
            elements[52] = block.reveal()
        if intent.items:
            elements[62] = {
                "basket": [
                    {
                        "item": item.code,
                        "quantity": f"{item.quantity * _THOUSANDTHS:08d}",
                        "amount": f"{item.price_sen:012d}",
                    }
                    for item in intent.items
                ]
            }
        return Message(intent.mti, elements)

    def void(self, intent: Intent, original: Transaction, keys: SessionKeys) -> Message:
        """Give the 0200 of a void; DE90 and DE60 name the original, DE37 is the original's."""
        elements = self._common(intent, keys)
        elements[2] = _pan(intent).reveal()
        elements[60] = {
            "batch": f"{intent.batch:06d}",
            "invoice": f"{intent.stan:06d}",
            "original_invoice": f"{original.intent.stan:06d}",
        }
        if original.answer is not None and original.answer.approval_code:
            elements[38] = original.answer.approval_code
        elements[90] = _original(original.intent)
        return Message(intent.mti, elements)

    def reversal(self, transaction: Transaction, repeated: bool, keys: SessionKeys) -> Message:
        """Give the 0400, or 0401 for every repeat: no track, DE37 and DE90 of the original."""
        intent, queued = transaction.intent, transaction.reversal
        assert queued is not None
        elements = self._common(intent, keys)
        elements[2] = _pan(intent).reveal()
        elements[7] = queued.transmission_time
        elements[11] = f"{queued.reversal_stan:06d}"
        elements[90] = _original(intent)
        if transaction.answer is not None and transaction.answer.approval_code:
            elements[38] = transaction.answer.approval_code
        return Message("0401" if repeated else "0400", elements)

    def network(self, intent: Intent, network_code: str, keys: SessionKeys | None) -> Message:
        """Give the 0800 of a log-on or key change."""
        local = wita(intent.started_ns)
        return Message(
            intent.mti,
            {
                7: intent.transmission_time,
                11: f"{intent.stan:06d}",
                12: f"{local:%H%M%S}",
                13: f"{local:%m%d}",
                24: self._profile.nii,
                37: intent.rrn,
                41: self._profile.terminal_id,
                42: self._profile.merchant_id,
                61: self._identity(intent.operator, keys),
                70: network_code,
            },
        )

    def _common(self, intent: Intent, keys: SessionKeys) -> dict[int, Value]:
        local = wita(intent.started_ns)
        elements: dict[int, Value] = {
            3: intent.processing_code,
            4: f"{intent.amount_sen:012d}",
            7: intent.transmission_time,
            11: f"{intent.stan:06d}",
            12: f"{local:%H%M%S}",
            13: f"{local:%m%d}",
            22: _CHIP_ENTRY,
            24: self._profile.nii,
            25: "00",
            37: intent.rrn,
            41: self._profile.terminal_id,
            42: self._profile.merchant_id,
            49: _RUPIAH,
            60: {"batch": f"{intent.batch:06d}", "invoice": f"{intent.stan:06d}"},
            61: self._identity(intent.operator, keys),
        }
        if intent.psn:
            elements[23] = intent.psn.zfill(3)
        return elements

    def _identity(self, operator: str, keys: SessionKeys | None) -> dict[str, Value]:
        return {"operator": operator, "key_set": keys.key_set if keys else _NO_KEY_SET}


def _pan(intent: Intent) -> Pan:
    assert intent.pan is not None, "every request that moves money has a card"
    return intent.pan


def _original(intent: Intent) -> dict[str, Value]:
    return {
        "mti": intent.mti,
        "stan": f"{intent.stan:06d}",
        "transmission_time": intent.transmission_time,
        "acquirer": _NO_ACQUIRER,
        "forwarder": _NO_ACQUIRER,
    }
