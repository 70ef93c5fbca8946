"""A closed client: one message under way on each connection, the next one follows its answer.

How much a host can take. One thread over the system's own poller, without an event loop: the client
must cost less than the host that it measures. It looks at no answer before the run is over.
"""

import selectors
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from lumbung.load.driver import Prepared, Tally
from lumbung.load.limits import CONNECTIONS_MAX, GRACE_SECONDS
from lumbung.load.schedule import LoadError
from protocols.framing import EDC_FRAMES, Framer, FrameSpec, FramingError

_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class ClosedPlan:
    """Where, with how many connections, for how long; `one_shot` connects for every message."""

    host: str
    port: int
    connections: int
    seconds: float
    one_shot: bool = False
    context: ssl.SSLContext | None = None
    frames: FrameSpec = EDC_FRAMES


class _Peer:
    """One connection's place in the messages, and what it reads."""

    __slots__ = ("framer", "place", "sock")

    def __init__(self, sock: socket.socket, place: int, frames: FrameSpec) -> None:
        self.sock, self.place = sock, place
        self.framer = Framer(frames)


def run_closed(plan: ClosedPlan, messages: Sequence[Prepared]) -> Tally:
    """Give what happened; of n connections each sends every n-th message.

    Raises LoadError when a connection cannot be made.
    """
    if not 1 <= plan.connections <= CONNECTIONS_MAX:
        raise LoadError(f"a run has 1 to {CONNECTIONS_MAX} connections.")
    with ClosedRun(plan, messages) as run:
        return run.run()


class ClosedRun:
    """One run: connections open while the context lasts."""

    def __init__(self, plan: ClosedPlan, messages: Sequence[Prepared]) -> None:
        """Take plan and messages; nothing is opened yet."""
        self._plan, self._messages = plan, messages
        self._peers: list[_Peer] = []
        self._tally = Tally.of(len(messages))
        self._poller = selectors.DefaultSelector()
        self._under_way = 0
        self._stop_ns = 0

    def __enter__(self) -> Self:
        try:
            for place in range(self._plan.connections):
                self._peers.append(self._connect(place))
        except LoadError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for registered in list(self._poller.get_map().values()):
            registered.data.sock.close()
        self._poller.close()

    def run(self) -> Tally:
        """Send until the time is over, and take the answers that are due then."""
        tally = self._tally
        tally.begin_ns = time.perf_counter_ns()
        self._stop_ns = tally.begin_ns + int(self._plan.seconds * 1e9)
        last_ns = self._stop_ns + int(GRACE_SECONDS * 1e9)
        for peer in self._peers:
            self._send(peer)
        while self._under_way and time.perf_counter_ns() < last_ns:
            for key, _mask in self._poller.select(0.5):
                self._receive(key.data)
        return tally

    def _connect(self, place: int) -> _Peer:
        plan = self._plan
        try:
            sock = socket.create_connection((plan.host, plan.port), timeout=GRACE_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if plan.context is not None:
                sock = plan.context.wrap_socket(sock, server_hostname=plan.host)
        except OSError as error:
            raise LoadError(
                f"{plan.host}:{plan.port}: cannot connect ({error.strerror or error}).",
                fix="Is the host running? lumbung switch run --data DIRECTORY --port 8583",
            ) from error
        sock.setblocking(plan.context is not None)
        peer = _Peer(sock, place, plan.frames)
        self._poller.register(sock, selectors.EVENT_READ, peer)
        return peer

    def _send(self, peer: _Peer) -> None:
        """Send the connection's next message, unless it has none or the time is over."""
        now = time.perf_counter_ns()
        if peer.place >= len(self._messages) or now >= self._stop_ns:
            return
        self._tally.sent_ns[peer.place] = now
        self._under_way += 1
        peer.sock.sendall(self._messages[peer.place].frame)

    def _receive(self, peer: _Peer) -> None:
        try:
            data = peer.sock.recv(_READ_BYTES)
            frames = peer.framer.feed(data)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except (OSError, FramingError):
            data, frames = b"", []
        for one in frames:
            if one.payload:
                self._answered(peer, one.payload)
        if not data and peer.sock.fileno() >= 0:
            self._lost(peer)

    def _answered(self, peer: _Peer, payload: bytes) -> None:
        place, tally = peer.place, self._tally
        if place >= len(tally.answers) or tally.answered_ns[place] or not tally.sent_ns[place]:
            tally.strangers += 1
            return
        tally.answered_ns[place], tally.answers[place] = time.perf_counter_ns(), payload
        self._under_way -= 1
        peer.place += self._plan.connections
        if not self._plan.one_shot:
            self._send(peer)
            return
        self._forget(peer)
        if time.perf_counter_ns() < self._stop_ns:
            self._send(self._connect(peer.place))

    def _lost(self, peer: _Peer) -> None:
        self._tally.lost_connections += 1
        place = peer.place
        is_waited_for = place < len(self._messages) and bool(self._tally.sent_ns[place])
        self._under_way -= is_waited_for and not self._tally.answered_ns[place]
        self._forget(peer)

    def _forget(self, peer: _Peer) -> None:
        with suppress(KeyError, ValueError):
            self._poller.unregister(peer.sock)
        peer.sock.close()
