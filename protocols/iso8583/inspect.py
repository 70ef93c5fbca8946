"""Reading what can be read: the mode for people who look at broken messages. Never raises."""

from dataclasses import dataclass

from protocols.iso8583.errors import MessageError
from protocols.iso8583.limits import MESSAGE_BYTES_MAX
from protocols.iso8583.model import Spec
from protocols.iso8583.walk import Node, Walk


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was read of a message: parts in order, and the error that ended the reading, if any.

    `consumed` is the position behind the last part that was read whole.
    """

    spec: Spec
    nodes: tuple[Node, ...]
    error: MessageError | None
    consumed: int
    size: int

    @property
    def is_valid(self) -> bool:
        """Tell whether strict decoding accepts the message."""
        return self.error is None

    @property
    def suits_version(self) -> bool:
        """Tell whether the message type begins with the digit of the specification's year."""
        mti = next((node.value for node in self.nodes if node.path == "mti"), "")
        return isinstance(mti, str) and mti.startswith(self.spec.mti_version)


def inspect_message(spec: Spec, raw: bytes) -> Inspection:
    """Give what can be read of the bytes under the spec."""
    nodes: list[Node] = []
    error = None
    try:
        Walk(spec, raw, nodes).message()
    except MessageError as caught:
        error = caught
    consumed = max((node.end for node in nodes if node.value is not None), default=0)
    return Inspection(spec, tuple(nodes), error, consumed, min(len(raw), MESSAGE_BYTES_MAX + 1))


def specs_that_fit(raw: bytes, specs: list[Spec]) -> list[Inspection]:
    """Give an inspection per spec, best first.

    Those that accept it come first, of these the ones of its year, then by bytes understood.
    """
    found = [inspect_message(spec, raw) for spec in specs]
    return sorted(found, key=lambda one: (not one.is_valid, not one.suits_version, -one.consumed))
