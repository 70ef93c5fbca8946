"""One connection, without its socket: bytes in, framed requests out, deadlines as values.

Whoever owns the socket feeds bytes and time, sends what `respond` gives and cuts when told to.
"""

from typing import Any, NamedTuple

from protocols.framing import TPDU_ID, Framer, FrameSpec, FramingError, answer_frame
from switch.config import ConnectionConfig

_SECOND_NS = 1_000_000_000
_TPDU_ID = bytes([TPDU_ID])
#: Makes a tuple of a class without a frame of Python: the two that each message costs.
_made: Any = tuple.__new__
#: The link that is meant where none is named.
DEFAULT_LINK = "edc"


class Arrival(NamedTuple):
    """One framed message as it came over one connection."""

    connection: int
    tpdu: bytes
    payload: bytes
    link: str = DEFAULT_LINK

    def __repr__(self) -> str:
        return f"<Arrival {self.connection} {len(self.payload)} bytes>"


class Departure(NamedTuple):
    """One answer to send, or with no payload: cut the connection without a word."""

    connection: int
    tpdu: bytes
    payload: bytes | None

    def __repr__(self) -> str:
        what = "cut" if self.payload is None else f"{len(self.payload)} bytes"
        return f"<Departure {self.connection} {what}>"


class Received(NamedTuple):
    """What bytes gave: messages, and why the connection must be cut after them, if so."""

    arrivals: list[Arrival]
    cut_reason: str = ""


class Session:
    """The state of one connection."""

    __slots__ = (
        "_config", "_framer", "_frames", "_last_byte_ns", "_link", "_partial_since_ns",
        "_since_ns", "connection",
    )  # fmt: skip

    def __init__(
        self, connection: int, link: str, frames: FrameSpec, config: ConnectionConfig, now_ns: int
    ) -> None:
        """Begin at a frame boundary; `now_ns` is monotonic."""
        self.connection = connection
        self._link = link
        self._frames = frames
        self._config = config
        self._framer = Framer(frames)
        self._since_ns = self._last_byte_ns = now_ns
        self._partial_since_ns: int | None = None

    def receive_data(self, data: bytes, now_ns: int) -> Received:
        """Give the messages that these bytes complete; keep-alives give none."""
        self._last_byte_ns = now_ns
        one = self._framer.one(data)
        if one is not None and one[0][:1] == _TPDU_ID:
            self._partial_since_ns = None
            fields = (self.connection, *one, self._link)
            received: Received = _made(Received, ([_made(Arrival, fields)], ""))
            return received
        reason = ""
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            frames, reason = error.frames, "the stream is not framed"
        if self._framer.waiting == 0:
            self._partial_since_ns = None
        elif self._partial_since_ns is None or frames:
            self._partial_since_ns = now_ns
        arrivals: list[Arrival] = []
        for tpdu, payload, _header in frames:
            if tpdu and tpdu[0] != TPDU_ID:
                return Received(arrivals, "a TPDU that is none")
            if payload:
                arrivals.append(Arrival(self.connection, tpdu, payload, self._link))
        return Received(arrivals, reason)

    def respond(self, tpdu: bytes, payload: bytes) -> bytes:
        """Give the framed answer: source and destination of the TPDU change places."""
        return answer_frame(payload, tpdu, self._frames)

    def deadline_ns(self) -> int:
        """Give the monotonic instant at which the connection must be cut unless bytes come."""
        config = self._config
        deadline = min(
            self._last_byte_ns + int(config.idle_seconds * _SECOND_NS),
            self._since_ns + int(config.session_seconds * _SECOND_NS),
        )
        if self._partial_since_ns is None:
            return deadline
        return min(deadline, self._partial_since_ns + int(config.frame_seconds * _SECOND_NS))

    def overdue_reason(self, now_ns: int) -> str:
        """Give why the connection must be cut now, or an empty text."""
        if now_ns < self.deadline_ns():
            return ""
        if self._partial_since_ns is not None:
            return "a frame came too slowly"
        is_old = now_ns >= self._since_ns + int(self._config.session_seconds * _SECOND_NS)
        return "the session is old" if is_old else "idle"
