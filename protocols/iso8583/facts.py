"""What a host reads of a request: one flat tuple of typed values instead of look-ups in dicts.

Amounts are sen, texts are as sent without padding, secrets stand in types that hide themselves.
With them come the message's key (`protocols.ids.transfer_id`) and its fingerprint. A host derives
its own class from `Facts` and has it filled by `facts_reader`; both twins give the same, and the
walk through the dicts here words every error for both.
"""

import importlib
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from protocols.ids import MessageKey, fingerprint, transfer_id
from protocols.iso8583.errors import MessageError, Reason
from protocols.iso8583.message import Message
from protocols.values import Pan, PinBlock, Track2

_PIN_BLOCK_BYTES = 8
_NO_CODE = "000000"
#: PIN change, financial, upload, settlement: what is answered again by its key.
_KEYED = frozenset({"01", "02", "03", "05"})
_NO_TYPES: frozenset[str] = frozenset()


class Original(NamedTuple):
    """DE90: which message is undone. Source: ISO 8583:1987, data element 90."""

    mti: str
    stan: str
    transmission_time: str
    acquirer: str


class Facts(NamedTuple):
    """One request. `pan` is that of elements 2 and 35, which do not contradict each other."""

    message: Message
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
    chip: dict[str, bytes]
    additional_amount_types: frozenset[str]
    operator: str
    key_set: int | None
    network_code: str
    original: Original | None
    replacement_sen: int
    #: The batch that element 60 names, 0 where it names none.
    batch: int
    #: The chip's transaction counter, 0 without chip data.
    atc: int
    #: The ledger id that a financial message asks for (decision 5), or the key by which the repeat
    #: of a PIN change, an upload or a settlement is known; 0 for any other.
    transfer_id: int
    #: What tells a true repeat from another message under the same key (decision 5).
    fingerprint: int

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.mti} {self.processing_code} {self.terminal_id}>"


_F = TypeVar("_F", bound=Facts)
#: Gives the facts of a decoded message that came over a link.
Reader = Callable[[Message, str], _F]


class _Core(Protocol):
    """The native reader; None means that Python must read."""

    def __call__(
        self, message: type, facts: type, pan: type, pin_block: type, no_types: frozenset[str], /
    ) -> "_Core": ...

    def read(self, message: Message, link: str, /) -> Facts | None:
        """Give the facts of a message that is plainly right."""


def _load() -> _Core | None:
    try:
        core = importlib.import_module("protocols._core")
    except ImportError:
        return None
    reader: _Core = core.codec.FactsReader
    return reader


_native = _load()


def native_facts(into: type[_F]) -> Callable[[Message, str], Facts | None] | None:
    """Give the native core's own reader into this class, None where it was not built.

    The reader gives None for a message that `facts_reader`'s must read.
    """
    return None if _native is None else _native(Message, into, Pan, PinBlock, _NO_TYPES).read


def facts_reader(into: type[_F], *, native: bool = True) -> Reader[_F]:
    """Give what reads facts into this class, natively where that was built and is wanted.

    The reader raises MessageError when a part is unsound.
    """

    def read_plainly(message: Message, link: str) -> _F:
        return into._make(read_facts(message, link))

    read = native_facts(into)
    if read is None or not native:
        return read_plainly

    def read_natively(message: Message, link: str) -> _F:
        found = read(message, link)
        return read_plainly(message, link) if found is None else found  # type: ignore[return-value]

    return read_natively


def read_facts(message: Message, link: str) -> Facts:
    """Give the facts of a decoded message; raise MessageError when a part is unsound."""
    sender = message.parts(61)
    key_set = sender.get("key_set")
    chip = {tag: v for tag, v in message.parts(55).items() if isinstance(v, bytes)}
    code, stan = _text(message, 3) or _NO_CODE, _text(message, 11) or _NO_CODE
    amount_sen, currency, pan = int(_text(message, 4) or "0"), _text(message, 49), _pan(message)
    atc = int.from_bytes(chip.get("9F36", b"")[:2], "big")
    return Facts(
        message=message,
        link=link,
        mti=message.mti,
        processing_code=code,
        amount_sen=amount_sen,
        transmission_time=_text(message, 7),
        stan=stan,
        entry_mode=_text(message, 22),
        rrn=_text(message, 37),
        terminal_id=_text(message, 41),
        merchant_id=_text(message, 42).rstrip(" "),
        currency=currency,
        acquirer=_text(message, 32),
        pan=pan,
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
        atc=atc,
        transfer_id=_transfer_id(message, link) if message.mti[:2] in _KEYED else 0,
        fingerprint=fingerprint(
            pan.reveal() if pan is not None else "",
            code,
            f"{amount_sen:012d}",
            currency,
            str(atc),
            chip.get("9F26", b"").hex(),
        ),
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
