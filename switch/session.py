"""One connection, without its socket: bytes in, framed requests out, deadlines as values.

Whoever owns the socket feeds bytes and time, sends what `respond` gives and cuts when told to.
"""

from dataclasses import dataclass

from protocols.framing import EDC_FRAMES, Framer, FrameSpec, FramingError, frame, swap_tpdu
from switch.config import ConnectionConfig
from switch.limits import FRAME_BYTES_MAX

_SECOND_NS = 1_000_000_000
_FRAMES = FrameSpec(
    length_size=EDC_FRAMES.length_size,
    length_encoding=EDC_FRAMES.length_encoding,
    tpdu_size=EDC_FRAMES.tpdu_size,
    body_max=FRAME_BYTES_MAX,
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One framed message as it came over one connection."""

    connection: int
    tpdu: bytes
    payload: bytes

    def __repr__(self) -> str:
        return f"<Arrival {self.connection} {len(self.payload)} bytes>"


@dataclass(frozen=True, slots=True)
class Departure:
    """One answer to send, or with no payload: cut the connection without a word."""

    connection: int
    tpdu: bytes
    payload: bytes | None

    def __repr__(self) -> str:
        what = "cut" if self.payload is None else f"{len(self.payload)} bytes"
        return f"<Departure {self.connection} {what}>"


@dataclass(frozen=True, slots=True)
class Received:
    """What bytes gave: messages, and why the connection must be cut after them, if so."""

    arrivals: list[Arrival]
    cut_reason: str = ""


class Session:
    """The state of one connection."""

    __slots__ = ("_config", "_framer", "_last_byte_ns", "_partial_since_ns", "connection")

    def __init__(self, connection: int, config: ConnectionConfig, now_ns: int) -> None:
        """Begin at a frame boundary; `now_ns` is monotonic."""
        self.connection = connection
        self._config = config
        self._framer = Framer(_FRAMES)
        self._last_byte_ns = now_ns
        self._partial_since_ns: int | None = None

    def receive_data(self, data: bytes, now_ns: int) -> Received:
        """Give the messages that these bytes complete; keep-alives give none."""
        self._last_byte_ns = now_ns
        reason = ""
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            frames, reason = error.frames, "the stream is not framed"
        if self._framer.waiting == 0:
            self._partial_since_ns = None
        elif self._partial_since_ns is None or frames:
            self._partial_since_ns = now_ns
        arrivals = [Arrival(self.connection, f.tpdu, f.payload) for f in frames if f.payload]
        return Received(arrivals, reason)

    def respond(self, tpdu: bytes, payload: bytes) -> bytes:
        """Give the framed answer: source and destination of the TPDU change places."""
        return frame(payload, swap_tpdu(tpdu), _FRAMES)

    def deadline_ns(self) -> int:
        """Give the monotonic instant at which the connection must be cut unless bytes come."""
        idle = self._last_byte_ns + int(self._config.idle_seconds * _SECOND_NS)
        if self._partial_since_ns is None:
            return idle
        return min(idle, self._partial_since_ns + int(self._config.frame_seconds * _SECOND_NS))

    def overdue_reason(self, now_ns: int) -> str:
        """Give why the connection must be cut now, or an empty text."""
        if now_ns < self.deadline_ns():
            return ""
        return "idle" if self._partial_since_ns is None else "a frame came too slowly"
