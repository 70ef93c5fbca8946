"""One socket: an asyncio protocol around a `Session`. It moves bytes and cuts; nothing else.

uvloop reads every connection into one buffer of its own and hands over a copy of what came, so an
idle connection holds none; a shared buffer of ours (`BufferedProtocol`) was measured and is slower.
"""

import asyncio
from collections import deque
from typing import Protocol, cast

import structlog

from switch.config import ConnectionConfig, ListenConfig
from switch.limits import MESSAGES_PER_TURN_MAX, WRITE_BUFFER_BYTES_MAX
from switch.session import Arrival, Session

_log = structlog.get_logger("switch")
_NOTHING: deque[Arrival] = deque()


class Owner(Protocol):
    """What a connection needs of its server."""

    def opened(self, connection: "Connection") -> int:
        """Take a new connection; give its number, 0 to refuse it."""

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""

    def arrived(self, arrivals: list[Arrival]) -> None:
        """Take messages."""

    def has_more(self, connection: "Connection") -> None:
        """Have `hand_over` called in the next loop turn."""

    def waiting_of(self, number: int) -> int:
        """Give how many requests of a connection have no answer yet."""

    def note_cut(self, number: int, reason: str) -> None:
        """Count and tell a cut."""

    def now_ns(self) -> int:
        """Give monotonic nanoseconds."""


class Connection(asyncio.Protocol):
    """The socket of one peer."""

    __slots__ = (
        "_config", "_held", "_is_ending", "_owner", "_peer_is_done", "_session", "_transport",
        "link", "number",
    )  # fmt: skip

    def __init__(self, owner: Owner, link: ListenConfig, config: ConnectionConfig) -> None:
        """Wait for the socket."""
        self.link = link
        self.number = 0
        self._owner = owner
        self._config = config
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._peer_is_done = False
        #: Why the connection ends once what is held has been handed over.
        self._is_ending = ""
        self._held = _NOTHING

    @property
    def held(self) -> int:
        """Give how many messages wait for a later turn."""
        return len(self._held)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a session, or refuse the connection when there are too many."""
        # uvloop's transport has every method of asyncio.Transport and is no subclass of it.
        stream = cast(asyncio.Transport, transport)
        self.number = self._owner.opened(self)
        if not self.number:
            stream.abort()
            return
        stream.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        self._transport = stream
        self._session = Session(
            self.number, self.link.link, self.link.frames, self._config, self._owner.now_ns()
        )

    def data_received(self, data: bytes) -> None:
        """Hand over whole messages; cut when the stream cannot be framed."""
        if self._session is None or self._is_ending:
            return
        received = self._session.receive_data(data, self._owner.now_ns())
        arrivals = received.arrivals
        self._is_ending = received.cut_reason
        if len(arrivals) <= MESSAGES_PER_TURN_MAX and not self._held:
            if arrivals:
                self._owner.arrived(arrivals)
        else:
            self._hold(arrivals)
        if self._is_ending and not self._held:
            self._cut(self._is_ending)

    def hand_over(self) -> None:
        """Hand over one turn's share of what is held; read on when nothing is held any more."""
        count = min(MESSAGES_PER_TURN_MAX, len(self._held))
        self._owner.arrived([self._held.popleft() for _ in range(count)])
        if self._held:
            self._owner.has_more(self)
        elif self._is_ending:
            self._cut(self._is_ending)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        """Keep the way back open for answers that are still due."""
        self._peer_is_done = True
        return self.number != 0 and self._is_waited_for()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner; the reason is the peer's own."""
        self._session = None
        self._held = _NOTHING
        if self.number:
            self._owner.closed(self)

    def pause_writing(self) -> None:
        """Cut a peer that does not read its answers: it would only hold memory."""
        self._cut("the peer does not read", at_once=True)

    def send(self, tpdu: bytes, payload: bytes) -> None:
        """Send one answer."""
        if self._transport is None or self._session is None or self._transport.is_closing():
            return
        self._transport.write(self._session.respond(tpdu, payload))
        if self._peer_is_done or not self.link.persistent:
            # Later: other answers of the same turn may follow this one.
            asyncio.get_running_loop().call_soon(self._close_when_done)

    def close(self) -> None:
        """Close after what is written has left."""
        if self._transport is not None:
            self._transport.close()

    def cut_if_overdue(self, now_ns: int) -> None:
        """Cut a connection that is idle or drips."""
        reason = self._session.overdue_reason(now_ns) if self._session is not None else ""
        if reason:
            self._cut(reason)

    def give_way(self) -> None:
        """Cut it: all places are taken, and no key has vouched for it yet."""
        self._cut("gave way to another connection", at_once=True)

    def _close_when_done(self) -> None:
        if not self._is_waited_for():
            self.close()

    def _is_waited_for(self) -> bool:
        return bool(self._held) or self._owner.waiting_of(self.number) > 0

    def _hold(self, arrivals: list[Arrival]) -> None:
        assert self._transport is not None
        if not self._held:
            self._held = deque()
            self._owner.has_more(self)
            self._transport.pause_reading()
        self._held.extend(arrivals)

    def _cut(self, reason: str, *, at_once: bool = False) -> None:
        self._owner.note_cut(self.number, reason)
        if self._transport is None:
            return
        if at_once:
            self._transport.abort()
        else:
            self._transport.close()
