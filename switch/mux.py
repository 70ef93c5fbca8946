"""Which answer belongs to which request, on one connection to a host. Bytes in, events out.

The keys are configured by the kind of message. A request whose key is under way is refused, never
overwritten. An answer that fits nothing is told with the pending request that is nearest, and the
elements that differ: the question that people ask most of such links (switch.md 2.7).
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from protocols.framing import Framer, FrameSpec, FramingError, frame
from protocols.iso8583 import Message, MessageError, PureCodec, answer_mti, masked
from switch.limits import LATE_ANSWERS_MAX

_MILLISECOND_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class MuxKeys:
    """The elements by which an answer is known: for all messages, or by the first digits of MTI.

    >>> MuxKeys((11, 37), {"08": (7, 11)}).of("0800")
    (7, 11)
    """

    usual: tuple[int, ...]
    by_mti: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def of(self, mti: str) -> tuple[int, ...]:
        """Give the elements for a message; the longest beginning of its MTI decides."""
        for length in range(len(mti), 0, -1):
            if mti[:length] in self.by_mti:
                return self.by_mti[mti[:length]]
        return self.usual


class NotSent(StrEnum):
    """Why a request was not sent; nothing of it happened."""

    WINDOW_FULL = "window full"
    KEY_UNDER_WAY = "a request with this key is under way"
    KEY_MISSING = "the request lacks a key element"
    NOT_UP = "the link is not up"
    UNWRITABLE = "the message does not fit the spec"


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request."""

    token: Hashable
    message: Message
    waited_ns: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No answer in time. The outcome is unknown: an answer may still come as `Late`."""

    token: Hashable
    request: Message


@dataclass(frozen=True, slots=True)
class Late:
    """The answer to a request that was given up: an approval must be reversed (decision 18)."""

    token: Hashable
    message: Message


@dataclass(frozen=True, slots=True)
class Unmatched:
    """An answer to nothing. `nearest` is the pending request that shares most of its key."""

    message: Message
    nearest: Hashable | None
    differing: tuple[str, ...]

    def __str__(self) -> str:
        if self.nearest is None:
            return f"{self.message.mti} answers nothing: nothing of its kind is pending"
        return f"{self.message.mti} answers nothing: {'; '.join(self.differing)}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the host's own: sign-on, echo, cut-over."""

    message: Message


@dataclass(frozen=True, slots=True)
class Broken:
    """The stream cannot be read any further; close the connection."""

    why: str


MuxEvent = Answered | TimedOut | Late | Unmatched | Asked | Broken


@dataclass(frozen=True, slots=True)
class _Pending:
    token: Hashable
    request: Message
    sent_ns: int
    deadline_ns: int


class Mux:
    """The requests under way on one connection."""

    def __init__(
        self, codec: PureCodec, frames: FrameSpec, keys: MuxKeys, *, window: int, timeout_ms: int
    ) -> None:
        """Begin at a frame boundary with nothing under way."""
        self._codec = codec
        self._frames = frames
        self._keys = keys
        self._window = window
        self._timeout_ns = timeout_ms * _MILLISECOND_NS
        self._framer = Framer(frames)
        # All time out after the same time, so the order of sending is the order of deadlines.
        self._pending: OrderedDict[tuple[str, ...], _Pending] = OrderedDict()
        self._late: OrderedDict[tuple[str, ...], Hashable] = OrderedDict()

    @property
    def pending(self) -> int:
        """Give how many requests await their answer."""
        return len(self._pending)

    def send(self, token: Hashable, request: Message, now_ns: int) -> bytes | NotSent:
        """Give the bytes of a request that is under way from now on, or why it is not."""
        if len(self._pending) >= self._window:
            return NotSent.WINDOW_FULL
        key = self._key(answer_mti(request.mti), request)
        if key is None:
            return NotSent.KEY_MISSING
        if key in self._pending:
            return NotSent.KEY_UNDER_WAY
        try:
            data = self._framed(request)
        except MessageError:
            return NotSent.UNWRITABLE
        self._pending[key] = _Pending(token, request, now_ns, now_ns + self._timeout_ns)
        # A repeat takes the place of its original: the answer that comes is its own.
        self._late.pop(key, None)
        return data

    def reply(self, answer: Message) -> bytes:
        """Give the bytes of an answer to the host's own request; raise MessageError."""
        return self._framed(answer)

    def receive_data(self, data: bytes, now_ns: int) -> list[MuxEvent]:
        """Give what these bytes mean, in order."""
        broken: list[MuxEvent] = []
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            frames, broken = error.frames, [Broken(error.external)]
        found: list[MuxEvent] = []
        for one in frames:
            if not one.payload:
                continue
            try:
                found.append(self._read(self._codec.decode(one.payload), now_ns))
            except MessageError as error:
                # One message that is none says that the two ends do not speak one language.
                return [*found, Broken(error.external)]
        return found + broken

    def next_timer_ns(self) -> int | None:
        """Give when `handle_timer` has something to do; None while nothing is under way."""
        for pending in self._pending.values():
            return pending.deadline_ns
        return None

    def handle_timer(self, now_ns: int) -> list[MuxEvent]:
        """Give up what has waited too long; its answer may still come."""
        found: list[MuxEvent] = []
        while self._pending:
            key, pending = next(iter(self._pending.items()))
            if pending.deadline_ns > now_ns:
                break
            del self._pending[key]
            self._remember_late(key, pending.token)
            found.append(TimedOut(pending.token, pending.request))
        return found

    def lost(self) -> list[MuxEvent]:
        """Give up everything: the connection is gone, the outcomes are unknown."""
        found: list[MuxEvent] = [TimedOut(p.token, p.request) for p in self._pending.values()]
        for key, pending in self._pending.items():
            self._remember_late(key, pending.token)
        self._pending.clear()
        self._framer = Framer(self._frames)
        return found

    def _read(self, message: Message, now_ns: int) -> MuxEvent:
        if message.mti[2:3] in ("0", "2", "4"):
            return Asked(message)
        key = self._key(message.mti, message)
        pending = self._pending.pop(key, None) if key is not None else None
        if pending is not None:
            return Answered(pending.token, message, now_ns - pending.sent_ns)
        if key is not None and key in self._late:
            return Late(self._late.pop(key), message)
        return self._diagnose(message)

    def _diagnose(self, message: Message) -> Unmatched:
        wanted = self._keys.of(message.mti)
        nearest: _Pending | None = None
        best: list[int] = []
        for pending in self._pending.values():
            if answer_mti(pending.request.mti) != message.mti:
                continue
            differing = [n for n in wanted if _value(pending.request, n) != _value(message, n)]
            if nearest is None or len(differing) < len(best):
                nearest, best = pending, differing
        if nearest is None:
            return Unmatched(message, None, ())
        told = [self._told(number, nearest.request, message) for number in best]
        return Unmatched(message, nearest.token, tuple(told))

    def _told(self, number: int, request: Message, answer: Message) -> str:
        element = self._codec.spec.elements.get(number)
        sides = [
            masked(element, one.get(number)) if number in one else "absent"
            for one in (request, answer)
        ]
        return f"element {number} was {sides[0]}, came back {sides[1]}"

    def _key(self, mti: str, message: Message) -> tuple[str, ...] | None:
        values = [_value(message, number) for number in self._keys.of(mti)]
        if any(value is None for value in values):
            return None
        return (mti, *(str(value) for value in values))

    def _framed(self, message: Message) -> bytes:
        return frame(self._codec.encode(message), b"", self._frames)

    def _remember_late(self, key: tuple[str, ...], token: Hashable) -> None:
        self._late[key] = token
        if len(self._late) > LATE_ANSWERS_MAX:
            self._late.popitem(last=False)


def _value(message: Message, number: int) -> str | None:
    """Give an element as it is compared: hosts pad texts, so spaces at the end do not count."""
    found = message.get(number)
    if found is None:
        return None
    return found.rstrip(" ") if isinstance(found, str) else repr(found)
