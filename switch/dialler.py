"""The asyncio adapter of a link to a host: dials, moves bytes, keeps the timer; decides nothing."""

import asyncio
import secrets
import ssl
from collections.abc import Callable, Hashable
from contextlib import suppress

import structlog

from protocols.clock import Clock
from protocols.iso8583 import Message, PureCodec
from switch.config import HostConfig
from switch.host_link import HostLink, LinkReport, StateChanged
from switch.link_states import LinkState
from switch.mux import NotSent, Unmatched
from switch.tls import client_context

_log = structlog.get_logger("switch")
_SECOND_NS = 1_000_000_000
_READ_BYTES = 65_536


class Dialler:
    """Keeps one link up until it is drained. `on_report` hears what concerns others."""

    def __init__(
        self, config: HostConfig, codec: PureCodec, clock: Clock,
        on_report: Callable[[LinkReport], None],
    ) -> None:  # fmt: skip
        """Take the parts; raise ConfigurationError for certificates that cannot be used.

        Nothing is dialled before `start`.
        """
        self.config = config
        self.link = HostLink(config, codec, clock.monotonic_ns())
        self._clock = clock
        self._on_report = on_report
        self._context: ssl.SSLContext | None = None
        if config.tls is not None:
            self._context = client_context(config.tls.authority, config.tls.own)
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to dial."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def submit(self, token: Hashable, request: Message) -> NotSent | None:
        """Send a request; give why it was not sent, None when it is under way."""
        refused = self.link.submit(token, request, self._clock.monotonic_ns())
        self._after([])
        return refused

    async def stop(self, seconds: float) -> None:
        """Finish what is under way, sign off and close, within so many seconds."""
        if self._task is None:
            return
        self._after(self.link.drain(*self._now()))
        if self._writer is None:
            self._task.cancel()
        with suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(seconds):
                await self._task
        if self._timer is not None:
            self._timer.cancel()

    async def _run(self) -> None:
        while self.link.state is not LinkState.CLOSED:
            await self._wait_to_dial()
            try:
                async with asyncio.timeout(self.config.connect_ms / 1000):
                    reader, writer = await asyncio.open_connection(
                        self.config.host, self.config.port, ssl=self._context,
                        server_hostname=self.config.tls_name if self._context else None,
                    )  # fmt: skip
            except (OSError, TimeoutError) as error:
                _log.warning("host not reached", host=self.config.name, why=type(error).__name__)
                self._lost()
                continue
            self._writer = writer
            self._after(self.link.connected(*self._now()))
            try:
                await self._serve(reader)
            finally:
                self._writer = None
                writer.close()
                self._lost()

    async def _wait_to_dial(self) -> None:
        at_ns = self.link.dial_at_ns
        if at_ns is not None:
            await asyncio.sleep(max(0, at_ns - self._clock.monotonic_ns()) / _SECOND_NS)

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        """Move bytes until the connection ends, whoever ends it."""
        with suppress(OSError):
            while not self.link.hang_up and (data := await reader.read(_READ_BYTES)):
                self._after(self.link.receive_data(data, *self._now()))

    def _lost(self) -> None:
        # Any number below 1 will do: hosts must not be dialled by all at the same moment.
        chance = secrets.randbelow(1_000) / 1_000
        self._after(self.link.lost(*self._now(), chance))

    def _after(self, reports: list[LinkReport]) -> None:
        """Write what is to be written, tell what is to be told, set the timer anew."""
        data = self.link.data_to_send()
        if self._writer is not None:
            if data:
                self._writer.write(data)
            if self.link.hang_up:
                self._writer.close()
        for report in reports:
            if isinstance(report, StateChanged):
                _log.info("host link", host=self.config.name, state=report.state.value)
            elif isinstance(report, Unmatched):
                _log.warning("answer unmatched", host=self.config.name, why=str(report))
            self._on_report(report)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ns = self.link.next_timer_ns()
        if due_ns is not None and self._writer is not None:
            wait = max(0, due_ns - self._clock.monotonic_ns()) / _SECOND_NS
            self._timer = asyncio.get_running_loop().call_later(wait, self._timer_due)

    def _timer_due(self) -> None:
        self._timer = None
        self._after(self.link.handle_timer(*self._now()))

    def _now(self) -> tuple[int, int]:
        return self._clock.monotonic_ns(), self._clock.now_ns()
