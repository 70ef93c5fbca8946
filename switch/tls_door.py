"""Before a connection of a TLS link is one: its handshake, in a bounded room.

A handshake costs far more memory than a connection, and whoever stalls it has proved nothing. When
the room is full, the handshake that began first gives way; an honest one takes a second or two.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from switch.limits import HANDSHAKE_SECONDS_MAX, HANDSHAKES_MAX


class TlsRoom:
    """The handshakes of one link that are under way. Belongs to the loop's thread."""

    def __init__(
        self,
        context: ssl.SSLContext,
        make: Callable[[], asyncio.Protocol],
        note_cut: Callable[[str], None],
        maximum: int = HANDSHAKES_MAX,
    ) -> None:
        """Take the link's context, what a proved connection becomes, and who counts cuts."""
        self.context, self.make, self.note_cut = context, make, note_cut
        self._maximum = maximum
        self._under_way: dict[asyncio.Transport, asyncio.Task[None]] = {}

    def door(self) -> "TlsDoor":
        """Give the protocol of one new socket."""
        return TlsDoor(self)

    def begin(self, transport: asyncio.Transport) -> None:
        """Shake hands with a new peer; the oldest gives way when there are too many."""
        while len(self._under_way) >= self._maximum:
            oldest = next(iter(self._under_way))
            self.end(oldest)
            self.note_cut("a TLS handshake gave way to another")
        task = asyncio.get_running_loop().create_task(self._shake(transport))
        self._under_way[transport] = task

    def end(self, transport: asyncio.Transport) -> None:
        """Give a handshake up. Idempotent."""
        task = self._under_way.pop(transport, None)
        if task is not None:
            task.cancel()
            transport.abort()

    def close(self) -> None:
        """Give all of them up: the switch stops."""
        for transport in list(self._under_way):
            self.end(transport)

    async def _shake(self, transport: asyncio.Transport) -> None:
        early = EarlyData()
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport, early, self.context, server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS_MAX,
            )  # fmt: skip
        except OSError:  # TLS faults and time-outs among them.
            self.note_cut("no TLS handshake")
            transport.abort()
        else:
            assert secured is not None, "a handshake that ended without an error gave a stream"
            early.hand_over(secured, self.make())
        finally:
            self._under_way.pop(transport, None)


class EarlyData(asyncio.Protocol):
    """Keeps what comes in one piece with the end of a handshake, before its task hears of it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._data = b""
        self._is_over = self._is_lost = False

    def data_received(self, data: bytes) -> None:
        """Keep it: what one turn of the loop reads at most."""
        self._data += data

    def eof_received(self) -> bool:
        """Note that no more comes; the way back stays open."""
        self._is_over = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the peer is gone."""
        self._is_lost = True

    def hand_over(self, transport: asyncio.Transport, connection: asyncio.Protocol) -> None:
        """Give the stream and what came to the connection."""
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if self._data:
            connection.data_received(self._data)
        if (self._is_over and not connection.eof_received()) or self._is_lost:
            transport.close()
        if self._is_lost:
            connection.connection_lost(None)


class TlsDoor(asyncio.Protocol):
    """One socket until its handshake begins: nothing is read from it before."""

    def __init__(self, room: TlsRoom) -> None:
        """Wait for the socket."""
        self._room = room

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        stream = cast(asyncio.Transport, transport)
        stream.pause_reading()
        self._room.begin(stream)
