"""The native codec: `protocols._core` reads and writes what is plainly right.

It has the methods, results and errors of `PureCodec`: whatever is odd comes back to the walk or
the packer, which word every error for both. Where the core was not built, `native_codec` is None.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Protocol, cast

from protocols.iso8583 import limits
from protocols.iso8583.charsets import CHARSETS, EBCDIC_PAGES
from protocols.iso8583.message import Message, Value
from protocols.iso8583.model import Spec
from protocols.iso8583.pack import pack_message
from protocols.iso8583.pure import PureCodec, as_bytes
from protocols.iso8583.walk import Walk


class _Core(Protocol):
    """One spec inside the native core."""

    def decode(self, raw: bytes) -> Message:
        """Give the message of these bytes."""

    def encode(self, message: Message) -> bytes:
        """Give the bytes of a message."""


class _CoreClass(Protocol):
    def __call__(
        self,
        spec: Spec,
        message: type[Message],
        tables: Mapping[str, object],
        read_slowly: Callable[[bytes], Message],
        write_slowly: Callable[[str, Mapping[int, Value]], bytes],
        /,
    ) -> _Core: ...


def _load() -> _CoreClass | None:
    try:
        core = importlib.import_module("protocols._core")
    except ImportError:
        return None
    codec = getattr(core, "codec", None)  # a core built before the codec joined it has none
    return None if codec is None else cast(_CoreClass, codec.CodecCore)


#: The class of the core, None where it was not built.
core_class = _load()


class NativeCodec(PureCodec):
    """Codec of one spec on the native core."""

    is_native = True

    def __init__(self, spec: Spec) -> None:
        """Take the spec; the core makes its own table of it."""
        super().__init__(spec)
        assert core_class is not None
        # The two are functions of the spec, not of this object: no cycle that nobody collects.
        core = core_class(
            spec, Message, tables(), partial(_read_slowly, spec), partial(pack_message, spec)
        )
        # Bound here, a call costs no Python frame of ours.
        self.decode = core.decode  # type: ignore[method-assign]
        self.encode = core.encode  # type: ignore[method-assign]


#: The class, None where the core was not built.
native_codec: type[PureCodec] | None = None if core_class is None else NativeCodec


def _read_slowly(spec: Spec, raw: bytes) -> Message:
    mti, elements, _ = Walk(spec, as_bytes(raw)).message()
    return Message(mti, elements, spec)


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
