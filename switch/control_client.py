"""Asks a running switch over its control channel; for commands and for other local servers."""

import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from protocols.errors import LumbungError
from switch.control import SOCKET_NAME, request_line
from switch.control_socket import socket_address
from switch.limits import CONTROL_ANSWER_BYTES_MAX

#: Seconds for a quick answer; a job tells its progress, and each word of it begins anew.
_ANSWER_SECONDS = 120.0
#: Hears of a job's progress: the object as sent.
OnProgress = Callable[[Mapping[str, Any]], None]


class NoSwitchError(LumbungError):
    """No switch runs on the data directory, or it does not answer."""

    code = "E-SW-0113"


class NodeRefusedError(LumbungError):
    """The switch answered with an error of its own: its code, its texts, its exit code."""

    def __init__(
        self, code: str, what: str, fix: str, exit_code: int, said: Mapping[str, str] | None = None
    ) -> None:
        """Keep what was told; `said` has it by language where the switch says it in two."""
        super().__init__(what, fix=fix)
        self.code = code
        self.exit_code = exit_code
        self._said = said or {}

    def said(self, lang: str) -> str:
        """Give the sentence in one language, or the whole text where there is only one."""
        return self._said.get(lang, self.external)


def is_switch_running(directory: Path) -> bool:
    """Tell whether a switch answers on this data directory."""
    try:
        with ControlClient(directory):
            return True
    except NoSwitchError:
        return False


class ControlClient:
    """One connection to the switch of a data directory. Use as a context manager."""

    def __init__(self, directory: Path) -> None:
        """Connect; raise NoSwitchError when nothing listens there."""
        self._directory = directory
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(_ANSWER_SECONDS)
        self._next_id = 1
        try:
            with socket_address(directory) as address:
                self._sock.connect(address)
        except OSError as error:
            self._sock.close()
            raise NoSwitchError(
                f"{directory / SOCKET_NAME}: no switch answers ({error.strerror}).",
                fix="Start it: lumbung switch run --data DIRECTORY",
            ) from error
        self._lines = self._sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a job that runs goes on."""
        self._lines.close()
        self._sock.close()

    def ask(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
        detached: bool = False,
    ) -> dict[str, Any]:
        """Give the result of a command; of a job when it has ended, unless it is detached.

        Raises NodeRefusedError as the switch tells it, NoSwitchError when the line breaks: then
        it is not known what became of the command, and a job is simply asked for again.
        """
        number, self._next_id = self._next_id, self._next_id + 1
        line = request_line(number, command, arguments or {}, detached=detached)
        try:
            self._sock.sendall(line)
            while True:
                answer = self._read()
                if answer.get("id") not in (number, 0):
                    continue
                if "progress" in answer:
                    if on_progress is not None:
                        on_progress(answer["progress"])
                    continue
                break
        except OSError as error:
            raise self._broken(error.strerror or type(error).__name__) from error
        if "error" in answer:
            told = answer["error"]
            raise NodeRefusedError(
                told["code"], told["what"], told["fix"], told["exit_code"], told.get("said")
            )
        result: dict[str, Any] = answer["result"]
        return result

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline(CONTROL_ANSWER_BYTES_MAX + 1)
        if not line.endswith(b"\n"):
            raise self._broken("the line ended in the middle")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _broken(self, why: str) -> NoSwitchError:
        return NoSwitchError(
            f"{self._directory / SOCKET_NAME}: the switch went away ({why}).",
            fix="Look whether it runs, then ask again: nothing is done twice.",
        )
