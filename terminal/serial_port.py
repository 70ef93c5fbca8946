"""A serial port as a `Line`: pyserial opens it, the event loop reads and writes it.

The port of a printer, a PIN pad or a cash register; `line_to` gives the line of an address, which
may be a TCP one as well.
"""

import asyncio
import os

import serial

from terminal.errors import TerminalError
from terminal.limits import LINE_READ_MAX_BYTES
from terminal.line import Line, LineDownError, TcpLine

_BITS_PER_SECOND = 9_600
_RATES = (1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200)


class AddressError(TerminalError):
    """An address of an attached device cannot be read."""

    code = "E-TM-0501"


class SerialPort:
    """A line over a serial port, 8 data bits, no parity, one stop bit, no flow control."""

    def __init__(self, path: str, *, bits_per_second: int = _BITS_PER_SECOND) -> None:
        """Take the port's path; nothing is opened yet."""
        self._path = path
        self._rate = bits_per_second
        self._port: serial.Serial | None = None

    async def connect(self) -> None:
        """Open the port; raise LineDownError when there is none or another program has it."""
        await self.close()
        try:
            # exclusive: two programs on one port would each get half of what a device says.
            self._port = serial.Serial(self._path, self._rate, timeout=0, exclusive=True)
        except (OSError, ValueError) as failed:
            raise LineDownError(
                f"{self._path}: the serial port cannot be opened.",
                internal=f"open {self._path}: {failed!r}",
                fix="Plug the device in; lumbung doctor lists the ports.",
            ) from failed
        os.set_blocking(self._port.fileno(), False)

    async def send(self, data: bytes) -> None:
        """Write everything; raise LineDownError when the device is gone."""
        view = memoryview(data)
        while view:
            number = self._open()
            try:
                view = view[os.write(number, view) :]
            except BlockingIOError:
                await _writable(number)
            except OSError as failed:
                raise self._lost() from failed

    async def receive(self, *, timeout_ms: int) -> bytes:
        """Give the next bytes; raise TimeoutError, LineDownError. Never gives empty bytes."""
        number = self._open()
        async with asyncio.timeout(timeout_ms / 1000):
            # A port is set to give nothing at once rather than to wait: nothing means "not yet"
            # before it says that it can be read, and "gone" afterwards.
            await _readable(number)
        try:
            data = os.read(number, LINE_READ_MAX_BYTES)
        except OSError as failed:
            raise self._lost() from failed
        if not data:
            raise self._lost()
        return data

    async def close(self) -> None:
        """Close the port. Idempotent; never raises."""
        port, self._port = self._port, None
        if port is not None:
            try:
                port.close()
            except OSError:
                # The device went first: closed is what we wanted.
                return

    def _open(self) -> int:
        if self._port is None:
            raise self._lost()
        return int(self._port.fileno())

    def _lost(self) -> LineDownError:
        return LineDownError(
            f"{self._path}: the device is gone.", fix="Plug it in; it is opened again by itself."
        )


async def _readable(number: int) -> None:
    """Wait until a file can be read."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(number)


async def _writable(number: int) -> None:
    """Wait until a file can be written."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(number, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(number)


def line_to(address: str, *, connect_timeout_ms: int = 2_000) -> Line:
    """Give the line of `tcp:HOST:PORT`, `serial:PATH` or `serial:PATH@BITS_PER_SECOND`.

    Raises AddressError.
    """
    kind, _, rest = address.partition(":")
    if kind == "serial" and rest:
        path, _, rate = rest.partition("@")
        if path and (not rate or (rate.isdigit() and int(rate) in _RATES)):
            return SerialPort(path, bits_per_second=int(rate or _BITS_PER_SECOND))
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        if host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536:
            return TcpLine(host.strip("[]"), int(port), connect_timeout_ms=connect_timeout_ms)
    raise AddressError(
        f"{address!r} is no address of a device.",
        fix="Give tcp:HOST:PORT, serial:PATH or serial:PATH@BITS, BITS one of "
        + ", ".join(map(str, _RATES)) + ".",
    )  # fmt: skip
