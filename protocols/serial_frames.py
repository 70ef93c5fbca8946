"""Frames on a serial line between till and terminal: STX, ETX, LRC, with ENQ, ACK, NAK and EOT.

A frame is STX, optionally the body's length in four BCD digits, the body, ETX and the LRC: the
exclusive-or of everything between STX and LRC. Bytes and time come in as arguments, bytes to send
and events go out: `receive_data(data, now_ns)`, `handle_timer(now_ns)`, `data_to_send()`,
`next_event()`, `get_timer()`.

Theory of operation. `_Scanner` cuts the incoming bytes into signals (ENQ, ACK, NAK, EOT, a whole
frame, a spoilt frame). After a spoilt frame, or any stray byte, it listens to nothing until the
line has been quiet for the character time: an LRC of a frame whose STX was lost may equal ENQ, and
bytes of a broken body may pass for ACKs. `SerialLink` is the table
`TRANSITIONS`: what each signal means in each state; every pair is decided. A repeated body behind
a lost ACK is given again, marked, because the line carries no sequence numbers.

Source: ISO 1745 (basic mode control procedures); ISO 1155 (longitudinal parity); the frame with
length, checksum and time-outs of public ECR interfaces (domain.md 4.4).
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from protocols.errors import LumbungError

STX, ETX, EOT, ENQ, ACK, NAK = 0x02, 0x03, 0x04, 0x05, 0x06, 0x15

#: Largest body. Tills send a few hundred bytes; from 400 on the length's first byte would look like
#: EOT, ENQ or ACK to a receiver that lost the STX.
SERIAL_BODY_MAX = 399

#: Bodies that may wait behind the one being sent; a till asks one thing at a time.
SEND_QUEUE_MAX = 8

#: Events that nobody has fetched yet; beyond it frames are refused with NAK until room is made.
EVENTS_MAX = 64


class SerialError(LumbungError):
    """A body that cannot be sent on this line."""

    code = "E-PR-0202"


@dataclass(frozen=True, slots=True)
class SerialSpec:
    """How a line behaves; times in nanoseconds.

    `has_length` puts the body's length in front, so that a body may hold any byte. `enquires`
    asks with ENQ before each frame and ends with EOT. `yields` gives way when both ends enquire at
    once (one end of a line must). A frame is sent at most `attempts` times.
    """

    has_length: bool = True
    enquires: bool = False
    yields: bool = False
    attempts: int = 3
    answer_ns: int = 2_000_000_000
    character_ns: int = 500_000_000
    body_max: int = SERIAL_BODY_MAX

    def __post_init__(self) -> None:
        assert 1 <= self.attempts <= 10
        assert 0 < self.body_max <= SERIAL_BODY_MAX
        assert self.answer_ns > 0
        assert self.character_ns > 0


class SerialEventKind(StrEnum):
    """What the line tells its owner."""

    RECEIVED = "received"
    SENT = "sent"
    NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True)
class SerialEvent:
    """One event; `is_repeat` marks a body equal to the one just received. No content in repr."""

    kind: SerialEventKind
    body: bytes = b""
    is_repeat: bool = False

    def __repr__(self) -> str:
        return f"<SerialEvent {self.kind.value} {len(self.body)} bytes>"


class State(StrEnum):
    """What the link waits for."""

    IDLE = "idle"
    ENQUIRED = "enquired"
    WAITING = "waiting for ACK"


class Signal(StrEnum):
    """What may happen to the link."""

    ENQ = "ENQ"
    ACK = "ACK"
    NAK = "NAK"
    EOT = "EOT"
    FRAME = "frame"
    SPOILT = "spoilt frame"
    SEND = "body to send"
    TIMEOUT = "time-out"


class Action(StrEnum):
    """What the link does about it."""

    IGNORE = "ignore"
    START = "send ENQ or the frame"
    FRAME = "send the frame"
    AGAIN = "send again, or give up"
    ACKNOWLEDGE = "send ACK"
    ACCEPT = "give the body, send ACK"
    REFUSE = "send NAK"
    DONE = "report it sent"
    GIVE_UP = "report it not sent"
    GIVE_WAY = "give way when this end yields"


_A, _S, _G = Action, State, Signal

#: (state, signal) -> what to do. The state that follows is the action's own business.
TRANSITIONS: dict[tuple[State, Signal], Action] = {
    (_S.IDLE, _G.ENQ): _A.ACKNOWLEDGE,
    (_S.IDLE, _G.ACK): _A.IGNORE,
    (_S.IDLE, _G.NAK): _A.IGNORE,
    (_S.IDLE, _G.EOT): _A.IGNORE,
    (_S.IDLE, _G.FRAME): _A.ACCEPT,
    (_S.IDLE, _G.SPOILT): _A.REFUSE,
    (_S.IDLE, _G.SEND): _A.START,
    (_S.IDLE, _G.TIMEOUT): _A.IGNORE,
    (_S.ENQUIRED, _G.ENQ): _A.GIVE_WAY,
    (_S.ENQUIRED, _G.ACK): _A.FRAME,
    (_S.ENQUIRED, _G.NAK): _A.AGAIN,
    (_S.ENQUIRED, _G.EOT): _A.AGAIN,  # the other end, given way to, is done
    (_S.ENQUIRED, _G.FRAME): _A.ACCEPT,
    (_S.ENQUIRED, _G.SPOILT): _A.REFUSE,
    (_S.ENQUIRED, _G.SEND): _A.IGNORE,
    (_S.ENQUIRED, _G.TIMEOUT): _A.AGAIN,
    (_S.WAITING, _G.ENQ): _A.IGNORE,
    (_S.WAITING, _G.ACK): _A.DONE,
    (_S.WAITING, _G.NAK): _A.AGAIN,
    (_S.WAITING, _G.EOT): _A.GIVE_UP,
    (_S.WAITING, _G.FRAME): _A.ACCEPT,
    (_S.WAITING, _G.SPOILT): _A.REFUSE,
    (_S.WAITING, _G.SEND): _A.IGNORE,
    (_S.WAITING, _G.TIMEOUT): _A.AGAIN,
}

_CONTROLS = {ENQ: Signal.ENQ, ACK: Signal.ACK, NAK: Signal.NAK, EOT: Signal.EOT}


def lrc(data: bytes) -> int:
    """Give the longitudinal redundancy check: the exclusive-or of all bytes.

    >>> lrc(b"\\x00\\x02ab\\x03")
    2
    """
    check = 0
    for byte in data:
        check ^= byte
    return check


def serial_frame(body: bytes, spec: SerialSpec) -> bytes:
    """Give the frame of a body.

    >>> serial_frame(b"ab", SerialSpec()).hex()
    '02000261620302'

    Raises: SerialError when it is empty, too long, or holds control characters on a line without
    lengths.
    """
    if not 0 < len(body) <= spec.body_max:
        raise SerialError(f"a serial body has 1 to {spec.body_max} bytes, not {len(body)}.")
    if not spec.has_length and min(body) < 0x20:
        raise SerialError("a line without lengths carries no control characters.")
    length = bytes.fromhex(f"{len(body):04d}") if spec.has_length else b""
    checked = length + body + bytes([ETX])
    return bytes([STX]) + checked + bytes([lrc(checked)])


class SerialLink:
    """One end of a serial line."""

    __slots__ = (
        "_attempts",
        "_deadline",
        "_events",
        "_last_body",
        "_out",
        "_queue",
        "_scanner",
        "_spec",
        "_state",
    )

    def __init__(self, spec: SerialSpec) -> None:
        """Start idle on a quiet line."""
        self._spec = spec
        self._state = State.IDLE
        self._scanner = _Scanner(spec)
        self._queue: deque[bytes] = deque()
        self._events: deque[SerialEvent] = deque()
        self._out = bytearray()
        self._attempts = 0
        self._deadline: int | None = None
        self._last_body = b""

    @property
    def state(self) -> State:
        """Give what the link waits for."""
        return self._state

    def send(self, body: bytes, now_ns: int) -> None:
        """Take a body to send; SENT or NOT_SENT is reported for each, in order.

        Raises: SerialError when it does not fit the line, or too many wait.
        """
        frame = serial_frame(body, self._spec)
        if len(self._queue) >= SEND_QUEUE_MAX:
            raise SerialError(f"{SEND_QUEUE_MAX} bodies wait on this line already.")
        self._queue.append(frame)
        self._signal(Signal.SEND, now_ns)

    def receive_data(self, data: bytes, now_ns: int) -> None:
        """Take bytes that arrived, in any pieces."""
        for byte in data:
            signal = self._scanner.feed(byte, now_ns)
            if signal is not None:
                self._signal(signal, now_ns)

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due; harmless when nothing is."""
        if self._scanner.expire(now_ns):
            self._signal(Signal.SPOILT, now_ns)
        if self._deadline is not None and now_ns >= self._deadline:
            self._signal(Signal.TIMEOUT, now_ns)

    def get_timer(self) -> int | None:
        """Give when `handle_timer` is due in nanoseconds, None while nothing is."""
        due = [one for one in (self._deadline, self._scanner.deadline) if one is not None]
        return min(due, default=None)

    def data_to_send(self) -> bytes:
        """Give the bytes to write, once."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def next_event(self) -> SerialEvent | None:
        """Give the next event, None when there is none."""
        return self._events.popleft() if self._events else None

    def _signal(self, signal: Signal, now_ns: int) -> None:
        action = TRANSITIONS[self._state, signal]
        if action is Action.GIVE_WAY:
            self._give_way()
        elif action is Action.START:
            self._attempts = 0
            self._send_next(now_ns)
        elif action is Action.FRAME:
            self._write_frame(now_ns)
        elif action is Action.AGAIN:
            self._again(now_ns)
        elif action is Action.ACCEPT:
            self._accept()
        elif action is Action.ACKNOWLEDGE:
            self._out.append(ACK)
        elif action is Action.REFUSE:
            self._out.append(NAK)
        elif action in (Action.DONE, Action.GIVE_UP):
            self._finish(action is Action.DONE, now_ns)

    def _give_way(self) -> None:
        if self._spec.yields:
            # Our own body waits; the time-out asks again when the other end is done.
            self._out.append(ACK)

    def _send_next(self, now_ns: int) -> None:
        self._attempts += 1
        if not self._spec.enquires:
            self._write_frame(now_ns)
            return
        self._out.append(ENQ)
        self._wait(State.ENQUIRED, now_ns)

    def _write_frame(self, now_ns: int) -> None:
        self._out += self._queue[0]
        self._wait(State.WAITING, now_ns)

    def _wait(self, state: State, now_ns: int) -> None:
        self._state = state
        self._deadline = now_ns + self._spec.answer_ns

    def _again(self, now_ns: int) -> None:
        if self._attempts < self._spec.attempts:
            self._send_next(now_ns)
        else:
            self._finish(False, now_ns)

    def _finish(self, was_sent: bool, now_ns: int) -> None:
        self._queue.popleft()
        if self._spec.enquires:
            self._out.append(EOT)
        self._state, self._deadline = State.IDLE, None
        kind = SerialEventKind.SENT if was_sent else SerialEventKind.NOT_SENT
        self._events.append(SerialEvent(kind))
        if self._queue:
            self._signal(Signal.SEND, now_ns)

    def _accept(self) -> None:
        body = self._scanner.body
        if len(self._events) >= EVENTS_MAX:
            self._out.append(NAK)
            return
        is_repeat = body == self._last_body
        self._last_body = body
        self._out.append(ACK)
        self._events.append(SerialEvent(SerialEventKind.RECEIVED, body, is_repeat))


class _Scanner:
    """Cuts incoming bytes into signals."""

    __slots__ = ("_buffer", "_is_deaf", "_spec", "body", "deadline")

    def __init__(self, spec: SerialSpec) -> None:
        self._spec = spec
        self._buffer: bytearray | None = None
        self._is_deaf = False
        self.body = b""
        self.deadline: int | None = None

    def feed(self, byte: int, now_ns: int) -> Signal | None:
        """Give the signal that this byte completes."""
        if self._is_deaf:
            self.deadline = now_ns + self._spec.character_ns
            return None
        if self._buffer is None:
            if byte in _CONTROLS:
                return _CONTROLS[byte]
            self.deadline = now_ns + self._spec.character_ns
            if byte == STX:
                self._buffer = bytearray()
            else:
                self._spoil()
            return None
        self._buffer.append(byte)
        self.deadline = now_ns + self._spec.character_ns
        return self._frame(self._buffer)

    def expire(self, now_ns: int) -> bool:
        """Tell whether a frame is spoilt: cut off, or broken and the line quiet since."""
        if self.deadline is None or now_ns < self.deadline:
            return False
        self._reset()
        return True

    def _frame(self, buffer: bytearray) -> Signal | None:
        if not self._is_whole(buffer):
            return None
        start = 2 if self._spec.has_length else 0
        body, end, check = bytes(buffer[start:-2]), buffer[-2], buffer[-1]
        if end != ETX or check != lrc(bytes(buffer[:-1])) or not body:
            self._spoil()
            return None
        self._reset()
        self.body = body
        return Signal.FRAME

    def _is_whole(self, buffer: bytearray) -> bool:
        if self._spec.has_length:
            if len(buffer) < 2:
                return False
            digits = buffer[:2].hex()
            size = int(digits) if digits.isdigit() else self._spec.body_max + 1
            if size > self._spec.body_max:
                self._spoil()
                return False
            return len(buffer) == size + 4
        if len(buffer) > self._spec.body_max + 2:
            self._spoil()
            return False
        return len(buffer) >= 2 and buffer[-2] == ETX

    def _spoil(self) -> None:
        """Listen to nothing until the line is quiet: what follows may be the rest of a body."""
        self._is_deaf = True
        self._buffer = None

    def _reset(self) -> None:
        self._buffer, self._is_deaf = None, False
        self.deadline = None
