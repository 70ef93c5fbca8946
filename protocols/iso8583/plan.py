"""Compiled plans (first form: straight to walk and pack)."""

from collections.abc import Mapping

from protocols.iso8583.message import Value
from protocols.iso8583.model import Spec
from protocols.iso8583.pack import pack_message
from protocols.iso8583.walk import Walk


class DecodePlans:
    """Decoders of one spec by bitmap."""

    __slots__ = ("_spec",)

    def __init__(self, spec: Spec) -> None:
        """Take the spec."""
        self._spec = spec

    def decode(self, raw: bytes) -> tuple[str, dict[int, Value]]:
        """Give MTI and elements. Raises: MessageError."""
        mti, elements, _ = Walk(self._spec, raw).message()
        return mti, elements


class EncodePlans:
    """Encoders of one spec by the set of elements."""

    __slots__ = ("_spec",)

    def __init__(self, spec: Spec) -> None:
        """Take the spec."""
        self._spec = spec

    def encode(self, mti: str, elements: Mapping[int, Value]) -> bytes:
        """Give the message's bytes. Raises: MessageError."""
        return pack_message(self._spec, mti, elements)
