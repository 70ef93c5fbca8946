"""`lumbung switch run|check`."""

import asyncio
import contextlib
import errno
import gc
import json
import os
import resource
import signal
import sys
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import click
import structlog

from lumbung.cli import exit_code_of
from lumbung.composition import JOURNAL_KEY, Composition, compose
from lumbung.data_directory import DataDirectory, read_manifest
from lumbung.event_loop import run_loop
from lumbung.logs import log_to
from lumbung.switch_jobs import add_jobs
from lumbung.system import SystemClock, system_random
from protocols.clock import RandomBytes
from protocols.errors import LumbungError
from switch.admin import AdminServer
from switch.config import SwitchConfig, load
from switch.control import CommandTable
from switch.control_commands import add_standard_commands
from switch.control_server import ControlServer
from switch.journal import JournalWriter
from switch.rules import load_rules
from switch.server import SwitchServer
from switch.tls import client_context, server_context

_log = structlog.get_logger("switch")
#: Objects and passes between two collections: some hundred messages, not some ten.
_COLLECT_AFTER = (20_000, 50, 100)
#: Seconds after which a thread that runs Python lets another one run. The disk's thread has a word
#: to say when a batch is durable; at Python's own five milliseconds its answers wait that long.
_SWITCH_THREADS_AFTER = 0.000_5
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
FILE = click.Path(path_type=Path, dir_okay=False)


class SwitchNodeError(LumbungError):
    """The machine does not let the switch run: no address to listen on, or a lost disk."""

    code = "E-SW-0107"


@click.command()
@click.option("--data", "directory", type=click.Path(path_type=Path), required=True,
              help="A data directory, such as `lumbung demo --data` makes.")  # fmt: skip
@click.option("--config", "file", type=FILE, help="switch.toml; built-in settings without it.")
@click.option("--port", type=click.IntRange(0, 65535), help="Overrides the configuration.")
@JSON_OPTION
def run(directory: Path, file: Path | None, port: int | None, as_json: bool) -> None:
    """Run the switch on a data directory until Ctrl-C or SIGTERM; drains before it ends.

    Listens on loopback unless the configuration asks for more by name. The first line on standard
    output says where, once it is ready.
    """
    config = SwitchConfig() if file is None else load(file)
    _allow_files()
    if port is not None:
        config = config.model_copy(
            update={"listen": config.listen.model_copy(update={"port": port})}
        )
    manifest = read_manifest(directory)
    with ExitStack() as stack:
        data = stack.enter_context(
            DataDirectory.open(
                directory, kind=manifest.kind, seed=manifest.seed, created=manifest.created
            )
        )
        stack.enter_context(log_to(data.logs / "lumbung.log"))
        parts = stack.enter_context(compose(data, SystemClock(), _system_random_for))
        run_loop(_serve(parts, config, as_json=as_json))


def _allow_files() -> None:
    """Take as many open files as the system allows: each connection is one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _system_random_for(_part: str) -> RandomBytes:
    return system_random


async def _serve(parts: Composition, config: SwitchConfig, *, as_json: bool) -> None:
    journal = _open_journal(parts, config)
    server = SwitchServer(
        config, parts.registry, parts.keystore, parts.ledger, parts.data.switch_state,
        parts.clock, system_random, recorder=journal,
    )  # fmt: skip
    try:
        port = await server.start()
        settle_down()
    except OSError as error:
        where = f"{config.listen.host}:{config.listen.port}"
        raise SwitchNodeError(
            f"{where}: cannot listen ({os.strerror(error.errno or errno.EIO)}).",
            fix="Give another --port, or 0.",
        ) from error
    try:
        table = CommandTable()
        add_standard_commands(table, server)
        add_jobs(table, parts, server)
        async with AsyncExitStack() as stack:
            root, runner = parts.data.root, server.runner
            await stack.enter_async_context(ControlServer(root, table, runner, exit_code_of))
            if config.admin.port is not None:
                await stack.enter_async_context(AdminServer(server, config.admin.port))
            ready = {"listening": f"{config.listen.host}:{port}", "engine": parts.ledger.engine}
            text = f"listening on {ready['listening']}, ledger engine {ready['engine']}"
            click.echo(json.dumps(ready) if as_json else text)
            await _until_told(server)
    finally:
        await server.stop()
        if journal is not None:
            journal.close()
    if server.unfit_reason:
        raise SwitchNodeError(
            f"the switch stopped deciding: {server.unfit_reason}.",
            fix="Mend the disk, then start it again: what was acknowledged is kept.",
        )


def _open_journal(parts: Composition, config: SwitchConfig) -> JournalWriter | None:
    if not config.journal.enabled:
        return None
    key = parts.keystore.get(JOURNAL_KEY)
    try:
        return JournalWriter(parts.data.journal, key, config, parts.clock, system_random)
    except OSError as error:
        raise SwitchNodeError(
            f"{parts.data.journal}: no journal can be kept ({error.strerror}).",
            fix="Mend the disk, or set enabled = false in [journal].",
        ) from error


def settle_down() -> None:
    """Take what lives as long as the switch out of every later garbage collection, share finely.

    Registry and rules are most of the objects, and no message makes a cycle: a purchase costs a
    sixth less (`make bench SUITE=switch`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    sys.setswitchinterval(_SWITCH_THREADS_AFTER)


async def _until_told(server: SwitchServer) -> None:
    """Wait for a signal, and look each second whether the node has become unfit."""
    told = server.is_stop_wanted
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    reloads: set[asyncio.Task[None]] = set()
    loop.add_signal_handler(signal.SIGHUP, lambda: reloads.add(loop.create_task(_reload(server))))
    while not told.is_set() and not server.unfit_reason:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await told.wait()


async def _reload(server: SwitchServer) -> None:
    """Read the rules again (SIGHUP); a file with a fault is told in the log and changes nothing."""
    try:
        await server.reload_rules()
    except LumbungError as error:
        _log.error("rules not reloaded", code=error.code, why=error.external)


@click.command()
@click.argument("file", type=FILE)
@JSON_OPTION
def check(file: Path, as_json: bool) -> None:
    """Check a switch.toml: every fault with file:line, what is allowed and how to mend it."""
    config = load(file)
    load_rules(config.rules)
    for link in config.all_links:
        if link.tls is not None:
            server_context(link.tls)
    for host in config.hosts:
        if host.tls is not None:
            client_context(host.tls.authority, host.tls.own)
    listen = [f"{link.link} on {link.host}:{link.port}" for link in config.all_links]
    if as_json:
        click.echo(json.dumps({"valid": True, "node": config.node, "listen": listen}))
    else:
        click.echo(f"{file}: valid, node {config.node}, listens as {', '.join(listen)}")
