"""The admin port: Prometheus metrics and health, plain HTTP on loopback, GET only.

`/metrics`; `/health/live` (the loop answers), `/health/ready` (purchases can be decided),
`/health` (both, and what is degraded, as JSON). 200 for yes, 503 for no.
"""

import asyncio
import json
from contextlib import suppress

import structlog

from switch.limits import ADMIN_CONNECTIONS_MAX, ADMIN_REQUEST_BYTES_MAX, ADMIN_SECONDS_MAX
from switch.metrics import exposition
from switch.server import SwitchServer

_log = structlog.get_logger("switch")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class AdminServer:
    """Answers for one node. Use as an async context manager, inside the node's life."""

    def __init__(self, server: SwitchServer, port: int) -> None:
        """Take the node and the port; 0 lets the system choose."""
        self._switch = server
        self.port = port
        self._open = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "AdminServer":
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=ADMIN_REQUEST_BYTES_MAX
        )
        self.port = self._server.sockets[0].getsockname()[1]
        _log.info("admin", port=self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            # A peer that leaves, drips or talks too long gets no answer, and that is all it gets.
            with suppress(
                OSError, TimeoutError, asyncio.LimitOverrunError, asyncio.IncompleteReadError
            ):
                async with asyncio.timeout(ADMIN_SECONDS_MAX):
                    head = await reader.readuntil(b"\r\n\r\n")
                    is_room = self._open <= ADMIN_CONNECTIONS_MAX
                    status, kind, body = self._answer(head) if is_room else _BUSY
                    writer.write(_response(status, kind, body, is_head=head.startswith(b"HEAD ")))
                    await writer.drain()
        finally:
            self._open -= 1
            writer.close()

    def _answer(self, head: bytes) -> tuple[int, str, str]:
        method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return 405, _TEXT, "GET only\n"
        if not _is_local(head):
            return 421, _TEXT, "this host is not served here\n"
        switch = self._switch
        if path == b"/metrics":
            return 200, _TEXT, metrics_text(switch)
        if path == b"/health/live":
            return 200, _TEXT, "live\n"
        if path == b"/health/ready":
            return (200, _TEXT, "ready\n") if switch.ready else (503, _TEXT, "not ready\n")
        if path == b"/health":
            found = health(switch)
            return 200 if switch.ready else 503, "application/json", json.dumps(found) + "\n"
        return 404, _TEXT, "there are /metrics, /health, /health/live, /health/ready\n"


def health(switch: SwitchServer) -> dict[str, object]:
    """Give live, ready, and what is degraded: it works, and somebody should look."""
    metrics = switch.metrics
    reasons = []
    if switch.unfit_reason:
        reasons.append(f"unfit: {switch.unfit_reason}")
    if switch.is_draining:
        reasons.append("draining")
    if metrics.is_full:
        reasons.append("the ledger has no room: work was refused with 96")
    if metrics.is_registry_stale:
        reasons.append("the registry's changes cannot be read")
    trouble = switch.node.core.desk.reader.housekeeping_error
    if trouble:
        reasons.append(f"the ledger's housekeeping: {trouble}")
    dropped = switch.recorder.dropped if switch.recorder is not None else 0
    if dropped:
        reasons.append(f"{dropped} journal records were dropped")
    short_hours = switch.recorder.short_hours if switch.recorder is not None else 0.0
    if short_hours:
        reasons.append(f"the journal reached back {short_hours:.1f} hours: it is flooded or small")
    return {"live": True, "ready": switch.ready, "degraded": reasons}


def metrics_text(switch: SwitchServer) -> str:
    """Give what Prometheus reads."""
    core, metrics, recorder = switch.node.core, switch.metrics, switch.recorder
    gauges: dict[str, float] = {
        "in_flight": core.under_way,
        "unfit": bool(core.unfit_reason),
        "draining": switch.is_draining,
        "ledger_full": metrics.is_full,
        "refused_connections": metrics.refused_connections,
        "messages": metrics.messages,
        "ledger_sequence": core.desk.reader.last_sequence,
        "jobs_waiting": sum(1 for job in switch.runner.jobs.values() if not job.is_over),
        "journal_dropped": recorder.dropped if recorder is not None else 0,
        "journal_short_hours": recorder.short_hours if recorder is not None else 0,
        "journal_queued": recorder.queued if recorder is not None else 0,
    }
    return exposition(metrics, switch.counters, gauges, switch.connections_by_link)


def _is_local(head: bytes) -> bool:
    """Tell whether the request names this machine: a page of elsewhere must not read it."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"host":
            host = value.strip().rpartition(b":")[0] or value.strip()
            return host in (b"127.0.0.1", b"localhost", b"[::1]")
    return True


_BUSY = (503, _TEXT, "busy\n")
_REASONS = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 421: "Misdirected Request",
            503: "Service Unavailable"}  # fmt: skip


def _response(status: int, kind: str, body: str, *, is_head: bool) -> bytes:
    raw = body.encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(raw)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if is_head else raw)
