"""One connection between a card and its reader: a thread that reads, reacts and writes.

A thread and blocking calls, because a round trip is measured in tens of microseconds and an event
loop spends more than that on waking twice (the driver sends a frame's length and body apart).
Everything that touches the card while it is in this reader happens in this thread. Whoever ends
the connection shuts the socket down, which ends every blocking call here.
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum

from cardsim.faults import FaultLayer, Reaction, ReactionKind
from cardsim.vpcd import FramingError, Request, VpcdSlot, answer_frame
from protocols.errors import LumbungError

#: Requests that may wait behind a slow answer. A reader sends one and waits; more is no reader.
REQUESTS_WAITING_MAX = 64
_RECEIVE_BYTES = 4_096
# Linux has it; elsewhere acknowledgements are as quick as that system makes them.
_QUICK_ACKNOWLEDGE = getattr(socket, "TCP_QUICKACK", None)


class Ending(Enum):
    """Why a connection between card and reader ended."""

    READER_GONE = "the reader closed the connection"
    CARD_LEFT = "the card left the slot"
    MUTE = "the card was mute for too long and left the slot"
    NOT_A_READER = "what came was no reader's"


class _EndedError(Exception):
    """The connection is over, for this reason."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.value)
        self.ending = ending


class Wire:
    """One connection: requests in order, one reaction at a time, in a thread kept to `core`.

    `on_seen` is called once, `on_end` at the very end, both in the wire's thread; `on_end` gets
    why, and what made the card stop if that was an error.
    """

    def __init__(
        self,
        layer: FaultLayer,
        connection: socket.socket,
        *,
        mute_ms: int,
        core: int | None,
        on_seen: Callable[[], None],
        on_end: Callable[["Wire", Ending, LumbungError | None], None],
    ) -> None:
        """Take a connected, blocking socket; nothing is read before `start`."""
        self._slot = VpcdSlot(layer)
        self._socket = connection
        self._mute_ms = mute_ms
        self._core = core
        self._on_seen, self._on_end = on_seen, on_end
        self._waiting: deque[Request] = deque()
        self._told_seen = False
        #: Whether a hand took the card out.
        self.removed = False
        self._is_tcp = connection.family in (socket.AF_INET, socket.AF_INET6)
        # A socket that sleeps over a frame's length is of a network that acknowledges by itself.
        self._wakes_at = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
        sleeps = self._wakes_at > 1
        self._acknowledge = _QUICK_ACKNOWLEDGE if self._is_tcp and not sleeps else None
        self._watch = select.poll()
        self._watch.register(connection, select.POLLIN)
        self._thread = threading.Thread(target=self._serve, name="card", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        if self._is_tcp:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread.start()

    def remove(self) -> None:
        """Take the card out from another thread; idempotent. `on_end` follows."""
        self.removed = True
        with contextlib.suppress(OSError):  # the reader has gone first
            self._socket.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        ending, error = Ending.READER_GONE, None
        if self._core is not None:
            os.sched_setaffinity(0, {self._core})  # of this thread alone
        try:
            while True:
                self._receive()
                while self._waiting:
                    self._react(self._waiting.popleft())
        except _EndedError as ended:
            ending = ended.ending
        except LumbungError as raised:
            ending, error = Ending.CARD_LEFT, raised
        finally:
            self._slot.power_off()
            # What the reader sent and nobody read must not turn the end into a reset at once.
            self._socket.close()
            self._on_end(self, Ending.CARD_LEFT if self.removed else ending, error)

    def _receive(self) -> None:
        """Take what the reader sent; raise _EndedError when there is no more."""
        try:
            data = self._received()
            if self._acknowledge is not None:
                # The driver sends a frame's body only when its length was acknowledged.
                self._socket.setsockopt(socket.IPPROTO_TCP, self._acknowledge, 1)
        except OSError:
            raise _EndedError(Ending.READER_GONE) from None
        if not data:
            raise _EndedError(Ending.READER_GONE)
        try:
            self._waiting.extend(self._slot.receive(data))
        except FramingError:
            raise _EndedError(Ending.NOT_A_READER) from None
        if len(self._waiting) > REQUESTS_WAITING_MAX:
            raise _EndedError(Ending.NOT_A_READER)

    def _received(self) -> bytes:
        if self._wakes_at == 1:
            return self._socket.recv(_RECEIVE_BYTES)
        if not self._slot.waiting:
            # Not by receiving: that would take a length that is there, and then the mark would
            # count for the body alone, which may be a single byte.
            self._watch.poll()
            return self._socket.recv(_RECEIVE_BYTES)
        # A length came with the request before; what is missing may be a single byte.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        try:
            return self._socket.recv(_RECEIVE_BYTES)
        finally:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, self._wakes_at)

    def _react(self, request: Request) -> None:
        reaction = self._slot.react(request)
        if reaction is not None:
            self._show(reaction)
        if self._slot.seen and not self._told_seen:
            self._told_seen = True
            self._on_seen()

    def _show(self, reaction: Reaction) -> None:
        if reaction.kind is ReactionKind.REMOVED:
            raise _EndedError(Ending.CARD_LEFT)
        if reaction.kind is ReactionKind.MUTE:
            self._stay_silent(self._mute_ms)
            raise _EndedError(Ending.MUTE)
        if reaction.delay_ms:
            self._stay_silent(reaction.delay_ms)
        try:
            self._socket.sendall(answer_frame(reaction.data))
        except OSError:
            raise _EndedError(Ending.READER_GONE) from None

    def _stay_silent(self, duration_ms: int) -> None:
        """Wait, with an eye on the reader: one that gives up frees the card at once."""
        end = time.monotonic() + duration_ms / 1000
        while (left_s := end - time.monotonic()) > 0:
            if self._watch.poll(left_s * 1000):
                self._receive()
