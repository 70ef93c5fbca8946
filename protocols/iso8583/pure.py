"""`PureCodec`: messages of a spec in pure Python. Strict, no state that matters.

It is the reference; `native.py` has its twin, `codec.py` picks one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from protocols.crypto.mac import RetailMac
from protocols.iso8583.content import write_simple
from protocols.iso8583.errors import MessageError, Reason
from protocols.iso8583.inspect import Inspection, inspect_message
from protocols.iso8583.lazy import LazyMessage, PureLazyMessage
from protocols.iso8583.limits import MESSAGE_BYTES_MAX
from protocols.iso8583.mask import mask_message
from protocols.iso8583.message import Message, Value
from protocols.iso8583.model import Kind, MessageUse, Spec
from protocols.iso8583.plan_decode import DecodePlans
from protocols.iso8583.plan_encode import EncodePlans
from protocols.iso8583.plan_source import ODD
from protocols.iso8583.receive import (
    SENDER_ELEMENT,
    Received,
    SenderKeys,
    receive,
    receive_each,
)
from protocols.iso8583.walk import Walk

MAC_PRIMARY = 64
MAC_SECONDARY = 128


class PureCodec:
    """Codec of one spec in pure Python: a compiled plan per bitmap, the walk for the rest."""

    __slots__ = ("_decode_plans", "_encode_plans", "_mac_sizes", "spec")

    is_native = False
    #: The native core's own `receive` and writer of answers, for native callers only.
    receiver: Callable[..., tuple[Message, int] | None] | None = None
    answerer: Callable[..., bytes | None] | None = None

    def __init__(self, spec: Spec) -> None:
        """Take the spec; plans are compiled as bitmaps are seen."""
        self.spec = spec
        self._decode_plans = DecodePlans(spec)
        self._encode_plans = EncodePlans(spec)
        self._mac_sizes = mac_sizes(spec)

    def decode(self, raw: bytes) -> Message:
        """Give the message that exactly these bytes are, without length header and TPDU.

        Raises: MessageError, and nothing else, for bytes that are not one message of the spec.
        """
        if raw.__class__ is not bytes:
            raw = as_bytes(raw)
        plans = self._decode_plans
        try:
            is_long = raw[plans.first] >= plans.long_from
            return plans.by_bitmap[raw[plans.long if is_long else plans.short]](raw)
        except ODD:  # a new bitmap, or a message that is not plainly right: the walk decides
            return plans.decode_slowly(raw)

    def encode(self, message: Message) -> bytes:
        """Give the bytes of a message; `decode` of them gives the message back.

        Raises: MessageError when a value does not fit its element.
        """
        elements = message.elements
        try:
            return self._encode_plans.by_elements[tuple(elements)](message.mti, elements)
        except ODD:  # a new set, or a value that is not plainly right: the packer decides
            return self._encode_plans.encode_slowly(message.mti, elements)

    def encode_with_mac(self, message: Message, mac: Callable[[bytes], bytes]) -> bytes:
        """Give the message's bytes with `mac(covered bytes)` as its last element.

        Element 64, or 128 when any of 65 to 127 is present; a MAC that the message already holds
        is replaced. `mac` gets the bytes from the MTI up to the MAC and gives 8 bytes.
        """
        elements = dict(message.elements)
        elements.pop(MAC_PRIMARY, None)
        elements.pop(MAC_SECONDARY, None)
        try:
            is_long = self.spec.bitmap_always_128 or max(elements, default=0) > MAC_PRIMARY
        except TypeError:
            raise MessageError("message", None, Reason.UNKNOWN_ELEMENT) from None
        number = MAC_SECONDARY if is_long else MAC_PRIMARY
        size = self._mac_sizes.get(number)
        if size is None:
            raise MessageError(str(number), None, Reason.UNKNOWN_ELEMENT)
        if max(elements, default=0) > number:
            # The MAC must be the last element, or it would not cover what stands behind it.
            raise MessageError(str(max(elements)), None, Reason.NOT_ALLOWED, "behind the MAC")
        elements[number] = bytes(8)
        covered = self.encode(Message(message.mti, elements))[:-size]
        code = mac(covered)
        if not isinstance(code, bytes) or len(code) != 8:
            raise MessageError(str(number), None, Reason.BAD_COUNT, "a MAC is 8 bytes")
        return covered + write_simple(self.spec.elements[number], code)[0]

    def encode_signed(self, message: Message, key: RetailMac) -> bytes:
        """Give the message's bytes with its retail MAC: `encode_with_mac` in one step."""
        return self.encode_with_mac(message, key.mac)

    def encode_answer(
        self,
        request: Message,
        response_code: str,
        changes: Mapping[int, Value | None],
        key: RetailMac | None = None,
        use: MessageUse | None = None,
    ) -> bytes:
        """Give the bytes of a request's answer (`Message.response`), with `key` also its MAC.

        `use` is the spec's use of the request where the caller has looked it up already.
        Raises: MessageError when the request is an answer, or a value does not fit its element.
        """
        answer = request.response(response_code, changes)
        return self.encode(answer) if key is None else self.encode_signed(answer, key)

    def decode_lazy(self, raw: bytes) -> LazyMessage:
        """Give the message with its elements found and not yet read (`protocols.iso8583.lazy`).

        Raises: MessageError for MTI, bitmaps or lengths that the spec does not allow, and for
        what is left over. `message()` of the result raises everything that `decode` does.
        """
        return PureLazyMessage(self.spec, as_bytes(raw), self.decode)

    def receive(self, raw: bytes, keys: SenderKeys, sender: int = SENDER_ELEMENT) -> Received:
        """Give the message and what its MAC says (`protocols.iso8583.receive`).

        `keys` gives the keys of whom element `sender` names. Raises: MessageError when not even
        the spec's `peek` elements can be read.
        """
        return receive(self, raw, keys, sender)

    def receive_batch(
        self, raws: Sequence[bytes], keys: SenderKeys, sender: int = SENDER_ELEMENT
    ) -> list[Received | MessageError]:
        """Give `receive` of each, in order; an error stands in the place of what raises it."""
        return receive_each(self, raws, keys, sender)

    def split_mac(self, raw: bytes) -> tuple[bytes, bytes] | None:
        """Give (bytes that the MAC covers, MAC), None when the message has no MAC at its end.

        Reads MTI and bitmaps only, so that a MAC is checked before any value is trusted. A MAC
        that is not the last element is none.

        Raises: MessageError when MTI or bitmap cannot be read or the MAC is cut off.
        """
        raw = as_bytes(raw)
        number, position = self._last_element(raw)
        size = self._mac_sizes.get(number)
        if size is None:
            return None
        if len(raw) - size < position:
            raise MessageError(str(number), len(raw), Reason.TRUNCATED)
        tail = raw[-size:]
        if size == 8:
            return raw[:-8], tail
        value, _ = Walk(self.spec, raw).element(
            self.spec.elements[number], len(raw) - size, len(raw), 0
        )
        assert isinstance(value, bytes)
        return raw[:-size], value

    def _last_element(self, raw: bytes) -> tuple[int, int]:
        """Give the highest element number announced, 0 for none, and where elements begin."""
        spec = self.spec
        start = spec.mti_size
        if spec.bitmap_encoding == "binary" and len(raw) >= start + 16 and not spec.bitmap_tertiary:
            size = 16 if raw[start] & 0x80 else 8
            bits = int.from_bytes(raw[start : start + size], "big")
            low = bits & -bits
            return size * 8 + 1 - low.bit_length() if bits else 0, start + size
        walk = Walk(spec, raw)
        numbers, position = walk.bitmap(walk.mti()[1])
        return (numbers[-1] if numbers else 0), position

    def peek(self, raw: bytes, elements: Iterable[int] | None = None) -> Message:
        """Give MTI and those of `elements` (default: the spec's `peek`) that are present.

        Reads no further than the last of them, so damage behind it is not seen.

        Raises: MessageError for damage before it.
        """
        wanted = frozenset(self.spec.peek if elements is None else elements)
        try:
            whole = self.decode(raw)  # quicker than a walk, where nothing is damaged
        except MessageError:
            mti, found, _ = Walk(self.spec, as_bytes(raw)).message(last=max(wanted, default=0))
        else:
            mti, found = whole.mti, whole.elements
        return Message(mti, {n: v for n, v in found.items() if n in wanted}, self.spec)

    def mask(self, raw: bytes) -> bytes:
        """Give the bytes with everything sensitive overwritten (`protocols.iso8583.mask`).

        Raises: MessageError for what is no bytes; damage only makes it hide more.
        """
        return mask_message(self.spec, as_bytes(raw))

    def inspect(self, raw: bytes) -> Inspection:
        """Give what can be read and where it went wrong; never raises."""
        return inspect_message(self.spec, bytes(raw))


def mac_sizes(spec: Spec) -> Mapping[int, int]:
    """Give the bytes on the wire of the spec's MAC elements, 8 or 16; no entry for no MAC."""
    sizes = {}
    for number in (MAC_PRIMARY, MAC_SECONDARY):
        element = spec.elements.get(number)
        if element is None or element.kind is not Kind.BYTES or element.maximum != 8:
            continue
        if element.is_fixed:
            sizes[number] = 8 if element.encoding == "binary" else 16
    return sizes


def as_bytes(raw: object) -> bytes:
    """Give a message's bytes; raise MessageError for what holds none."""
    if isinstance(raw, bytes):
        return raw
    if isinstance(raw, (bytearray, memoryview)) and len(raw) <= MESSAGE_BYTES_MAX:
        return bytes(raw)
    raise MessageError("message", None, Reason.WRONG_TYPE, "bytes expected")
