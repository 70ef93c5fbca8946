"""`lumbung pcsc exec`: any PC/SC program, our cards, no hardware, nothing left behind."""

import asyncio
import contextlib
import json
import signal
from contextlib import ExitStack
from pathlib import Path

import click

from cardsim.transport import CardOnWire
from lumbung.cards import card_from, read_fault_plan
from lumbung.pcsc import READERS_MAX, PrivatePcscd

#: A reader looks for cards every 0.4 s; a busy machine may take longer.
SEEN_S = 5.0
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.option("--card", "cards", type=_FILE, multiple=True, help="A card image; once per card.")
@click.option("--readers", type=click.IntRange(1, READERS_MAX),
              help="Without it one per card; those without a card stay empty.")  # fmt: skip
@click.option("--faults", type=_FILE, help="A fault plan for every card (docs/reference/card.md).")
@click.option("--contactless", is_flag=True, help="The readers are contactless ones.")
@click.option(
    "--one-core",
    is_flag=True,
    help="COMMAND keeps to the one reader's processor core: quick on an idle machine.",
)
@click.option("--trace", is_flag=True, help="Each exchange on standard error, masked.")
@click.option("--json", "as_json", is_flag=True,
              help="Readers and exit code as one object on standard error.")  # fmt: skip
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(
    cards: tuple[Path, ...], readers: int | None, faults: Path | None,
    contactless: bool, one_core: bool, trace: bool, as_json: bool, command: tuple[str, ...],
) -> None:  # fmt: skip
    """Run COMMAND with a private pcscd whose readers hold the given cards.

    The daemon and its readers are in namespaces of their own and end with the command, whose exit
    code is ours. The command keeps the machine's network. Exit code 3 when this machine has no
    pcscd or forbids namespaces.
    """
    count = readers if readers is not None else max(1, len(cards))
    if len(cards) > count:
        raise click.UsageError(f"{len(cards)} cards do not fit {count} readers")
    if one_core and count > 1:
        raise click.UsageError("--one-core is for one reader")
    plan = read_fault_plan(faults)
    with ExitStack() as held:
        inside = [
            held.enter_context(card_from(file, faults=plan, trace=trace, contactless=contactless))
            for file in cards
        ]
        names, code = asyncio.run(_execute(inside, count, list(command), one_core=one_core))
    if as_json:
        click.echo(json.dumps({"readers": names, "exit": code}), err=True)
    if code:
        raise click.exceptions.Exit(code)


async def _execute(
    cards: list[CardOnWire], readers: int, command: list[str], *, one_core: bool
) -> tuple[list[str], int]:
    async with PrivatePcscd(readers) as daemon:
        loop = asyncio.get_running_loop()
        # Ctrl-C reaches the command by itself, which decides; SIGTERM is for us to hand on.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, daemon.signal, signal.SIGTERM)
        stays = [
            asyncio.ensure_future(_stay(card, daemon, place)) for place, card in enumerate(cards)
        ]
        core = daemon.core if one_core else None
        run = asyncio.ensure_future(_run_when_seen(daemon, cards, command, core))
        try:
            await asyncio.wait([*stays, run], return_when=asyncio.FIRST_COMPLETED)
            for stay in stays:
                if stay.done():
                    await stay  # it only ends by what went wrong: a write that was not durable
            return list(daemon.reader_names), await run
        finally:
            for task in (*stays, run):
                task.cancel()
            await asyncio.gather(*stays, run, return_exceptions=True)
            for card in cards:
                await card.close()


async def _run_when_seen(
    daemon: PrivatePcscd, cards: list[CardOnWire], command: list[str], core: int | None
) -> int:
    # A faulty card may never be seen: the command finds the reader as it is then.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SEEN_S):
            for card in cards:
                await card.seen.wait()
    return await daemon.run(command, core=core)


async def _stay(card: CardOnWire, daemon: PrivatePcscd, reader: int) -> None:
    """Keep a card in its reader: put it back whenever it left, after a second as a hand would."""
    while True:
        await card.attach(lambda: daemon.connect(reader), core=daemon.core)
        await card.left()
