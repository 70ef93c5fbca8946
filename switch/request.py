"""A decoded message as the switch reads it: typed, with secrets in types that hide themselves."""

from dataclasses import dataclass, field

from protocols.ids import MessageKey, transfer_id
from protocols.iso8583 import Message
from protocols.iso8583.errors import MessageError, Reason
from protocols.values import Pan, PinBlock, Track2

_PIN_BLOCK_BYTES = 8
_NO_CODE = "000000"
#: PIN change, financial, upload, settlement: what is answered again by its key.
_KEYED = frozenset({"01", "02", "03", "05"})
_NO_TYPES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Original:
    """DE90: which message is undone."""

    mti: str
    stan: str
    transmission_time: str
    acquirer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. Amounts are sen; texts are as sent, without padding."""

    message: Message = field(repr=False)
    link: str
    mti: str
    processing_code: str
    amount_sen: int
    transmission_time: str
    stan: str
    entry_mode: str
    rrn: str
    terminal_id: str
    merchant_id: str
    currency: str
    acquirer: str
    pan: Pan | None
    pan_sequence: str
    pin_block: PinBlock | None
    chip: dict[str, bytes] = field(repr=False)
    additional_amount_types: frozenset[str]
    operator: str
    key_set: int | None
    network_code: str
    original: Original | None
    replacement_sen: int
    #: The batch that DE60 names, 0 where it names none.
    batch: int
    #: The chip's transaction counter, 0 without chip data.
    atc: int
    #: The ledger id that a financial message asks for (decision 5), or the key by which the repeat
    #: of a PIN change, an upload or a settlement is known; 0 for any other.
    transfer_id: int

    @property
    def transaction_type(self) -> str:
        """Give the first two digits of DE3. Source: ISO 8583:1987 element 3."""
        return self.processing_code[:2]

    @property
    def account_type(self) -> str:
        """Give the account type of DE3: of the from pair, of the to pair for a refund."""
        return self.processing_code[4:6] if self.is_credit else self.processing_code[2:4]

    @property
    def is_credit(self) -> bool:
        """Tell whether money goes to the card."""
        return self.transaction_type == "20"

    @property
    def cryptogram_kind(self) -> int:
        """Give bits 8 and 7 of 9F27: 0x80 ARQC, 0x40 TC. Source: EMV 4.4 Book 3, table 15."""
        return self.chip["9F27"][0] & 0xC0 if self.chip.get("9F27") else 0

    @property
    def accepts_partial(self) -> bool:
        """Tell whether the terminal says that it can handle a partial approval (DE61)."""
        return "P" in str(self.message.parts(61).get("accepts", ""))

    def original_key(self) -> MessageKey:
        """Give the key of the message that DE90 names; DE41 and DE37 are the same in both."""
        assert self.original is not None
        return MessageKey(
            self.link,
            self.original.acquirer,
            self.terminal_id,
            self.original.transmission_time,
            self.original.stan,
            self.rrn,
            self.original.mti[:2],
        )

    def fingerprint_parts(self) -> tuple[str, ...]:
        """Give what tells a true repeat from another message under the same key (decision 5)."""
        return (
            self.pan.reveal() if self.pan is not None else "",
            self.processing_code,
            f"{self.amount_sen:012d}",
            self.currency,
            str(self.atc),
            self.chip.get("9F26", b"").hex(),
        )


def read_request(message: Message, link: str) -> Request:
    """Give the request that a decoded message holds; raise MessageError when a part is unsound."""
    sender = message.parts(61)
    key_set = sender.get("key_set")
    chip = {tag: v for tag, v in message.parts(55).items() if isinstance(v, bytes)}
    return Request(
        message=message,
        link=link,
        mti=message.mti,
        processing_code=_text(message, 3) or _NO_CODE,
        amount_sen=int(_text(message, 4) or "0"),
        transmission_time=_text(message, 7),
        stan=_text(message, 11) or _NO_CODE,
        entry_mode=_text(message, 22),
        rrn=_text(message, 37),
        terminal_id=_text(message, 41),
        merchant_id=_text(message, 42).rstrip(" "),
        currency=_text(message, 49),
        acquirer=_text(message, 32),
        pan=_pan(message),
        pan_sequence=_text(message, 23),
        pin_block=_pin_block(message),
        chip=chip,
        additional_amount_types=_amount_types(message) if 54 in message else _NO_TYPES,
        operator=str(sender.get("operator", "")),
        key_set=int(key_set) if isinstance(key_set, str) else None,
        network_code=_text(message, 70),
        original=_original(message),
        replacement_sen=int(str(message.parts(95).get("transaction_amount", "0"))),
        batch=int(str(message.parts(60).get("batch", "0"))) if 60 in message else 0,
        atc=int.from_bytes(chip.get("9F36", b"")[:2], "big"),
        transfer_id=_transfer_id(message, link) if message.mti[:2] in _KEYED else 0,
    )


def _text(message: Message, number: int) -> str:
    found = message.elements.get(number, "")
    return found if isinstance(found, str) else message.text(number)


def _transfer_id(message: Message, link: str) -> int:
    return transfer_id(
        MessageKey(
            link,
            _text(message, 32),
            _text(message, 41),
            _text(message, 7),
            _text(message, 11) or _NO_CODE,
            _text(message, 37),
            message.mti[:2],
        )
    )


def _amount_types(message: Message) -> frozenset[str]:
    return frozenset(str(group.get("amount_type", "")) for group in message.groups(54))


def _pan(message: Message) -> Pan | None:
    """Give the card number; DE2 and DE35 must not contradict each other."""
    number = Pan(message.text(2)) if 2 in message and len(message.text(2)) >= 8 else None
    if 2 in message and number is None:
        raise MessageError("2", None, Reason.TOO_SHORT)
    if 35 not in message:
        return number
    try:
        track = Track2(message.text(35))
    except ValueError:
        raise MessageError("35", None, Reason.BAD_TRACK) from None
    if number is not None and number != track.pan:
        raise MessageError("2", None, Reason.NOT_ALLOWED, "it contradicts element 35")
    return track.pan


def _pin_block(message: Message) -> PinBlock | None:
    if 52 not in message:
        return None
    block = message.data(52)
    if len(block) != _PIN_BLOCK_BYTES:
        raise MessageError("52", None, Reason.BAD_COUNT)
    return PinBlock(block)


def _original(message: Message) -> Original | None:
    if 90 not in message:
        return None
    return Original(
        mti=message.text(90, "mti"),
        stan=message.text(90, "stan"),
        transmission_time=message.text(90, "transmission_time"),
        acquirer=message.text(90, "acquirer").lstrip("0"),
    )
