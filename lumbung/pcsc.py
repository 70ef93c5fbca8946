"""A private pcscd with our own virtual readers, for as long as somebody needs it.

`PrivatePcscd` starts the keeper (`lumbung.pcsc_keeper`), which holds the namespaces and the
daemon; here is what the rest of the house sees: connections to readers, commands that run with
the private daemon, and the path of its socket for programs outside.

Figures of the driver in use decide some of this (reference/emv.md 1.4): it serves two slots per
copy of its library, it binds all addresses, and the daemon serves sixteen readers at most.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lumbung import pcsc_keeper
from lumbung.services import program, services
from protocols.errors import LumbungError

#: Compiled into pcsc-lite: PCSCLITE_MAX_READERS_CONTEXTS.
READERS_MAX = 16
#: Compiled into the driver: VICC_MAX_SLOTS. A second entry with the same library would overwrite
#: the first, so each entry has a copy of its own.
_SLOTS_PER_LIBRARY = 2
#: The driver's customary first port; nobody else lives in that network.
_FIRST_PORT = 0x8C7B
#: pcscd listens within some 20 ms; a busy machine may take longer.
START_S = 5.0
#: The keeper answers within START_S; this is for one that hangs.
_ANSWER_S = 10.0
_STOP_S = 8.0
_MESSAGE_BYTES = 65_536
_LOG_TAIL_LINES = 5


class PcscNotPossibleError(LumbungError):
    """No private pcscd on this machine: something is missing or forbidden."""

    code = "E-PS-0001"


class PrivatePcscd:
    """pcscd with `readers` empty virtual readers. Use as an async context manager.

    `directory` holds everything it needs and makes; a temporary one without. `socket_path` is for
    programs outside (environment variable PCSCLITE_CSOCK_NAME of libpcsclite).
    """

    def __init__(self, readers: int, directory: Path | None = None) -> None:
        """Take the settings; nothing is started."""
        assert 1 <= readers <= READERS_MAX
        self.readers = readers
        self._given = directory
        self._directory = Path()
        self._control: socket.socket | None = None
        self._keeper: subprocess.Popen[bytes] | None = None
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._exit: asyncio.Future[dict[str, Any]] | None = None
        self._turn = asyncio.Lock()

    @property
    def core(self) -> int | None:
        """Give the processor core that the daemon keeps to, and its card should; None for any.

        With one reader an APDU is a chain of four hand-overs, one after the other; spread over
        cores each costs the waking of another core, which halves the rate on a busy machine.
        Several readers want several cores.
        """
        if self.readers > 1 or not hasattr(os, "sched_getaffinity"):
            return None
        return max(os.sched_getaffinity(0))

    @property
    def socket_path(self) -> Path:
        """Give where the daemon listens, as seen from outside."""
        return self._directory / "run" / "pcscd.comm"

    @property
    def reader_names(self) -> tuple[str, ...]:
        """Give the readers' names as PC/SC programs see them, in order."""
        return tuple(
            f"{_friendly_name(number // _SLOTS_PER_LIBRARY)} 00 {number % _SLOTS_PER_LIBRARY:02X}"
            for number in range(self.readers)
        )

    async def __aenter__(self) -> Self:
        missing = services()["pcsc"].missing()
        if missing:
            raise PcscNotPossibleError(
                f"no private pcscd: {missing}.", fix=services()["pcsc"].install_line
            )
        self._directory = self._given or Path(tempfile.mkdtemp(prefix="lumbung-pcsc-"))
        try:
            settings = _lay_out(self._directory, self.readers)
            await self._start({**settings, "core": self.core})
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def _start(self, settings: dict[str, Any]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._keeper = _start_keeper(theirs.fileno(), settings)
        ours.setblocking(False)
        self._control = ours
        asyncio.get_running_loop().add_reader(ours, self._readable)
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = await self._answers.get()
        except TimeoutError:
            answer = {"failed": "pcscd did not start in time"}
        if not answer.get("ready"):
            raise self._refused(answer)

    def _refused(self, answer: dict[str, Any]) -> PcscNotPossibleError:
        what = str(answer.get("failed", "its keeper ended"))
        log = self._directory / "log" / "pcscd.log"
        tail = (
            log.read_text("utf-8", "replace").splitlines()[-_LOG_TAIL_LINES:]
            if log.exists()
            else []
        )
        fix = (
            "Run it as root or where user namespaces are allowed; "
            "docs/guides/virtual-card.md shows the way with the system's own pcscd."
            if "forbidden" in what
            else "docs/guides/virtual-card.md names the known causes."
        )
        said = f" pcscd said: {' / '.join(tail)}" if tail else ""
        return PcscNotPossibleError(f"no private pcscd: {what}.{said}", fix=fix)

    def _readable(self) -> None:
        assert self._control is not None
        try:
            raw, files, _flags, _from = socket.recv_fds(self._control, _MESSAGE_BYTES, 1)
        except BlockingIOError:
            return
        except ConnectionError:
            raw, files = b"", []
        if not raw:
            asyncio.get_running_loop().remove_reader(self._control)
            answer: dict[str, Any] = {"failed": "its keeper ended"}
        else:
            answer = json.loads(raw)
        if files:
            answer["file"] = files[0]
        if self._exit is not None and not self._exit.done() and ("exit" in answer or not raw):
            self._exit.set_result(answer)
        else:
            self._answers.put_nowait(answer)

    async def connect(self, reader: int) -> socket.socket:
        """Give a connection to a reader (from 0), over which a card speaks; not blocking.

        Raises PcscNotPossibleError when the daemon has gone.
        """
        assert 0 <= reader < self.readers
        async with self._turn:
            self._send({"do": "connect", "reader": reader})
            answer = await self._answers.get()
        if "file" not in answer:
            raise PcscNotPossibleError(
                f"reader {reader}: {answer.get('why', 'the private pcscd has ended')}."
            )
        made = socket.socket(fileno=answer["file"])
        made.setblocking(False)
        return made

    async def run(self, command: list[str], *, core: int | None = None) -> int:
        """Run a command with the private daemon at /run/pcscd and give its exit code.

        `core`: the processor core that the command keeps to; None for any. A command that a signal
        ended gives 128 + the signal's number, as a shell says it. Raises PcscNotPossibleError when
        it cannot be started, or when the daemon's keeper ended.
        """
        assert self._exit is None, "one command at a time"
        self._exit = asyncio.get_running_loop().create_future()
        try:
            self._send({"do": "run", "command": command, "core": core})
            answer = await self._exit
        finally:
            self._exit = None
        if "why" in answer or "exit" not in answer:
            raise PcscNotPossibleError(
                f"{answer.get('why', 'the private pcscd has ended')}.",
                fix="Check the command's name and its path.",
            )
        return int(answer["exit"])

    def signal(self, number: int) -> None:
        """Send a signal to the command that runs, if any."""
        if self._exit is not None:
            self._send({"do": "signal", "number": number})

    def _send(self, request: dict[str, Any]) -> None:
        assert self._control is not None, "not started"
        try:
            self._control.send(json.dumps(request).encode())
        except OSError as error:
            raise PcscNotPossibleError(
                "the private pcscd has ended.", internal=f"keeper: {error!r}"
            ) from error

    async def _stop(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control)
            control.close()
        while not self._answers.empty():
            left = self._answers.get_nowait()
            if "file" in left:
                socket.socket(fileno=left["file"]).close()
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await asyncio.to_thread(_await_end, keeper)
        if self._given is None and self._directory != Path():
            shutil.rmtree(self._directory)


def _friendly_name(entry: int) -> str:
    # Names must differ: with one name for all, pcscd gives every entry the same two reader names.
    return f"Lumbung {entry}"


def _start_keeper(control: int, settings: dict[str, Any]) -> subprocess.Popen[bytes]:
    # A program by its path, with -P: whatever lies in the current directory is not its own.
    command = [sys.executable, "-P", pcsc_keeper.__file__, str(control), json.dumps(settings)]
    return subprocess.Popen(command, pass_fds=(control,))  # noqa: S603 - our own file


def _await_end(keeper: subprocess.Popen[bytes]) -> None:
    """Wait for the keeper, which ends by itself when its socket closes; kill it if it hangs."""
    try:
        keeper.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()


def _lay_out(directory: Path, readers: int) -> dict[str, Any]:
    """Make the folders, the driver's copies and the reader entries; give the keeper's settings.

    The log is not beside the entries: pcscd reads every file there, and would read its own log.
    """
    for name in ("run", "reader.conf.d", "drivers", "log"):
        (directory / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    entries = []
    for number in range(-(-readers // _SLOTS_PER_LIBRARY)):
        library = directory / "drivers" / f"libifdvpcd-{number}.so"
        shutil.copyfile(services()["pcsc"].file, library)
        port = _FIRST_PORT + number * _SLOTS_PER_LIBRARY
        entries.append(
            f'FRIENDLYNAME "{_friendly_name(number)}"\nDEVICENAME /dev/null:{port:#x}\n'
            f"LIBPATH {library}\nCHANNELID {port:#x}\n"
        )
    (directory / "reader.conf.d" / "lumbung").write_text("\n".join(entries), "ascii")
    return {
        "pcscd": program(services()["pcsc"].command),
        "run": str(directory / "run"),
        "config": str(directory / "reader.conf.d"),
        "log": str(directory / "log" / "pcscd.log"),
        "start_s": START_S,
        "ports": [_FIRST_PORT + number for number in range(readers)],
    }
