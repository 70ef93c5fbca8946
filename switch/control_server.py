"""Serves the control channel: reads lines, runs quick commands, queues jobs, tells progress."""

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from ledger.errors import LedgerError
from programme.errors import ProgrammeError
from protocols.catalogue import LANGUAGES
from protocols.errors import LumbungError
from switch.control import (
    SOCKET_NAME,
    Asked,
    CommandTable,
    ControlError,
    ExitCodes,
    Refused,
    answer_line,
    read_request,
)
from switch.control_socket import listen, peer_user
from switch.job_runner import Job, JobContext, JobRunner, JobState
from switch.limits import (
    CONTROL_CONNECTIONS_MAX,
    CONTROL_IDLE_SECONDS_MAX,
    CONTROL_REQUEST_BYTES_MAX,
)

_log = structlog.get_logger("switch")


class ControlServer:
    """The channel of one node. Use as an async context manager, inside the node's life."""

    def __init__(
        self, directory: Path, table: CommandTable, runner: JobRunner, exit_codes: ExitCodes
    ) -> None:
        """Take the locked data directory, what may be asked, and who runs jobs."""
        self._directory = directory
        self._table = table
        self._runner = runner
        self._exit_codes = exit_codes
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "ControlServer":
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listen(self._directory), limit=CONTROL_REQUEST_BYTES_MAX
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        (self._directory / SOCKET_NAME).unlink(missing_ok=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        is_ours = peer_user(sock) in (0, os.geteuid())
        if not is_ours or len(self._writers) >= CONTROL_CONNECTIONS_MAX:
            _log.warning("control connection refused", open=len(self._writers), ours=is_ours)
            writer.close()
            return
        self._writers.add(writer)
        try:
            # A peer that leaves or is silent too long ends its connection and nothing else.
            with suppress(OSError, TimeoutError):
                while await self._serve_one(reader, writer):
                    pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tell whether the connection goes on."""
        try:
            async with asyncio.timeout(CONTROL_IDLE_SECONDS_MAX):
                line = await reader.readline()
        except ValueError:
            too_long = ControlError(f"A request has at most {CONTROL_REQUEST_BYTES_MAX} bytes.")
            await self._send(writer, 0, "error", self._told(too_long))
            return False
        if not line.endswith(b"\n"):
            return False
        try:
            asked = read_request(line, self._table)
        except Refused as error:
            await self._send(writer, error.id, "error", self._told(error, exit_code=2))
            return True
        try:
            result = await self._run(asked, writer)
        except (LumbungError, LedgerError) as error:
            await self._send(writer, asked.id, "error", self._told(error))
        else:
            await self._send(writer, asked.id, "result", result)
        return True

    async def _run(self, asked: Asked, writer: asyncio.StreamWriter) -> Mapping[str, Any]:
        command = asked.command
        _log.info("control", command=command.name)
        if command.quick is not None:
            return await command.quick(asked.arguments)
        function = command.job
        assert function is not None

        def run(context: JobContext) -> Mapping[str, Any]:
            return function(context, asked.arguments)

        job = self._runner.submit(command.name, run)
        if asked.detached:
            return job.as_json()
        return await self._follow(job, asked.id, writer)

    async def _follow(
        self, job: Job, request_id: int, writer: asyncio.StreamWriter
    ) -> Mapping[str, Any]:
        """Tell how far a job is until it ends; it goes on when the asker leaves."""
        told: tuple[JobState, int] | None = None
        while not job.is_over:
            if told != (job.state, job.done):
                told = (job.state, job.done)
                await self._send(writer, request_id, "progress", job.as_json())
            await job.wait()
        if job.error is not None:
            raise job.error
        return job.result

    async def _send(
        self, writer: asyncio.StreamWriter, request_id: int, kind: str, content: Mapping[str, Any]
    ) -> None:
        try:
            line = answer_line(request_id, kind, content)
        except ControlError as error:
            line = answer_line(request_id, "error", self._told(error))
        writer.write(line)
        await writer.drain()

    def _told(self, error: LumbungError | LedgerError, exit_code: int = 0) -> dict[str, Any]:
        what, fix = str(error), ""
        if isinstance(error, LumbungError):
            what, fix = error.external, error.fix
        code = exit_code or self._exit_codes(error)
        told = {"code": error.code, "what": what, "fix": fix, "exit_code": code}
        if isinstance(error, ProgrammeError) and error.key:
            told["said"] = {lang: error.said(lang) for lang in LANGUAGES}
        return told
