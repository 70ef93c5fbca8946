"""A virtual card on a stream: what readers reach over vpcd, TCP or a unix socket.

Both directions of the same wire: the card connects to a reader that listens (vpcd as Debian ships
it), or listens for one reader at a time (our terminal, or a vpcd told to connect out). Insertion
is a connection, removal its end. Thin: the requests and their reactions are `cardsim.vpcd`.

Three things keep an APDU from costing 40 ms on the driver's side: an acknowledgement at once for
every receive, no delay on ours, and one write per frame (reference/emv.md 1.4).
"""

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import cast

from cardsim.card import Card
from cardsim.errors import FaultPlanError
from cardsim.faults import Fault, FaultLayer, Reaction, ReactionKind
from cardsim.image import CardImage
from cardsim.trace import Trace
from cardsim.vpcd import FramingError, Request, VpcdSlot, answer_frame
from protocols.card_frames import CARD_BODY_BYTES_MAX
from protocols.errors import LumbungError

#: A mute card frees its reader after this time by leaving the slot: PC/SC has no deadline of its
#: own, and a reader that waits for ever would outlive every test.
MUTE_MS = 60_000
#: Requests that may wait behind a slow answer. A reader sends one and waits; more is no reader.
REQUESTS_WAITING_MAX = 64
#: Opening a connection on one's own machine takes microseconds.
CONNECT_S = 5.0
#: How long a card that left is away before it enters a reader again. pcscd looks at its slots every
#: 0.4 s; a card that is back before it was missed may never be powered again.
AWAY_S = 0.8
# Linux only, and gone from nowhere else's kernel: where it is missing, acknowledgements are as
# quick as that system makes them.
_QUICK_ACKNOWLEDGE = getattr(socket, "TCP_QUICKACK", None)


class CardWireError(LumbungError):
    """The card cannot reach its reader, or nobody can reach the card."""

    code = "E-CS-0101"


class Ending(Enum):
    """Why a connection between card and reader ended."""

    READER_GONE = "the reader closed the connection"
    CARD_LEFT = "the card left the slot"
    MUTE = "the card was mute for too long and left the slot"
    NOT_A_READER = "what came was no reader's"


class CardOnWire:
    """One virtual card that one reader at a time reaches over a stream.

    `persist` is called with the image after every non-volatile write, before the answer leaves,
    and must make it durable; what it raises ends the connection and comes out of `left`.
    `faults` and `trace` as in `cardsim.faults`.
    """

    def __init__(
        self,
        card: Card,
        *,
        persist: Callable[[CardImage], None] | None = None,
        faults: Iterable[Fault] = (),
        trace: Trace | None = None,
        mute_ms: int = MUTE_MS,
        away_s: float = AWAY_S,
    ) -> None:
        """Take the card; it is in no reader yet, and will be in the first that is reached."""
        self.layer = FaultLayer(card, faults, trace)
        if any(len(fault.data) > CARD_BODY_BYTES_MAX for fault in self.layer.faults):
            raise FaultPlanError(f"fault: no reader takes more than {CARD_BODY_BYTES_MAX} bytes.")
        self.inserted = True
        self.mute_ms = mute_ms
        self._away_s = away_s
        #: Set once the reader has powered the card and asked for its ATR: programs see it then.
        self.seen = asyncio.Event()
        self._wire: _Wire | None = None
        self._server: asyncio.Server | None = None
        self._unix_path: Path | None = None
        self._over: asyncio.Future[Ending] | None = None
        self._entering: asyncio.Future[None] | None = None
        self._left_at: float | None = None
        if persist is not None:
            image, save = card.image, persist
            card.writer.on_write = lambda _field: save(image)

    @property
    def trace(self) -> Trace:
        """Give the masked trace."""
        return self.layer.trace

    async def connect(self, host: str, port: int) -> None:
        """Enter a reader that listens; raise CardWireError when it does not."""
        await self._enter()
        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_connection(self._new_wire, host, port)
        except (OSError, TimeoutError) as error:
            raise CardWireError(
                f"{host}:{port}: no virtual reader listens there.",
                internal=f"connect to {host}:{port}: {error!r}",
                fix="Is pcscd running with its vpcd reader? lumbung pcsc exec starts both.",
            ) from error

    async def attach(self, connect: Callable[[], Awaitable[socket.socket]]) -> None:
        """Enter a reader over the socket that `connect` gives, which is ours from then on."""
        await self._enter()
        connection = await connect()
        await asyncio.get_running_loop().create_connection(self._new_wire, sock=connection)

    async def listen(self, host: str, port: int) -> int:
        """Wait for readers on an address and give the port; raise CardWireError."""
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._new_wire, host, port
            )
        except OSError as error:
            raise _cannot_listen(f"{host}:{port}", error) from error
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def listen_unix(self, path: Path) -> None:
        """Wait for readers on a unix socket that only its owner can open; raise CardWireError.

        A socket left by a process that is gone is replaced, one that answers is not.
        """
        self._server = await asyncio.get_running_loop().create_unix_server(
            self._new_wire, sock=_bind_unix(path)
        )
        self._unix_path = path

    def remove(self) -> None:
        """Take the card out of its reader, as a hand does; idempotent. Listening goes on."""
        self.inserted = False
        if self._wire is not None:
            self._wire.end(Ending.CARD_LEFT)

    def insert(self) -> None:
        """Let readers that connect find the card again; idempotent."""
        self.inserted = True

    async def left(self) -> Ending:
        """Wait for the end of the present or the next connection and give why it ended.

        Raises what `persist` raised: the card has stopped before it answered. Each end is given
        once.
        """
        while self._over is None:
            self._entering = self._entering or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._entering)
        ending = await asyncio.shield(self._over)
        self._over = None
        return ending

    async def close(self) -> None:
        """Leave the reader and stop listening. Idempotent."""
        self.remove()
        if self._over is not None:
            await asyncio.wait([self._over])
            self._over.exception()  # it was for whoever asked `left`; nobody did
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()
        if self._unix_path is not None:
            self._unix_path.unlink(missing_ok=True)
            self._unix_path = None

    async def _enter(self) -> None:
        assert self._wire is None or not self.inserted, "a card is in one reader at a time"
        loop = asyncio.get_running_loop()
        if self._over is not None and not self.inserted:
            await asyncio.wait([self._over])
        if self._left_at is not None:
            await asyncio.sleep(self._left_at + self._away_s - loop.time())
        self.inserted = True

    def _new_wire(self) -> "_Wire":
        return _Wire(self)

    def _entered(self, wire: "_Wire") -> bool:
        """Take a new connection as the slot's; False when there is one, or no card to give."""
        if self._wire is not None or not self.inserted:
            return False
        self._wire = wire
        self.seen.clear()
        self._over = asyncio.get_running_loop().create_future()
        if self._entering is not None:
            self._entering.set_result(None)
            self._entering = None
        return True

    def _left(self, wire: "_Wire", ending: Ending, error: LumbungError | None) -> None:
        if self._wire is not wire:
            return
        self._wire = None
        self._left_at = asyncio.get_running_loop().time()
        assert self._over is not None
        if error is not None:
            self._over.set_exception(error)
        else:
            self._over.set_result(ending)


class _Wire(asyncio.Protocol):
    """One connection: requests in order, one reaction at a time."""

    def __init__(self, owner: CardOnWire) -> None:
        self._owner = owner
        self._slot = VpcdSlot(owner.layer)
        self._waiting: deque[Request] = deque()
        self._held: asyncio.TimerHandle | None = None
        self._full = False
        self._ending = Ending.READER_GONE
        self._error: LumbungError | None = None
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # By cast: uvloop's transports do not inherit from asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if not self._owner._entered(self):
            self._transport.abort()
            return
        found: socket.socket = transport.get_extra_info("socket")
        if found.family in (socket.AF_INET, socket.AF_INET6):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = found
            self._acknowledge()

    def _acknowledge(self) -> None:
        """Acknowledge what came at once: the driver sends a frame's body only then."""
        if self._socket is not None and _QUICK_ACKNOWLEDGE is not None:
            with contextlib.suppress(OSError):  # the reader has gone; connection_lost follows
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICK_ACKNOWLEDGE, 1)

    def data_received(self, data: bytes) -> None:
        self._acknowledge()
        if self._owner._wire is not self:
            return
        try:
            self._waiting.extend(self._slot.receive(data))
        except FramingError:
            self.end(Ending.NOT_A_READER)
            return
        if len(self._waiting) > REQUESTS_WAITING_MAX:
            self.end(Ending.NOT_A_READER)
            return
        self._work()

    def _work(self) -> None:
        """React to what waits, until an answer takes time or the reader does not take answers."""
        while self._waiting and self._held is None and not self._full:
            try:
                reaction = self._slot.react(self._waiting.popleft())
            except LumbungError as error:
                self._error = error
                self.end(Ending.CARD_LEFT)
                return
            if reaction is not None:
                self._show(reaction)
        if self._slot.seen:
            self._owner.seen.set()

    def _show(self, reaction: Reaction) -> None:
        later = asyncio.get_running_loop().call_later
        if reaction.kind is ReactionKind.REMOVED:
            self.end(Ending.CARD_LEFT)
        elif reaction.kind is ReactionKind.MUTE:
            self._held = later(self._owner.mute_ms / 1000, self.end, Ending.MUTE)
        elif reaction.delay_ms:
            self._held = later(reaction.delay_ms / 1000, self._answer_late, reaction.data)
        else:
            self._write(reaction.data)

    def _answer_late(self, answer: bytes) -> None:
        self._held = None
        self._write(answer)
        self._work()

    def _write(self, answer: bytes) -> None:
        assert self._transport is not None
        self._transport.write(answer_frame(answer))

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._work()

    def end(self, ending: Ending) -> None:
        """Leave the reader at once; what was not answered never will be."""
        self._ending = ending
        self._waiting.clear()
        if self._held is not None:
            self._held.cancel()
            self._held = None
        if ending in (Ending.CARD_LEFT, Ending.MUTE):
            self._owner.inserted = False
        if self._transport is not None:
            # Not `close`: a peer that takes nothing would keep the card in its slot.
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._held is not None:
            self._held.cancel()
        if self._owner._wire is self:
            self._slot.power_off()
        self._owner._left(self, self._ending, self._error)


def _bind_unix(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            _remove_dead(path)
        bound.bind(str(path))
        path.chmod(0o600)
    except OSError as error:
        bound.close()
        raise _cannot_listen(str(path), error) from error
    return bound


def _remove_dead(path: Path) -> None:
    """Unlink a unix socket that nobody answers on; raise FileExistsError for a live one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError(None, "another card is served there")


def _cannot_listen(where: str, error: OSError) -> CardWireError:
    return CardWireError(
        f"{where}: cannot listen ({error.strerror or 'not possible'}).",
        internal=f"listen on {where}: {error!r}",
        fix="Give another address, or end what uses this one.",
    )
