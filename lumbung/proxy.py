"""A TCP proxy that breaks things on purpose: any host behind it, any client before it, one seed.

It cuts both streams into messages by the link's framing and does to a chosen message what the field
does: delay, drop, duplicate, reorder, split, corrupt, half-close, cut. What it did stands in
`events`, so that a failed run can be told and, with the seed, played again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

from protocols.errors import LumbungError
from protocols.framing import EDC_FRAMES, Frame, Framer, FrameSpec, FramingError, frame

#: Connections at once; the next one is refused. A bench wants 1,000.
CONNECTIONS_MAX = 4_096
#: Events kept, oldest first; later ones are counted only.
EVENTS_MAX = 10_000
#: Seconds that a delay may last: above every time-out of a terminal.
DELAY_SECONDS_MAX = 120.0
#: Bytes read at a time: one message of the largest frame and some.
_READ_BYTES = 16_384
#: Seconds for the connection to the host.
_CONNECT_SECONDS = 5.0


class ProxyError(LumbungError):
    """The proxy cannot do what it is asked: an address in use, a rule that makes no sense."""

    code = "E-PX-0001"


class Side(StrEnum):
    """Which way a message goes."""

    REQUEST = "request"
    REPLY = "reply"


class Fault(StrEnum):
    """What is done to one message."""

    DELAY = "delay"
    DROP = "drop"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    SPLIT = "split"
    CORRUPT = "corrupt"
    HALF_CLOSE = "half-close"
    #: The connection breaks and the message never reached the other end.
    CUT_BEFORE_SEND = "cut-before-send"
    #: The message went through and the connection breaks at once: for a request, before its reply.
    CUT_AFTER_SEND = "cut-after-send"
    #: The host has answered; the answer is thrown away and the connection breaks.
    CUT_AFTER_REPLY = "cut-after-reply"


@dataclass(frozen=True, slots=True)
class Moment:
    """One message on its way: the how-manieth of its connection and side, and its payload."""

    connection: int
    side: Side
    ordinal: int
    payload: bytes = field(repr=False)


@dataclass(slots=True)
class Rule:
    """When to do what. `chooses` sees every message; `chance` is drawn from the seed."""

    fault: Fault
    chooses: Callable[[Moment], bool] = lambda _moment: True
    side: Side = Side.REQUEST
    chance: float = 1.0
    times: int = 1 << 30
    seconds: float = 0.05

    def __post_init__(self) -> None:
        if not (0 <= self.chance <= 1 and self.times > 0 and self.seconds >= 0):
            raise ProxyError(
                "a rule has a chance of 0 to 1, at least one time and a delay of 0 on."
            )
        if self.seconds > DELAY_SECONDS_MAX:
            raise ProxyError(f"a delay is at most {DELAY_SECONDS_MAX:g} seconds.")
        if self.fault is Fault.CUT_AFTER_REPLY:
            self.side = Side.REPLY


@dataclass(frozen=True, slots=True)
class ProxyEvent:
    """What was done to which message; never its content."""

    fault: Fault
    connection: int
    side: Side
    ordinal: int


class FaultProxy:
    """Listens, and passes on to one host. Use as an async context manager."""

    def __init__(
        self,
        host: str,
        port: int,
        rules: Sequence[Rule] = (),
        *,
        seed: int = 7,
        frames: FrameSpec = EDC_FRAMES,
        listen_host: str = "127.0.0.1",
        listen_port: int = 0,
    ) -> None:
        """Take host and rules; the first rule that fits a message decides what is done to it."""
        self.host, self.port = host, port
        self.rules = list(rules)
        self.frames = frames
        self.events: list[ProxyEvent] = []
        self.counts: Counter[Fault] = Counter()
        self.random = random.Random(seed)  # noqa: S311 - faults that can be played again
        self.listen_port = listen_port
        self._listen_host = listen_host
        self._server: asyncio.Server | None = None
        self._next_connection = 0
        self._links: dict[int, _Link] = {}

    async def __aenter__(self) -> "FaultProxy":
        try:
            server = await asyncio.start_server(
                self._accept, self._listen_host, self.listen_port, limit=_READ_BYTES
            )
        except OSError as error:
            raise ProxyError(
                f"{self._listen_host}:{self.listen_port}: cannot listen ({error.strerror}).",
                fix="Give another port, or 0.",
            ) from error
        self._server = server
        self.listen_port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self.cut_all()
        await self._server.wait_closed()

    async def cut_all(self) -> None:
        """Break every connection now."""
        links = list(self._links.values())
        for link in links:
            link.cut()
        await asyncio.gather(*(link.ended.wait() for link in links))

    def choose(self, moment: Moment) -> Rule | None:
        """Give the rule for a message and use it up once; None leaves the message alone."""
        for rule in self.rules:
            if rule.times <= 0 or rule.side is not moment.side or not rule.chooses(moment):
                continue
            if rule.chance < 1 and self.random.random() >= rule.chance:
                continue
            rule.times -= 1
            self.counts[rule.fault] += 1
            if len(self.events) < EVENTS_MAX:
                self.events.append(
                    ProxyEvent(rule.fault, moment.connection, moment.side, moment.ordinal)
                )
            return rule
        return None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._links) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        number, self._next_connection = self._next_connection, self._next_connection + 1
        link = self._links[number] = _Link(self, number, writer)
        try:
            await link.run(reader)
        finally:
            del self._links[number]
            link.ended.set()


class _Link:
    """One client connection and its own connection to the host."""

    def __init__(self, proxy: FaultProxy, number: int, client: asyncio.StreamWriter) -> None:
        self.proxy, self.number, self.client = proxy, number, client
        self.host: asyncio.StreamWriter | None = None
        self.ended = asyncio.Event()
        self.is_cut = False
        self._held: dict[Side, bytes] = {}

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Pass on until both ends are done or the link is cut."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                opened = await asyncio.open_connection(
                    self.proxy.host, self.proxy.port, limit=_READ_BYTES
                )
        except (OSError, TimeoutError):
            # As a dead host looks through a gateway: the connection is taken and breaks.
            self.cut()
            return
        self.host = opened[1]
        if self.is_cut:
            self.cut()
        try:
            await asyncio.gather(
                self._pump(Side.REQUEST, reader, opened[1]),
                self._pump(Side.REPLY, opened[0], self.client),
            )
        finally:
            self.cut()

    def cut(self) -> None:
        """Break both connections at once."""
        self.is_cut = True
        for writer in (self.client, self.host):
            if writer is not None:
                writer.transport.abort()

    async def _pump(
        self, side: Side, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        framer, ordinal = Framer(self.proxy.frames), 0
        with suppress(OSError):
            while not self.is_cut and (data := await reader.read(_READ_BYTES)):
                try:
                    found = framer.feed(data)
                except FramingError:
                    # Not this link's framing: what the host makes of it is the host's business.
                    writer.write(data)
                    framer = Framer(self.proxy.frames)
                    continue
                for one in found:
                    if self.is_cut:
                        return
                    moment = Moment(self.number, side, ordinal, one.payload)
                    if not one.payload:
                        writer.write(_framed(one, self.proxy.frames))  # a keep-alive
                        continue
                    ordinal += 1
                    if not await self._pass(moment, one, writer):
                        return
                await writer.drain()
            self._release(side, writer)
            if not self.is_cut and writer.can_write_eof():
                writer.write_eof()

    async def _pass(self, moment: Moment, one: Frame, writer: asyncio.StreamWriter) -> bool:
        """Do with one message what its rule says; tell whether this side goes on."""
        data = _framed(one, self.proxy.frames)
        rule = self.proxy.choose(moment)
        if rule is None:
            writer.write(data)
            self._release(moment.side, writer)
            return True
        match rule.fault:
            case Fault.DELAY:
                await asyncio.sleep(rule.seconds)
                writer.write(data)
            case Fault.DROP:
                return True
            case Fault.DUPLICATE:
                writer.write(data + data)
            case Fault.REORDER:
                # Goes out behind the next message of this side, or when the side ends.
                self._held[moment.side] = self._held.pop(moment.side, b"") + data
                return True
            case Fault.SPLIT:
                await self._split(data, writer)
            case Fault.CORRUPT:
                writer.write(self._corrupt(one))
            case Fault.HALF_CLOSE:
                writer.write(data)
                writer.write_eof()
                return False
            case Fault.CUT_AFTER_SEND:
                writer.write(data)
                await writer.drain()
                self._end(writer)
            case Fault.CUT_BEFORE_SEND | Fault.CUT_AFTER_REPLY:
                self.cut()
        self._release(moment.side, writer)
        return True

    def _end(self, writer: asyncio.StreamWriter) -> None:
        """Cut the end that sent; the other one gets what was written before it sees the end."""
        self.is_cut = True
        other = self.client if writer is self.host else self.host
        if other is not None:
            other.transport.abort()
        writer.close()

    async def _split(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Send in two or three pieces, the first cut inside the length field half of the time."""
        chance = self.proxy.random
        first = 1 if chance.random() < 0.5 else chance.randrange(1, len(data))
        second = chance.randrange(first, len(data))
        for piece in (data[:first], data[first:second], data[second:]):
            if piece:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)

    def _corrupt(self, one: Frame) -> bytes:
        """Give the frame with one bit of its message turned over; length and TPDU stay."""
        spoilt = bytearray(one.payload)
        place = self.proxy.random.randrange(len(spoilt))
        spoilt[place] ^= 1 << self.proxy.random.randrange(8)
        return _framed(Frame(one.tpdu, bytes(spoilt), one.header), self.proxy.frames)

    def _release(self, side: Side, writer: asyncio.StreamWriter) -> None:
        held = self._held.pop(side, b"")
        if held and not self.is_cut:
            writer.write(held)


def _framed(one: Frame, frames: FrameSpec) -> bytes:
    return frame(one.payload, one.tpdu, frames, one.header)
