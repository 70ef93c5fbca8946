"""The native codec: `protocols._core` reads and writes what is plainly right.

It has the methods, results and errors of `PureCodec`: whatever is odd comes back to the walk or
the packer, which word every error for both. Where the core was not built, `native_codec` is None.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import NamedTuple, Protocol, cast

from protocols.crypto.mac import RetailMac
from protocols.iso8583 import limits
from protocols.iso8583.charsets import CHARSETS, EBCDIC_PAGES
from protocols.iso8583.errors import MessageError
from protocols.iso8583.lazy import LazyMessage, PureLazyMessage, read_element
from protocols.iso8583.message import ECHOED, Message, Value, answer_mti
from protocols.iso8583.model import MessageUse, Spec
from protocols.iso8583.pack import pack_message
from protocols.iso8583.pure import PureCodec, as_bytes
from protocols.iso8583.receive import (
    NATIVE_PROOFS,
    SENDER_ELEMENT,
    Proof,
    Received,
    SenderKeys,
    receive,
)
from protocols.iso8583.walk import Walk


class _Core(Protocol):
    """One spec inside the native core; None means that the pure twin must do it."""

    def decode(self, raw: bytes) -> Message:
        """Give the message of these bytes."""

    def decode_lazy(self, raw: bytes) -> LazyMessage:
        """Give the message over its bytes."""

    def peek(self, raw: bytes, wanted: list[int]) -> Message | None:
        """Give the wanted elements."""

    def encode(self, message: Message) -> bytes:
        """Give the bytes of a message."""

    def encode_signed(self, message: Message, context: object, padding: int) -> bytes | None:
        """Give the bytes of a message with its MAC."""

    def mask(self, raw: bytes) -> bytes | None:
        """Give the bytes without what nobody may see."""

    def answer(
        self,
        request: Message,
        mti: str,
        echoed: int,
        changes: Mapping[int, Value | None],
        key: tuple[object, int] | None,
    ) -> bytes | None:
        """Give the bytes of a request's answer; `echoed` has bit n for element n."""

    def receive(self, raw: bytes, keys: SenderKeys, sender: int) -> tuple[Message, int] | None:
        """Give the message and the index of the key that proves it."""

    def receive_batch(
        self, raws: Sequence[bytes], keys: SenderKeys, sender: int
    ) -> list[tuple[Message, int] | None]:
        """Give the same for many."""


class Slow(NamedTuple):
    """What the core asks about everything that is not plainly right."""

    read: Callable[[bytes], Message]
    write: Callable[[str, Mapping[int, Value]], bytes]
    element: Callable[[bytes, int, int | None], Value]
    lazy: Callable[[bytes], LazyMessage]


class _CoreClass(Protocol):
    def __call__(
        self,
        spec: Spec,
        message: type[Message],
        tables: Mapping[str, object],
        slow: Slow,
        /,
    ) -> _Core: ...


def _load() -> _CoreClass | None:
    try:
        core = importlib.import_module("protocols._core")
    except ImportError:
        return None
    return cast(_CoreClass, core.codec.CodecCore)


#: The class of the core, None where it was not built.
core_class = _load()


class NativeCodec(PureCodec):
    """Codec of one spec on the native core."""

    __slots__ = ("_core", "answerer", "decode", "decode_lazy", "encode", "receiver")

    is_native = True

    def __init__(self, spec: Spec) -> None:
        """Take the spec; the core makes its own table of it."""
        super().__init__(spec)
        assert core_class is not None
        # All four are functions of the spec, not of this object: no cycle that nobody collects.
        slow = Slow(
            partial(_read_slowly, spec),
            partial(pack_message, spec),
            partial(read_element, spec),
            partial(_find_slowly, spec),
        )
        core = self._core = core_class(spec, Message, tables(), slow)
        self.answerer, self.receiver = core.answer, core.receive
        # Bound here, a call costs no Python frame of ours.
        self.decode = core.decode  # type: ignore[method-assign]
        self.decode_lazy = core.decode_lazy  # type: ignore[method-assign]
        self.encode = core.encode  # type: ignore[method-assign]

    def peek(self, raw: bytes, elements: Iterable[int] | None = None) -> Message:
        """Give MTI and those of `elements` that are present, as the pure twin does."""
        wanted = [n for n in (self.spec.peek if elements is None else elements) if n > 0]
        found = self._core.peek(raw, wanted) if raw.__class__ is bytes else None
        return super().peek(raw, wanted) if found is None else found

    def mask(self, raw: bytes) -> bytes:
        """Give the bytes with everything sensitive overwritten, as the pure twin does."""
        masked = self._core.mask(raw) if raw.__class__ is bytes else None
        return super().mask(raw) if masked is None else masked

    def encode_signed(self, message: Message, key: RetailMac) -> bytes:
        """Give the message's bytes with its retail MAC, as the pure twin does."""
        try:
            raw = self._core.encode_signed(message, *key.kept)
        except TypeError:  # a context of the other engine
            raw = None
        return super().encode_signed(message, key) if raw is None else raw

    def encode_answer(
        self,
        request: Message,
        response_code: str,
        changes: Mapping[int, Value | None],
        key: RetailMac | None = None,
        use: MessageUse | None = None,
    ) -> bytes:
        """Give the bytes of a request's answer, as the pure twin does."""
        use = use or request.use()
        echoed = _bits(use.echoed if use is not None else ECHOED)
        try:
            raw = self._core.answer(
                request,
                answer_mti(request.mti),
                echoed,
                {39: response_code, **changes},
                None if key is None else key.kept,
            )
        except TypeError:  # a context of the other engine
            raw = None
        if raw is not None:
            return raw
        return super().encode_answer(request, response_code, changes, key, use)

    def receive(self, raw: bytes, keys: SenderKeys, sender: int = SENDER_ELEMENT) -> Received:
        """Give the message and what its MAC says, as the pure twin does."""
        try:
            found = self._core.receive(raw, keys, sender)
        except TypeError:  # no bytes, or no dict of keys
            found = None
        return receive(self, raw, keys, sender) if found is None else _received(*found)

    def receive_batch(
        self, raws: Sequence[bytes], keys: SenderKeys, sender: int = SENDER_ELEMENT
    ) -> list[Received | MessageError]:
        """Give `receive` of each, as the pure twin does; the MACs are checked without the GIL."""
        try:
            found = self._core.receive_batch(raws, keys, sender)
        except TypeError:
            return super().receive_batch(raws, keys, sender)
        out: list[Received | MessageError] = []
        for raw, one in zip(raws, found, strict=True):
            if one is not None:
                out.append(_received(*one))
                continue
            try:
                out.append(receive(self, raw, keys, sender))
            except MessageError as error:
                out.append(error)
        return out


#: The class, None where the core was not built.
native_codec: type[PureCodec] | None = None if core_class is None else NativeCodec


def _received(message: Message, state: int) -> Received:
    if state >= 0:
        return Received(message, Proof.PROVED, state)
    return Received(message, NATIVE_PROOFS[state])


def _read_slowly(spec: Spec, raw: bytes) -> Message:
    mti, elements, _ = Walk(spec, as_bytes(raw)).message()
    return Message(mti, elements, spec)


def _find_slowly(spec: Spec, raw: bytes) -> LazyMessage:
    return PureLazyMessage(spec, as_bytes(raw))


@lru_cache(maxsize=256)
def _bits(numbers: frozenset[int]) -> int:
    """Give a number with bit n for each element n."""
    return sum(1 << number for number in numbers)


@cache
def tables() -> dict[str, object]:
    """Give what the core needs to know beside a spec: code pages, charsets and limits."""
    pages = {page: _page(page) for page in EBCDIC_PAGES}
    return {
        "pages": pages,
        "charsets": {name: "".join(sorted(allowed)) for name, allowed in CHARSETS.items()},
        "MESSAGE_BYTES_MAX": limits.MESSAGE_BYTES_MAX,
        "TAGS_MAX": limits.TAGS_MAX,
        "TAG_BYTES_MAX": limits.TAG_BYTES_MAX,
    }


def _page(name: str) -> bytes:
    """Give byte -> ASCII of a code page, 0xFF where it gives no ASCII character."""
    characters = bytes(range(256)).decode(name, "replace")
    return bytes(ord(one) if one.isascii() else 0xFF for one in characters)
