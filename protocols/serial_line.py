"""A serial line with ENQ, STX content ETX LRC, ACK, NAK and EOT: bytes and time in, bytes out.

Theory of operation. `SerialLine` is one end. It owns no port and no clock: `feed` takes bytes with
the time at which they came, `tick` the time when `deadline_ns` has passed, `send` what is to go;
each gives a `LineOutcome`: bytes to write, blocks that arrived, and what became of the one sent.
What happens in which state stands in `serial_table.py`.

Guarantees: a block arrives at most once and in order, whatever is lost, as long as the peer answers
within `SERIAL_ANSWER_MS`; everything ends in bounded time. `NOT_SENT` means "not known to have
arrived": when the last ACK is lost it may have. Not guaranteed: eight bits of LRC find every single
wrong byte of a block and miss one in 256 heavier damages, and nothing protects ACK and EOT from
becoming each other. The MAC and the answer of the message inside are what proves.

Source: ISO 1155 (longitudinal parity), ISO 1745 (basic mode control procedures).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from protocols.crypto.engine import current
from protocols.framing import FramingError
from protocols.limits import (
    SERIAL_ANSWER_MS,
    SERIAL_BLOCK_BYTES_MAX,
    SERIAL_BLOCK_MS,
    SERIAL_CHARACTER_MS,
    SERIAL_QUIET_MS,
    SERIAL_SESSION_MS,
    SERIAL_TRIES_MAX,
)
from protocols.serial_table import PRIMARY, TABLE, LineAction, LineEvent, LineState

STX, ETX, EOT, ENQ, ACK, NAK = 0x02, 0x03, 0x04, 0x05, 0x06, 0x15

_MS = 1_000_000
#: A character on the line: start bit, eight bits, stop bit.
_BITS_PER_CHARACTER = 10


class SendResult(StrEnum):
    """What became of a block that was to be sent."""

    SENT = "the peer has taken it"
    NOT_SENT = "no tries are left, or the peer ended; it may have arrived all the same"


@dataclass(frozen=True, slots=True)
class LineSpec:
    """How a line looks.

    `has_length`: two bytes of packed decimal in front of the content count it, so that it may hold
    any byte; without them the content may hold neither STX nor ETX. `is_primary`: this end wins
    when both bid. `bits_per_second` tells when a block has left; 0 for a line without such a rate
    (a pseudo-terminal): then an ACK is believed at once.
    """

    has_length: bool = True
    is_primary: bool = False
    bits_per_second: int = 9_600
    block_max: int = SERIAL_BLOCK_BYTES_MAX

    def __post_init__(self) -> None:
        assert 0 < self.block_max <= SERIAL_BLOCK_BYTES_MAX
        assert self.bits_per_second >= 0

    @property
    def largest(self) -> int:
        """Give the largest content: what is allowed and four digits can count."""
        return min(self.block_max, 9_999) if self.has_length else self.block_max


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """What came of one call: bytes to write now, contents that arrived, and results of `send`."""

    write: bytes = b""
    delivered: tuple[bytes, ...] = ()
    results: tuple[SendResult, ...] = ()

    def __repr__(self) -> str:
        sizes = [len(one) for one in self.delivered]
        return f"<LineOutcome write={len(self.write)} bytes delivered={sizes} {self.results}>"


def lrc(data: bytes | bytearray) -> int:
    """Give the longitudinal parity: all bytes added without carry. Source: ISO 1155.

    >>> lrc(bytes([0x31, 0x32, 0x03]))
    0
    """
    return current.engine.lrc(bytes(data))


def block(content: bytes, spec: LineSpec) -> bytes:
    """Give STX, content, ETX and LRC; the LRC covers everything behind STX.

    >>> block(b"AB", LineSpec()).hex()
    '02000241420302'

    Raises: FramingError for content that the line cannot carry.
    """
    if not content or len(content) > spec.largest:
        raise FramingError(f"a block holds 1 to {spec.largest} bytes.")
    if spec.has_length:
        body = bytes.fromhex(f"{len(content):04d}") + content + bytes([ETX])
    elif STX in content or ETX in content:
        raise FramingError("this line's content may hold neither STX nor ETX.")
    else:
        body = content + bytes([ETX])
    return bytes([STX]) + body + bytes([lrc(body)])


class _BlockReader:
    """Reads one block behind its STX, byte by byte."""

    __slots__ = ("_body", "_size", "_spec", "content")

    def __init__(self, spec: LineSpec) -> None:
        self._spec = spec
        self._body = bytearray()
        self._size: int | None = None  # bytes before ETX, once known
        self.content = b""

    def take(self, byte: int) -> bool | None:
        """Give True or False when the block ends right or wrong, None while it goes on."""
        body, spec = self._body, self._spec
        head = 2 if spec.has_length else 0
        if self._size is not None and len(body) == self._size + 1:
            self.content = bytes(body[head:-1])
            return byte == lrc(body)
        body.append(byte)
        if not spec.has_length:
            if byte == ETX:
                self._size = len(body) - 1
                return None if self._size else False
            return False if byte == STX or len(body) > spec.largest else None
        if len(body) == head:
            digits = body.hex()
            if not digits.isdigit() or not 0 < int(digits) <= spec.largest:
                return False
            self._size = head + int(digits)
        if self._size is not None and len(body) == self._size + 1 and byte != ETX:
            return False
        return None


_CONTROL = {
    ENQ: LineEvent.ENQ, ACK: LineEvent.ACK, NAK: LineEvent.NAK, EOT: LineEvent.EOT,
    STX: LineEvent.STX,
}  # fmt: skip
_WAITS_MS = {
    LineState.BIDDING: SERIAL_ANSWER_MS,
    LineState.SENDING: SERIAL_ANSWER_MS,
    LineState.READY: SERIAL_SESSION_MS,
    LineState.RECEIVING: SERIAL_CHARACTER_MS,
    LineState.DELIVERED: SERIAL_SESSION_MS,
    LineState.REPEATED: SERIAL_CHARACTER_MS,
}
_IN_BLOCK = (LineState.RECEIVING, LineState.REPEATED)


class SerialLine:
    """One end of one line. Holds at most one block to send and one that arrives."""

    def __init__(self, spec: LineSpec, now_ns: int) -> None:
        """Start idle; nothing is believed before the line was quiet once."""
        self.state = LineState.IDLE
        self._spec = spec
        self._table = PRIMARY if spec.is_primary else TABLE
        self._deadline_ns: int | None = None
        self._block_ends_ns = 0
        self._noise_ns = now_ns
        self._leaves_ns = now_ns
        self._tries = 0
        self._bad = 0
        self._reader = _BlockReader(spec)
        self._pending: bytes | None = None
        self._last = b""
        self._write = bytearray()
        self._delivered: list[bytes] = []
        self._results: list[SendResult] = []

    @property
    def deadline_ns(self) -> int | None:
        """Give the time at which `tick` is due, None when nothing is waited for."""
        return self._deadline_ns

    @property
    def is_busy(self) -> bool:
        """Tell whether a block waits to be sent or is under way."""
        return self._pending is not None

    def send(self, content: bytes, now_ns: int) -> LineOutcome:
        """Send a block: now, or as soon as the line is idle.

        Raises: FramingError when it does not fit the line or another one is still under way.
        """
        if self._pending is not None:
            raise FramingError("a block is under way on this line; wait for its result.")
        self._pending = block(content, self._spec)
        return self._finish(now_ns, lambda: None)

    def feed(self, data: bytes, now_ns: int) -> LineOutcome:
        """Take bytes that came by `now_ns`."""

        def take() -> None:
            self._expire(now_ns)
            for byte in data:
                self._take(byte, now_ns)

        return self._finish(now_ns, take)

    def tick(self, now_ns: int) -> LineOutcome:
        """Tell the time; does nothing before `deadline_ns`."""
        return self._finish(now_ns, lambda: self._expire(now_ns))

    def _finish(self, now_ns: int, work: Callable[[], None]) -> LineOutcome:
        work()
        if self._pending is not None and self.state is LineState.IDLE:
            self._step(LineEvent.SEND, now_ns)
        out = LineOutcome(bytes(self._write), tuple(self._delivered), tuple(self._results))
        self._write.clear()
        self._delivered.clear()
        self._results.clear()
        return out

    def _expire(self, now_ns: int) -> None:
        if self._deadline_ns is None or now_ns < self._deadline_ns:
            return
        spent = self._bad + 1 if self.state in _IN_BLOCK else self._tries
        is_last = spent >= SERIAL_TRIES_MAX
        self._step(LineEvent.TIMEOUT_LAST if is_last else LineEvent.TIMEOUT, now_ns)

    def _take(self, byte: int, now_ns: int) -> None:
        if self.state in _IN_BLOCK:
            self._take_inside(byte, now_ns)
            return
        event = _CONTROL.get(byte, LineEvent.NOISE)
        if now_ns < self._noise_ns + SERIAL_QUIET_MS * _MS:
            event = LineEvent.NOISE  # perhaps the middle of a block whose start was lost
        if event in (LineEvent.ACK, LineEvent.NAK) and now_ns < self._leaves_ns:
            return  # older than the end of our block, so it is no answer to it
        if event is LineEvent.NAK and self._tries >= SERIAL_TRIES_MAX:
            event = LineEvent.NAK_LAST
        self._step(event, now_ns)

    def _take_inside(self, byte: int, now_ns: int) -> None:
        ended = self._reader.take(byte)
        if ended is None:
            character_ns = now_ns + SERIAL_CHARACTER_MS * _MS
            self._deadline_ns = min(character_ns, self._block_ends_ns)
        elif ended:
            is_same = self.state is LineState.REPEATED and self._reader.content == self._last
            self._step(LineEvent.GOOD_SAME if is_same else LineEvent.GOOD, now_ns)
        else:
            is_last = self._bad + 1 >= SERIAL_TRIES_MAX
            self._step(LineEvent.BAD_LAST if is_last else LineEvent.BAD, now_ns)

    def _step(self, event: LineEvent, now_ns: int) -> None:
        before = self.state
        self.state, action = self._table[before][event]
        assert action is not LineAction.NEVER, f"{event.name} in {before.name}"
        waits = action not in (LineAction.NONE, LineAction.HOLD, LineAction.DISTRUST)
        if waits or self.state is not before:
            wait_ms = _WAITS_MS.get(self.state)
            self._deadline_ns = None if wait_ms is None else now_ns + wait_ms * _MS
        if self.state is not before:
            self._tries = 0
        self._act(action, now_ns)

    def _act(self, action: LineAction, now_ns: int) -> None:
        if action is LineAction.DISTRUST:
            self._noise_ns = now_ns
        elif action is LineAction.BID:
            self._tries += 1
            self._write.append(ENQ)
        elif action is LineAction.SEND_BLOCK:
            self._send_block(now_ns)
        elif action in (LineAction.FINISH, LineAction.GIVE_UP, LineAction.STOPPED):
            self._end_send(action)
        elif action is LineAction.INVITE:
            self._bad, self._last = 0, b""
            self._write.append(ACK)
        elif action is LineAction.OPEN:
            self._reader = _BlockReader(self._spec)
            self._block_ends_ns = now_ns + SERIAL_BLOCK_MS * _MS
        elif action in (LineAction.DELIVER, LineAction.CONFIRM):
            self._write.append(ACK)
            if action is LineAction.DELIVER:
                self._last = self._reader.content
                self._delivered.append(self._last)
        elif action is LineAction.REJECT:
            self._bad += 1
            self._write.append(NAK)
        elif action is LineAction.REFUSE:
            self._write.append(EOT)

    def _send_block(self, now_ns: int) -> None:
        assert self._pending is not None
        self._tries += 1
        self._write += self._pending
        rate = self._spec.bits_per_second
        if rate:
            bits = len(self._pending) * _BITS_PER_CHARACTER
            self._leaves_ns = now_ns + bits * 1_000_000_000 // rate
            self._deadline_ns = self._leaves_ns + SERIAL_ANSWER_MS * _MS

    def _end_send(self, action: LineAction) -> None:
        self._pending = None
        if action is not LineAction.STOPPED:
            self._write.append(EOT)
        is_sent = action is LineAction.FINISH
        self._results.append(SendResult.SENT if is_sent else SendResult.NOT_SENT)
