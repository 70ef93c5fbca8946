"""The test bank's sockets: takes requests, answers by the table, counts what it did."""

import asyncio
import ssl
from collections import Counter
from contextlib import suppress

from lumbung.bank.table import AnswerRule, AnswerTable, BankFault
from protocols.errors import LumbungError
from protocols.framing import BANK_FRAMES, Framer, FramingError, frame
from protocols.iso8583 import Codec, Message, MessageError, PureCodec, answer_mti, load_spec

#: Connections at once.
CONNECTIONS_MAX = 256
_READ_BYTES = 65_536


class BankError(LumbungError):
    """The test bank cannot listen."""

    code = "E-BK-0001"


class BankHost:
    """Listens and answers. Use as an async context manager."""

    def __init__(
        self, table: AnswerTable, *, host: str = "127.0.0.1", port: int = 0,
        context: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        """Take the table; nothing is opened yet."""
        self.table = table
        self.port = port
        self.counts: Counter[str] = Counter()
        self.seen: list[Message] = []
        self._host = host
        self._context = context
        self._codec: PureCodec = Codec(load_spec(table.spec))
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "BankHost":
        try:
            self._server = await asyncio.start_server(
                self._serve, self._host, self.port, ssl=self._context, limit=_READ_BYTES
            )
        except OSError as error:
            raise BankError(
                f"{self._host}:{self.port}: cannot listen ({error.strerror}).",
                fix="Give another --port, or 0.",
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut_all()
        for task in list(self._tasks):
            task.cancel()
        await self._server.wait_closed()

    def cut_all(self) -> None:
        """Break every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def ask(self, request: Message) -> None:
        """Send a request of the bank's own (cut-over, echo) on every connection."""
        data = self._framed(request)
        for writer in list(self._writers):
            writer.write(data)
            await writer.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        self._writers.add(writer)
        framer = Framer(BANK_FRAMES)
        try:
            with suppress(OSError, FramingError, MessageError):
                while data := await reader.read(_READ_BYTES):
                    for one in framer.feed(data):
                        if one.payload:
                            self._take(self._codec.decode(one.payload), writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    def _take(self, message: Message, writer: asyncio.StreamWriter) -> None:
        self.seen = [*self.seen[-999:], message]
        if message.mti[2:3] in ("1", "3"):
            self.counts[f"{message.mti}/{message.text(39) if 39 in message else '-'}"] += 1
            return
        rule = self.table.choose(message)
        self.counts[f"{message.mti}/{rule.code}/{rule.fault.value}"] += 1
        if not rule.delay_ms:
            self._answer(message, rule, writer)
            return
        task = asyncio.get_running_loop().create_task(self._answer_later(message, rule, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_later(
        self, request: Message, rule: AnswerRule, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(rule.delay_ms / 1000)
        self._answer(request, rule, writer)

    def _answer(self, request: Message, rule: AnswerRule, writer: asyncio.StreamWriter) -> None:
        if writer.is_closing():
            return
        match rule.fault:
            case BankFault.SILENT:
                return
            case BankFault.CLOSE:
                writer.transport.abort()
            case BankFault.GARBAGE:
                writer.write(b"0012GARBAGE-----")
            case _:
                data = self._framed(self._message(request, rule))
                writer.write(data * 2 if rule.fault is BankFault.TWICE else data)

    def _message(self, request: Message, rule: AnswerRule) -> Message:
        answer = request.response(rule.code, dict(rule.elements))
        assert answer.mti == answer_mti(request.mti)
        if rule.fault is BankFault.WRONG_KEY:
            stan = int(str(request.get(11) or "0"))
            answer = answer.replace({11: f"{(stan + 1) % 1_000_000:06d}"})
        return answer

    def _framed(self, message: Message) -> bytes:
        return frame(self._codec.encode(message), b"", BANK_FRAMES)
