"""A card behind the vpcd wire: bytes of the reader in, reactions of the card out. No I/O.

Theory of operation: `VpcdSlot.receive` cuts the stream into requests, `VpcdSlot.react` gives what
the card does with one. Whoever moves the bytes asks for one reaction at a time, because a slow
card makes what follows wait. The reader driver asks for the ATR about twice a second to see
whether a card is there; that neither powers the card nor counts as a fault's occasion.
"""

from dataclasses import dataclass

from cardsim.faults import FaultLayer, Reaction, ReactionKind
from protocols.card_frames import CARD_FRAMES, Control
from protocols.framing import Framer, FramingError, frame

__all__ = ["FramingError", "Request", "VpcdSlot", "answer_frame"]


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request of the reader: a control, or a command APDU."""

    control: Control | None
    command: bytes = b""

    def __repr__(self) -> str:
        what = self.control.name if self.control is not None else f"{len(self.command)} bytes"
        return f"<Request {what}>"


class VpcdSlot:
    """One card in one virtual reader, for one connection."""

    __slots__ = ("_atr", "_delay_ms", "_framer", "layer", "seen")

    def __init__(self, layer: FaultLayer) -> None:
        """Put the card with its faults into the reader, without power."""
        self.layer = layer
        self._framer = Framer(CARD_FRAMES)
        self._atr: bytes | None = None
        self._delay_ms = 0
        #: Whether the reader has powered the card and asked for its ATR: it knows the card then.
        self.seen = False

    @property
    def waiting(self) -> int:
        """Give the bytes held of a request that is not complete; 0 at a boundary."""
        return self._framer.waiting

    def receive(self, data: bytes) -> list[Request]:
        """Give the requests that these bytes complete, in order.

        Raises FramingError for a body beyond the limit, now and ever after: close the connection.
        Empty frames and unknown controls are passed over, as the reference card of vpcd does.
        """
        requests = []
        for found in self._framer.feed(data):
            body = found.payload
            if len(body) > 1:
                requests.append(Request(None, body))
            elif body and body[0] in _CONTROLS:
                requests.append(Request(Control(body[0])))
        return requests

    def react(self, request: Request) -> Reaction | None:
        """Give the card's reaction, None when the reader expects no answer."""
        if request.control is None and not self.layer.card.powered:
            return Reaction(ReactionKind.REMOVED)
        if request.control is None:
            reaction = self.layer.exchange(request.command)
            # The driver would wait for ever for the body of an empty frame.
            gone = reaction.kind is ReactionKind.ANSWER and not reaction.data
            return Reaction(ReactionKind.REMOVED) if gone else reaction
        if request.control is Control.ATR:
            self.seen = self.seen or self._atr is not None
            delay_ms, self._delay_ms = self._delay_ms, 0
            return Reaction(ReactionKind.ANSWER, self._present(), delay_ms)
        if request.control is Control.OFF:
            self.power_off()
            return None
        reaction = self.layer.power()
        if reaction.kind is ReactionKind.ANSWER:
            # Power itself is not answered: a slow reset delays the ATR that the reader asks next.
            self._atr, self._delay_ms = reaction.data, reaction.delay_ms
            return None
        return reaction

    def power_off(self) -> None:
        """Take power away, as the reader or a broken connection does."""
        self.layer.card.power_off()
        self._atr = None

    def _present(self) -> bytes:
        # Before power the driver only wants to know that a card is there.
        return self.layer.atr if self._atr is None else self._atr


_CONTROLS = frozenset(int(control) for control in Control)


def answer_frame(answer: bytes) -> bytes:
    """Give the frame of an answer, in one piece: two writes cost 40 ms each on the driver's side.

    >>> answer_frame(bytes.fromhex("9000")).hex()
    '00029000'
    """
    return frame(answer, b"", CARD_FRAMES)
