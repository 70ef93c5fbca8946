"""The control channel of a running switch: its messages, and the table of what may be asked.

JSON lines over a Unix socket in the data directory, version 1. A request is
`{"version": 1, "id": 7, "command": "status", "arguments": {}}`; what comes back carries its `id`:
any number of `{"id": 7, "progress": {...}}`, then one `{"id": 7, "result": {...}}` or
`{"id": 7, "error": {"code", "what", "fix", "exit_code"}}`, with `"said": {"id", "en"}` where the
programme says it in both languages.

The table is open: whoever composes a node adds commands and jobs to it before it is served.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ledger.errors import LedgerError
from protocols.errors import LumbungError
from protocols.values import mask_free_text
from switch.job_runner import JobContext
from switch.limits import CONTROL_ANSWER_BYTES_MAX, CONTROL_REQUEST_BYTES_MAX

VERSION = 1
#: The socket's name in the data directory.
SOCKET_NAME = "switch.sock"


class ControlError(LumbungError):
    """A request on the control channel cannot be understood or is not known."""

    code = "E-SW-0112"


class Arguments(BaseModel):
    """What a command takes; the base of every command's own model. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NoArguments(Arguments):
    """For a command that takes none."""


#: Gives the exit code that a command line shall end with: 1 a rule, 3 the environment, 4 integrity.
ExitCodes = Callable[[LumbungError | LedgerError], int]
#: Answers at once, on the loop's thread; what it gives is the result.
Quick = Callable[[Any], Awaitable[Mapping[str, Any]]]
#: Runs as a job, in the job thread, writing through `JobContext.ledger`.
JobFunction = Callable[[JobContext, Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `quick` or `job`, and the model that its arguments must fit."""

    name: str
    summary: str
    arguments: type[BaseModel] = NoArguments
    quick: Quick | None = None
    job: JobFunction | None = None

    def __post_init__(self) -> None:
        assert (self.quick is None) != (self.job is None), "a command is quick or a job"


class CommandTable:
    """What may be asked of this node."""

    def __init__(self) -> None:
        """Begin empty."""
        self._commands: dict[str, Command] = {}

    def add(self, command: Command) -> None:
        """Add a command; a name is given once."""
        assert command.name not in self._commands, f"{command.name} stands twice"
        self._commands[command.name] = command

    def find(self, name: str) -> Command:
        """Give a command by name; raise ControlError when there is none."""
        found = self._commands.get(name)
        if found is None:
            raise ControlError("This switch does not know the command.", fix=self._known())
        return found

    def listing(self) -> list[dict[str, Any]]:
        """Give name, kind and summary of every command, in the order of adding."""
        return [
            {"name": c.name, "kind": "job" if c.job else "quick", "summary": c.summary}
            for c in self._commands.values()
        ]

    def _known(self) -> str:
        return f"There are {', '.join(sorted(self._commands))}."


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is well formed: its id, the command, its checked arguments."""

    id: int
    command: Command
    arguments: BaseModel
    detached: bool = False


class Refused(ControlError):  # noqa: N818 - a refusal that carries the id it answers
    """A request that is not well formed; `id` is 0 when not even that could be read."""

    def __init__(self, request_id: int, external: str, fix: str = "") -> None:
        """Keep the id."""
        super().__init__(external, fix=fix)
        self.id = request_id


def read_request(line: bytes, table: CommandTable) -> Asked:
    """Give the request of one line; raise Refused for anything else."""
    request_id = 0
    try:
        found = json.loads(line)
        if not isinstance(found, dict) or not isinstance(found.get("id"), int):
            raise Refused(0, "A request is an object with a number as its id.")
        request_id = found["id"]
        if found.get("version") != VERSION:
            raise Refused(
                request_id,
                f"This switch speaks version {VERSION} of the control channel.",
                "Use the lumbung that belongs to the running switch.",
            )
        command = table.find(str(found.get("command")))
        arguments = command.arguments.model_validate(found.get("arguments", {}))
        return Asked(request_id, command, arguments, found.get("detached") is True)
    except (ValueError, RecursionError) as error:
        raise Refused(request_id, *fault_of(error)) from None
    except ControlError as error:
        if isinstance(error, Refused):
            raise
        raise Refused(request_id, error.external, error.fix) from None


def fault_of(error: Exception) -> tuple[str, str]:
    """Give what is wrong with a request, and how to mend it; no value of it is repeated."""
    if not isinstance(error, ValidationError):
        return "A request is one JSON object on one line.", ""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(str(p) for p in f['loc'])}: {mask_free_text(f['msg'])}" for f in faults[:8]]
    return f"The arguments do not fit: {'; '.join(told)}.", ""


def request_line(
    request_id: int, command: str, arguments: Mapping[str, Any], *, detached: bool = False
) -> bytes:
    """Give the line of a request; raise ControlError when it is too long.

    >>> request_line(1, "status", {})
    b'{"version": 1, "id": 1, "command": "status", "arguments": {}}\\n'
    """
    asked = {"version": VERSION, "id": request_id, "command": command, "arguments": arguments}
    line = json.dumps(asked | ({"detached": True} if detached else {})).encode() + b"\n"
    if len(line) > CONTROL_REQUEST_BYTES_MAX:
        raise ControlError(f"A request has at most {CONTROL_REQUEST_BYTES_MAX} bytes.")
    return line


def answer_line(request_id: int, kind: str, content: Mapping[str, Any]) -> bytes:
    """Give the line of an answer: `kind` is progress, result or error.

    Raises ControlError for a result that is too long: the job should have written a file.
    """
    line = json.dumps({"id": request_id, kind: content}, ensure_ascii=False).encode() + b"\n"
    if len(line) > CONTROL_ANSWER_BYTES_MAX:
        raise ControlError(f"The result has more than {CONTROL_ANSWER_BYTES_MAX} bytes.")
    return line
