"""`lumbung card serve`: a virtual card that another process reads."""

import asyncio
import contextlib
import ipaddress
import json
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from cardsim.transport import CardOnWire, CardWireError
from cardsim.transport_wire import Ending
from lumbung.cards import card_from, read_fault_plan
from protocols.errors import ConfigurationError

#: A card that left its reader is put back after this time, as a hand would.
PUT_BACK_S = 1.0
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=_FILE)
@click.option("--listen", default="", metavar="HOST:PORT", help="Loopback only; port 0 finds one.")
@click.option("--unix", "path", type=_FILE, help="A unix socket that only you can open.")
@click.option("--vpcd", default="", metavar="HOST:PORT", help="A vpcd that listens.")
@click.option("--faults", type=_FILE, help="A fault plan (docs/reference/card.md).")
@click.option("--contactless", is_flag=True, help="As in a contactless reader's field.")
@click.option("--trace", is_flag=True, help="Each exchange on standard error, masked.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def serve(
    file: Path, listen: str, path: Path | None, vpcd: str, faults: Path | None,
    contactless: bool, trace: bool, as_json: bool,
) -> None:  # fmt: skip
    """Offer the card in FILE to one reader at a time until Ctrl-C; every write is durable.

    Without an option it listens on a free port of loopback. The first line says where. A card
    that left its reader (torn, mute for too long) is put back after a second.
    """
    if sum(map(bool, (listen, path, vpcd))) > 1:
        raise click.UsageError("give one of --listen, --unix, --vpcd")
    plan = read_fault_plan(faults)

    def tell(where: str) -> None:
        said = {"card": str(file), "where": where}
        click.echo(json.dumps(said) if as_json else f"{file}: {where}")

    with card_from(file, faults=plan, trace=trace, contactless=contactless) as card:
        asyncio.run(_until_told(_serve(card, listen, path, vpcd, tell)))


async def _serve(
    card: CardOnWire, listen: str, path: Path | None, vpcd: str, tell: Callable[[str], None]
) -> None:
    try:
        if vpcd:
            await _stay_in_vpcd(card, *_address(vpcd, "--vpcd"), tell)
            return
        if path is not None:
            await card.listen_unix(path)
            tell(f"listening on {path}")
        else:
            host, port = _address(listen or "127.0.0.1:0", "--listen")
            _check_loopback(host)
            tell(f"listening on {host}:{await card.listen(host, port)}")
        while True:
            if await card.left() is not Ending.READER_GONE:
                await asyncio.sleep(PUT_BACK_S)
                card.insert()
    finally:
        await card.close()


async def _stay_in_vpcd(
    card: CardOnWire, host: str, port: int, tell: Callable[[str], None]
) -> None:
    await card.connect(host, port)
    tell(f"in the reader at {host}:{port}")
    while True:
        ending = await card.left()
        tell(ending.value)
        while True:
            try:
                await card.connect(host, port)
            except CardWireError:
                # pcscd was stopped; it may come back.
                await asyncio.sleep(PUT_BACK_S)
                continue
            tell(f"in the reader at {host}:{port}")
            break


async def _until_told(serving: Coroutine[Any, Any, None]) -> None:
    """Run until SIGINT or SIGTERM, which end it cleanly: every write was durable before."""
    task = asyncio.ensure_future(serving)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _address(text: str, option: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isdecimal() and int(port) < 65_536):
        raise click.BadParameter(f"{text!r} is not HOST:PORT", param_hint=option)
    return host.strip("[]"), int(port)


def _check_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigurationError(
            f"{host}: a card listens on loopback only; the wire has no protection of its own.",
            fix="Use 127.0.0.1 with a tunnel, or --unix PATH.",
        )
