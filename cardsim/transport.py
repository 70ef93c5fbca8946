"""A virtual card on a stream: what readers reach over vpcd, TCP or a unix socket.

Both directions of the same wire: the card connects to a reader that listens (vpcd as Debian ships
it), or listens for one reader at a time (our terminal, or a vpcd told to connect out). Insertion
is a connection, removal its end. The requests and their reactions are `cardsim.vpcd`, one
connection's thread is `cardsim.transport_wire`; here is the slot that a hand moves the card in.

Three things keep an APDU from costing 40 ms on the driver's side: an acknowledgement at once for
every receive, no delay on ours, and one write per frame (reference/emv.md 1.4).
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from cardsim.card import Card
from cardsim.errors import FaultPlanError
from cardsim.faults import Fault, FaultLayer
from cardsim.image import CardImage
from cardsim.trace import Trace
from cardsim.transport_wire import Ending, Wire
from protocols.card_frames import CARD_BODY_BYTES_MAX
from protocols.errors import LumbungError

#: A mute card frees its reader after this time by leaving the slot: PC/SC has no deadline of its
#: own, and a reader that waits for ever would outlive every test.
MUTE_MS = 60_000
#: Opening a connection on one's own machine takes microseconds.
CONNECT_S = 5.0
#: How long a card that left is away before it enters a reader again. pcscd looks at its slots every
#: 0.4 s, later when busy; a card that is back before it was missed may never be powered again.
AWAY_S = 1.2


class CardWireError(LumbungError):
    """The card cannot reach its reader, or nobody can reach the card."""

    code = "E-CS-0101"


class _NoTrace(Trace):
    """A trace that keeps nothing: masking costs ten times what the card's answer does."""

    def note(self, command: bytes, response: bytes | None, fault: str = "") -> None:
        """Keep nothing."""

    def note_power(self, atr: bytes | None, fault: str = "") -> None:
        """Keep nothing."""


class CardOnWire:
    """One virtual card that one reader at a time reaches over a stream.

    `persist` is called with the image after every non-volatile write, before the answer leaves,
    and must make it durable; what it raises ends the connection and comes out of `left`.
    `faults` as in `cardsim.faults`; exchanges are kept when a `trace` is given. From one loop only.
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
        contactless: bool = False,
    ) -> None:
        """Take the card; it is in no reader yet, and will be in the first that is reached.

        `contactless`: the readers are contactless ones; raises FaultPlanError for a card without
        that form.
        """
        kept = _NoTrace() if trace is None else trace
        self.layer = FaultLayer(card, faults, kept, contactless=contactless)
        if any(len(fault.data) > CARD_BODY_BYTES_MAX for fault in self.layer.faults):
            raise FaultPlanError(f"fault: no reader takes more than {CARD_BODY_BYTES_MAX} bytes.")
        self.inserted = True
        self.mute_ms = mute_ms
        self._away_s = away_s
        #: Set once the reader has powered the card and asked for its ATR: programs see it then.
        self.seen = asyncio.Event()
        self._wire: Wire | None = None
        self._listening: socket.socket | None = None
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
        await self.attach(lambda: _connected(host, port))

    async def attach(
        self, connect: Callable[[], Awaitable[socket.socket]], *, core: int | None = None
    ) -> None:
        """Enter a reader over the socket that `connect` gives, which is ours from then on.

        `core`: the processor core of a reader that keeps to one; the card's thread does too then.
        """
        await self._enter()
        self._begin(await connect(), core)

    async def listen(self, host: str, port: int) -> int:
        """Wait for readers on an address and give the port; raise CardWireError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listening = socket.create_server((host, port), family=family)
        except OSError as error:
            raise _cannot_listen(f"{host}:{port}", error) from error
        self._listening.setblocking(False)
        self._await_readers()
        number: int = self._listening.getsockname()[1]
        return number

    async def listen_unix(self, path: Path) -> None:
        """Wait for readers on a unix socket that only its owner can open; raise CardWireError.

        A socket left by a process that is gone is replaced, one that answers is not.
        """
        self._listening = _bind_unix(path)
        self._unix_path = path
        self._await_readers()

    def _await_readers(self) -> None:
        assert self._listening is not None
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        assert self._listening is not None
        try:
            connection, _ = self._listening.accept()
        except OSError:
            return  # whoever it was has gone again
        if not self.inserted:
            connection.close()  # an empty slot has nothing to say
            return
        # One reader at a time: the next waits in the backlog, as vpcd lets cards wait.
        asyncio.get_running_loop().remove_reader(self._listening)
        self._begin(connection)

    def remove(self) -> None:
        """Take the card out of its reader, as a hand does; idempotent. Listening goes on."""
        self.inserted = False
        if self._wire is not None:
            self._wire.remove()

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
        listening, self._listening = self._listening, None
        if listening is not None:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self.remove()
        if self._over is not None:
            await asyncio.wait([self._over])
            self._over.exception()  # it was for whoever asked `left`; nobody did
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

    def _begin(self, connection: socket.socket, core: int | None = None) -> None:
        """Serve a connection: the card is in this reader until it ends."""
        loop = asyncio.get_running_loop()

        def in_loop(function: Callable[..., None], *arguments: object) -> None:
            # A loop that was closed first has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(function, *arguments)

        connection.setblocking(True)
        self.seen.clear()
        self._over = loop.create_future()
        self._wire = Wire(
            self.layer,
            connection,
            mute_ms=self.mute_ms,
            core=core,
            on_seen=lambda: in_loop(self.seen.set),
            on_end=lambda wire, ending, error: in_loop(self._left, wire, ending, error),
        )
        self._wire.start()
        if self._entering is not None:
            self._entering.set_result(None)
            self._entering = None

    def _left(self, wire: Wire, ending: Ending, error: LumbungError | None) -> None:
        assert self._wire is wire
        assert self._over is not None
        self._wire = None
        self._left_at = asyncio.get_running_loop().time()
        if ending in (Ending.CARD_LEFT, Ending.MUTE) and not wire.removed:
            # A hand that took it out may have put it back already.
            self.inserted = False
        if self._listening is not None:
            self._await_readers()
        if error is not None:
            self._over.set_exception(error)
        else:
            self._over.set_result(ending)


async def _connected(host: str, port: int) -> socket.socket:
    def connect() -> socket.socket:
        made = socket.create_connection((host, port), CONNECT_S)
        made.settimeout(None)
        return made

    try:
        return await asyncio.to_thread(connect)
    except OSError as error:
        raise CardWireError(
            f"{host}:{port}: no virtual reader listens there.",
            internal=f"connect to {host}:{port}: {error!r}",
            fix="Is pcscd running with its vpcd reader? lumbung pcsc exec starts both.",
        ) from error


def _bind_unix(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            _remove_dead(path)
        bound.bind(str(path))
        path.chmod(0o600)
        bound.listen()
        bound.setblocking(False)
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
        f"{where}: cannot listen ({error.strerror or error}).",
        internal=f"listen on {where}: {error!r}",
        fix="Give another address, or end what uses this one.",
    )
