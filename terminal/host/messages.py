"""Requests of the `edc` dialect built from what the journal keeps, and their answers read.

Nothing here decides; it puts values into elements and takes them out. Every message names the key
set it is MACed under in DE61. Source: protocols/specs/edc.toml; domain.md 4.3.
"""

from dataclasses import replace
from typing import NamedTuple

from protocols.business_time import wita
from protocols.clock import RandomBytes
from protocols.crypto.mac import retail_mac
from protocols.crypto.pin import encipher_pin_block
from protocols.emv import tlv
from protocols.framing import EDC_FRAMES, frame, make_tpdu
from protocols.iso8583 import Codec, Message, Value, load_spec
from protocols.values import Pan, PinBlock, SecretBytes
from terminal.host.events import ChipRequest, HostProfile
from terminal.journal.records import Intent, Kind
from terminal.journal.transactions import Transaction
from terminal.keystore import SessionKeys

#: DE70. Source: edc.toml, element 70.
LOG_ON = "001"
LOG_OFF = "002"
KEY_CHANGE = "161"

#: DE39 in the answer to a reversal or a stored message that say "not now": it stays queued.
TRY_LATER_CODES = frozenset({"19", "63", "68", "90", "91", "96"})

_PROCESSING_CODES = {
    Kind.PURCHASE: "009800",
    Kind.VOUCHER: "009800",
    Kind.VOID: "029800",
    Kind.REFUND: "200098",
    Kind.BALANCE: "319800",
    Kind.STATEMENT: "389800",
    Kind.PIN_CHANGE: "720000",
    Kind.SETTLEMENT: "920000",
}
_MTIS = {
    Kind.PIN_CHANGE: "0100",
    Kind.VOUCHER: "0220",
    Kind.UPLOAD: "0320",
    Kind.SETTLEMENT: "0500",
    Kind.NETWORK: "0800",
}
#: DE22 by how the card was read. Source: ISO 8583:1987, element 22; edc.toml.
_ENTRY_MODES = {"CHIP": "051", "TAP": "071"}
_NO_ACQUIRER, _RUPIAH = "00000000000", "360"
_NORMAL, _STORED_VOUCHER = "00", "06"
#: Partial approvals are handled (10). Source: edc.toml, element 61.
_ACCEPTS = "P"
#: Elements of a message without an amount or a currency to speak of.
_MONEY_ELEMENTS = (4, 49)
_NO_KEY_SET = "0000"
#: DE62 counts thousandths of a piece, so that weighed goods fit.
_THOUSANDTHS = 1_000


class Numbers(NamedTuple):
    """What a new request is numbered and dated with."""

    stan: int
    rrn: str
    transmission_time: str
    started_ns: int
    batch: int
    merchant_id: str


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

    def sign_on(self, merchant_id: str, operator: str) -> None:
        """Send from this shop and operator from now on (R39)."""
        self._profile = replace(self._profile, merchant_id=merchant_id, operator=operator)

    @property
    def profile(self) -> HostProfile:
        """Give who sends."""
        return self._profile

    # Intents: what is journalled

    def chip_intent(self, kind: Kind, request: ChipRequest, numbers: Numbers) -> Intent:
        """Give the intent of what a card asks for."""
        return self.intent(
            kind,
            numbers,
            amount_sen=request.amount_sen,
            pan=request.pan,
            psn=request.psn,
            entry=request.entry,
            items=request.items,
            pin_entered=request.pin is not None,
            proxy=request.proxy,
        )

    def void_intent(self, original: Transaction, numbers: Numbers) -> Intent:
        """Give the intent of a void: its original's card, amount and DE37."""
        sale = original.intent
        return self.intent(
            Kind.VOID,
            numbers,
            rrn=sale.rrn,
            amount_sen=original.amount_sen,
            pan=sale.pan,
            psn=sale.psn,
            entry=sale.entry,
            original_stan=sale.stan,
        )

    def intent(self, kind: Kind, numbers: Numbers, **more: object) -> Intent:
        """Give an intent with the numbers, codes and sender of its kind."""
        values: dict[str, object] = {
            "kind": kind,
            "stan": numbers.stan,
            "rrn": numbers.rrn,
            "transmission_time": numbers.transmission_time,
            "started_ns": numbers.started_ns,
            "mti": _MTIS.get(kind, "0200"),
            "processing_code": _PROCESSING_CODES.get(kind, ""),
            "amount_sen": 0,
            "batch": numbers.batch,
            "operator": self._profile.operator,
            "merchant_id": numbers.merchant_id,
        }
        return Intent(**(values | more))  # type: ignore[arg-type]  # callers name its own fields

    # Messages: what is sent

    def chip(self, intent: Intent, request: ChipRequest, keys: SessionKeys) -> Message:
        """Give what a card asks for: 0200, or 0100 with the old and the new PIN."""
        elements = self._common(intent, keys)
        elements[35] = request.track2.reveal()
        elements[55] = dict(request.de55)
        if request.pin is not None:
            elements[52] = _pin_block(keys, request.pin, request.pan)
        if request.new_pin is not None:
            elements[48] = {"new_pin": _pin_block(keys, request.new_pin, request.pan)}
        if intent.kind is Kind.PIN_CHANGE:
            _without(elements, *_MONEY_ELEMENTS)
        bought = _bought(intent)
        if bought:
            elements[62] = bought
        return Message(intent.mti, elements)

    def void(self, intent: Intent, original: Transaction, keys: SessionKeys) -> Message:
        """Give the 0200 of a void; DE90 and DE60 name the original, DE37 is the original's."""
        elements = self._common(intent, keys)
        elements[2] = _pan(intent).reveal()
        return Message(intent.mti, elements | self._names(intent, original))

    def refund(
        self, intent: Intent, original: Transaction, request: ChipRequest, keys: SessionKeys
    ) -> Message:
        """Give the 0200 of a refund: card and PIN, and the names of its original."""
        elements = self.chip(intent, request, keys).elements
        return Message(intent.mti, dict(elements) | self._names(intent, original))

    def _names(self, intent: Intent, original: Transaction) -> dict[int, Value]:
        elements: dict[int, Value] = {
            60: {
                "batch": f"{intent.batch:06d}",
                "invoice": f"{intent.stan:06d}",
                "original_invoice": f"{original.intent.stan:06d}",
            },
            90: original_elements(original.intent),
        }
        if original.answer is not None and original.answer.approval_code:
            elements[38] = original.answer.approval_code
        return elements

    # Stored messages

    def stored(
        self, transaction: Transaction, original: Transaction | None, keys: SessionKeys
    ) -> Message:
        """Give a stored message as its next transmission: the repeat MTI from the second on."""
        intent = transaction.intent
        mti = intent.mti
        if transaction.transmissions > 1:
            mti = f"{mti[:3]}1"
        if intent.kind is Kind.SETTLEMENT:
            return Message(mti, self._settlement(intent, keys))
        if intent.kind is Kind.VOUCHER:
            return Message(mti, self._voucher(intent, keys))
        assert original is not None, "what is uploaded is still known"
        return Message(mti, self._upload(intent, original, keys))

    def _settlement(self, intent: Intent, keys: SessionKeys) -> dict[int, Value]:
        elements = self._common(intent, keys)
        _without(elements, 4, 22, 25)
        (totals,) = intent.totals
        elements[60] = {"batch": f"{intent.batch:06d}"}
        elements[63] = {
            "totals": {
                "sales": f"{totals.sales:06d}",
                "sales_amount": f"{totals.sales_sen:012d}",
                "voids": f"{totals.voids:06d}",
                "voids_amount": f"{totals.voids_sen:012d}",
                "refunds": f"{totals.refunds:06d}",
                "refunds_amount": f"{totals.refunds_sen:012d}",
            }
        }
        return elements

    def _voucher(self, intent: Intent, keys: SessionKeys) -> dict[int, Value]:
        elements = self._common(intent, keys)
        elements[2] = _pan(intent).reveal()
        elements[25] = _STORED_VOUCHER
        elements[55] = dict(tlv.parse_flat(intent.chip))
        elements[60] = {
            "batch": f"{intent.batch:06d}",
            "invoice": f"{intent.stan:06d}",
            "voucher": intent.voucher,
        }
        bought = _bought(intent)
        if bought:
            elements[62] = bought
        return elements

    def _upload(self, intent: Intent, original: Transaction, keys: SessionKeys) -> dict[int, Value]:
        """Give one transaction of a batch anew; only DE7, DE11 and the MAC are the upload's own."""
        assert original.answer is not None, "only what the host has answered is in a batch"
        elements = self._common(original.intent, keys)
        elements |= {
            4: f"{original.amount_sen:012d}",
            7: intent.transmission_time,
            11: f"{intent.stan:06d}",
            39: original.answer.response_code,
            60: {
                "batch": f"{intent.batch:06d}",
                "invoice": f"{original.intent.stan:06d}",
                "sequence": f"{intent.sequence:06d}",
            },
            90: original_elements(original.intent),
        }
        if original.intent.pan is not None:
            elements[2] = original.intent.pan.reveal()
        if original.answer.approval_code:
            elements[38] = original.answer.approval_code
        return elements

    def reversal(self, transaction: Transaction, repeated: bool, keys: SessionKeys) -> Message:
        """Give the 0400, or 0401 for every repeat: no track, DE37 and DE90 of the original."""
        intent, queued = transaction.intent, transaction.owed
        assert queued is not None, "only an owed reversal is sent"
        elements = self._common(intent, keys)
        elements[2] = _pan(intent).reveal()
        elements[7] = queued.transmission_time
        elements[11] = f"{queued.reversal_stan:06d}"
        elements[90] = original_elements(intent)
        if queued.actual_sen:
            elements[95] = _replacement(queued.actual_sen)
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
                42: intent.merchant_id or self._profile.merchant_id,
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
            22: _ENTRY_MODES.get(intent.entry, _ENTRY_MODES["CHIP"]),
            24: self._profile.nii,
            25: _NORMAL,
            37: intent.rrn,
            41: self._profile.terminal_id,
            42: intent.merchant_id or self._profile.merchant_id,
            49: _RUPIAH,
            60: {"batch": f"{intent.batch:06d}", "invoice": f"{intent.stan:06d}"},
            61: self._identity(intent.operator, keys),
        }
        if intent.psn:
            elements[23] = intent.psn.zfill(3)
        return elements

    def _identity(self, operator: str, keys: SessionKeys | None) -> dict[str, Value]:
        return {
            "operator": operator,
            "key_set": keys.key_set if keys else _NO_KEY_SET,
            "accepts": _ACCEPTS,
        }


def _pan(intent: Intent) -> Pan:
    assert intent.pan is not None, "every request that moves money has a card"
    return intent.pan


def _pin_block(keys: SessionKeys, pin: SecretBytes, pan: Pan) -> bytes:
    """Give the enciphered block: a PIN pad has made it already, digits typed here are made one."""
    if isinstance(pin, PinBlock):
        return pin.reveal()
    return encipher_pin_block(keys.pin, pin.reveal().decode("ascii"), pan).reveal()


def _without(elements: dict[int, Value], *numbers: int) -> None:
    for number in numbers:
        elements.pop(number, None)


def _bought(intent: Intent) -> dict[str, Value]:
    """Give DE62: what was bought, and by which proxy."""
    found: dict[str, Value] = {}
    if intent.items:
        found["basket"] = [
            {
                "item": item.code,
                "quantity": f"{item.quantity * _THOUSANDTHS:08d}",
                "amount": f"{item.price_sen:012d}",
            }
            for item in intent.items
        ]
    if intent.proxy:
        found["proxy"] = intent.proxy
    return found


def _replacement(actual_sen: int) -> dict[str, Value]:
    """Give DE95: the amount that really changed hands; this link knows no fees."""
    return {
        "transaction_amount": f"{actual_sen:012d}",
        "settlement_amount": f"{0:012d}",
        "transaction_fee": "C00000000",
        "settlement_fee": "C00000000",
    }


def original_elements(intent: Intent) -> dict[str, Value]:
    """Give DE90: which message is undone, voided or uploaded."""
    return {
        "mti": intent.mti,
        "stan": f"{intent.stan:06d}",
        "transmission_time": intent.transmission_time,
        "acquirer": _NO_ACQUIRER,
        "forwarder": _NO_ACQUIRER,
    }
