"""One socket: an asyncio.Protocol around a `Session`. It moves bytes and cuts; nothing else."""

import asyncio
from typing import Protocol, cast

import structlog

from switch.config import ConnectionConfig
from switch.limits import WRITE_BUFFER_BYTES_MAX
from switch.session import Arrival, Session

_log = structlog.get_logger("switch")


class Owner(Protocol):
    """What a connection needs of its server."""

    def opened(self, connection: "Connection") -> int:
        """Take a new connection; give its number, 0 to refuse it."""

    def closed(self, number: int) -> None:
        """Forget a connection."""

    def arrived(self, arrivals: list[Arrival]) -> None:
        """Take messages."""

    def waiting_of(self, number: int) -> int:
        """Give how many requests of a connection have no answer yet."""

    def now_ns(self) -> int:
        """Give monotonic nanoseconds."""


class Connection(asyncio.Protocol):
    """The socket of one peer."""

    def __init__(self, owner: Owner, config: ConnectionConfig) -> None:
        """Wait for the socket."""
        self._owner = owner
        self._config = config
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._number = 0
        self._peer_is_done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a session, or refuse the connection when there are too many."""
        # uvloop's transport has every method of asyncio.Transport and is no subclass of it.
        stream = cast(asyncio.Transport, transport)
        self._number = self._owner.opened(self)
        if not self._number:
            stream.abort()
            return
        stream.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        self._transport = stream
        self._session = Session(self._number, self._config, self._owner.now_ns())

    def data_received(self, data: bytes) -> None:
        """Hand over whole messages; cut when the stream cannot be framed."""
        if self._session is None:
            return
        received = self._session.receive_data(data, self._owner.now_ns())
        if received.arrivals:
            self._owner.arrived(received.arrivals)
        if received.cut_reason:
            self._cut(received.cut_reason)

    def eof_received(self) -> bool:
        """Keep the way back open for answers that are still due."""
        self._peer_is_done = True
        return self._number != 0 and self._owner.waiting_of(self._number) > 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner; the reason is the peer's own."""
        self._session = None
        if self._number:
            self._owner.closed(self._number)

    def pause_writing(self) -> None:
        """Cut a peer that does not read its answers: it would only hold memory."""
        self._cut("the peer does not read", at_once=True)

    def send(self, tpdu: bytes, payload: bytes) -> None:
        """Send one answer."""
        if self._transport is None or self._session is None or self._transport.is_closing():
            return
        self._transport.write(self._session.respond(tpdu, payload))
        if self._peer_is_done and not self._owner.waiting_of(self._number):
            self._transport.close()

    def close(self) -> None:
        """Close after what is written has left."""
        if self._transport is not None:
            self._transport.close()

    def cut_if_overdue(self, now_ns: int) -> None:
        """Cut a connection that is idle or drips."""
        reason = self._session.overdue_reason(now_ns) if self._session is not None else ""
        if reason:
            self._cut(reason)

    def _cut(self, reason: str, *, at_once: bool = False) -> None:
        _log.info("connection cut", connection=self._number, why=reason)
        if self._transport is None:
            return
        if at_once:
            self._transport.abort()
        else:
            self._transport.close()
