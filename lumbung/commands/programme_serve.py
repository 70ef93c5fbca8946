"""`lumbung programme serve DIR`: the administration interface, beside a running switch or alone."""

import asyncio
import errno
import ipaddress
import json
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from lumbung.admin_services import AdminServices
from lumbung.commands.programme_desk import DIRECTORY, JSON_OPTION, look_at_registry
from lumbung.event_loop import run_loop
from lumbung.logs import log_to
from programme.limits import (
    API_CONNECTIONS_MAX,
    API_DRAIN_SECONDS_MAX,
    API_HEAD_BYTES_MAX,
    API_IDLE_SECONDS_MAX,
    API_REQUESTS_BURST,
    API_REQUESTS_PER_SECOND,
    API_UNKNOWN_PER_SECOND,
)
from protocols.errors import ConfigurationError, LumbungError
from switch.buckets import TokenBuckets
from switch.config import TlsConfig
from switch.tls import server_context

FILE = click.Path(path_type=Path, dir_okay=False)


class ServeError(LumbungError):
    """The machine does not let the administration interface listen."""

    code = "E-CL-0003"


@click.command()
@click.argument("directory", type=DIRECTORY, metavar="DIR")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8480, show_default=True)
@click.option("--certificate", type=FILE, help="TLS: this server's certificate chain (PEM).")
@click.option("--key", type=FILE, help="TLS: the certificate's private key (PEM).")
@click.option("--allow-host", "names", multiple=True, help="A host name under which it is asked.")
@JSON_OPTION
def serve(
    directory: Path,
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    names: tuple[str, ...],
    as_json: bool,
) -> None:
    """Serve the administration interface of DIR until Ctrl-C or SIGTERM.

    Every act goes to the switch that runs on DIR; without one it is done here. Loopback by default;
    any other address needs TLS. Tokens: `lumbung programme token new`. /openapi.json describes it.
    """
    if (certificate is None) != (key is None):
        raise click.UsageError("TLS needs both --certificate and --key")
    if not _is_loopback(host) and certificate is None:
        raise click.UsageError(f"{host}: beyond loopback only with --certificate and --key")
    tls = _context(certificate, key)
    with ExitStack() as stack:
        parts = stack.enter_context(look_at_registry(directory))
        stack.enter_context(log_to(parts.data.logs / "programme.log"))
        listener = stack.enter_context(_listen(host, port))
        shown = f"[{host}]" if ":" in host else host
        scheme = "http" if tls is None else "https"
        at = f"{scheme}://{shown}:{listener.getsockname()[1]}"
        hosts = {shown.lower(), *(name.lower() for name in names)}
        if _is_loopback(host):
            hosts |= {"localhost", "127.0.0.1", "[::1]"}
        server = _Server(AdminServices(parts), hosts, tls)
        told = json.dumps({"listening": at}) if as_json else f"listening on {at}"
        run_loop(server.run(listener, told))


def _context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Give the context of this server's certificate; raise ConfigurationError for unfit files."""
    if certificate is None or key is None:
        return None
    return server_context(TlsConfig(certificate=certificate, key=key))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ServeError(
            f"{host}:{port}: cannot listen ({os.strerror(error.errno or errno.EIO)}).",
            fix="Give another --port, or 0.",
        ) from error
    with listener:
        yield listener


class _Server:
    """The HTTP server around the application."""

    def __init__(
        self, services: AdminServices, hosts: set[str], tls: ssl.SSLContext | None
    ) -> None:
        try:
            import uvicorn

            from programme.api.app import make_app, served
        except ImportError as error:
            raise ConfigurationError(
                f"the administration interface needs {error.name}, which is not installed.",
                fix="pip install 'lumbung[api]'",
            ) from error
        rates = TokenBuckets(API_REQUESTS_PER_SECOND, API_REQUESTS_BURST)
        unknown = TokenBuckets(API_UNKNOWN_PER_SECOND, API_UNKNOWN_PER_SECOND)
        self._app = make_app(services, rates, unknown)
        self._server = uvicorn.Server(
            uvicorn.Config(
                served(self._app, hosts), log_config=None, access_log=False, server_header=False,
                proxy_headers=False, http="h11", ws="none", lifespan="off",
                timeout_keep_alive=API_IDLE_SECONDS_MAX,
                timeout_graceful_shutdown=API_DRAIN_SECONDS_MAX,
                limit_concurrency=API_CONNECTIONS_MAX,
                h11_max_incomplete_event_size=API_HEAD_BYTES_MAX,
            )
        )  # fmt: skip
        self._tls = tls

    async def run(self, listener: socket.socket, told: str) -> None:
        """Say where it listens, and serve until a signal."""
        config, server = self._server.config, self._server
        config.load()
        # Ours: TLS 1.2 and above, and files that do not fit are told as every other fault.
        config.ssl = self._tls
        server.lifespan = config.lifespan_class(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        await server.startup(sockets=[listener])
        click.echo(told)
        try:
            await server.main_loop()
        finally:
            await server.shutdown(sockets=[listener])
            await asyncio.to_thread(self._app.state.reception.jobs.close)

    def _stop(self) -> None:
        self._server.should_exit = True
