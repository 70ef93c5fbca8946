"""`lumbung terminal serve-register` and `lumbung register`: both ends of a cash register's line."""

import asyncio
import json
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from lumbung.attached import desk_of, pin_pad_option, print_on, printer_option
from lumbung.commands.terminal import (
    CARD_OPTION,
    HOST_OPTION,
    holder_of,
    logged_on,
    offices_of,
    place_of,
    terminal_options,
)
from lumbung.composition import Offices
from lumbung.network import check_loopback, host_and_port
from lumbung.register import CashRegister
from lumbung.story.cast import Holder
from lumbung.story.counter import Counter, typed
from lumbung.system import SystemClock
from lumbung.typed_input import TypedInput
from protocols.catalogue import text
from protocols.values import SEN_PER_RUPIAH, rupiah
from terminal.line import Line, LineDownError
from terminal.listening_line import ListeningLine
from terminal.register.book import RegisterBook
from terminal.register.messages import Code
from terminal.register.port import RegisterPort
from terminal.results import SaleResult
from terminal.serial_port import line_to

_LISTEN = "listen:"
#: A serial port whose device went away is tried again after this time.
_AGAIN_S = 1.0


@click.command("serve-register")
@click.argument("line")
@terminal_options
@HOST_OPTION
@printer_option
@pin_pad_option
@CARD_OPTION
def serve_register(
    line: str, directory: Path, terminal_id: str, host: str, card: int, as_json: bool
) -> None:
    """Sell what a cash register on LINE asks for, to the card that is there, until Ctrl-C.

    A card's number typed here changes the card (`t41` taps card 41); the first is --card. LINE is
    serial:PATH, serial:PATH@BITS or listen:HOST:PORT (loopback only; port 0 finds one).
    """
    with offices_of(directory) as offices:
        slot = _Slot(offices, holder_of(offices, card))

        async def serve() -> None:
            async with logged_on(offices, terminal_id, host) as counter:
                await _serve(line, counter, slot, as_json=as_json)

        asyncio.run(serve())


@dataclass(slots=True)
class _Slot:
    """Whose card is at the counter, and whether it is tapped."""

    offices: Offices
    who: Holder
    taps: bool = False

    async def follow(self, cashier: TypedInput) -> None:
        """Change the card to what is typed, to the end of the input."""
        while (line := await cashier.line()) is not None:
            taps = line.strip()[:1].lower() == "t"
            who = place_of(self.offices, line.strip()[taps:])
            if who is None:
                click.echo(text("refused.choice"), err=True)
                continue
            self.who, self.taps = who, taps
            click.echo(f"card {line.strip()}", err=True)


async def _serve(address: str, counter: Counter, slot: _Slot, *, as_json: bool) -> None:
    listening, where = None, address
    line: Line
    if address.startswith(_LISTEN):
        host, port = host_and_port(address.removeprefix(_LISTEN), "LINE")
        check_loopback(host, "a terminal's register port")
        line = listening = ListeningLine(host, port)
        where = f"tcp:{host}:{await listening.listen()}"
    else:
        line = line_to(address)
    terminal = counter.terminal
    folder = terminal.config.data_directory
    desk = desk_of(terminal)

    async def sell(amount_sen: int) -> SaleResult:
        who, taps = slot.who, slot.taps
        result = await terminal.buy(amount_sen, counter.slot(who), typed(who.pin), tap=taps)
        if desk is not None:
            notice = (await print_on(desk, terminal, result)).sentence()
            if notice:
                click.echo(notice, err=True)
        return result

    book = RegisterBook.open(folder / "register")
    serving = RegisterPort(line, terminal, book, sell, SystemClock())
    click.echo(json.dumps({"where": where}) if as_json else f"register port at {where}")
    sys.stdout.flush()
    task = asyncio.ensure_future(_again_and_again(serving))
    choosing = asyncio.ensure_future(slot.follow(TypedInput()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
    finally:
        choosing.cancel()
        serving.stop()
        if desk is not None:
            await desk.close()
        if listening is not None:
            listening.stop()


async def _again_and_again(serving: RegisterPort) -> None:
    while True:
        try:
            await serving.serve()
        except LineDownError:
            await asyncio.sleep(_AGAIN_S)


@click.command()
@click.argument("line")
@click.argument("reference")
@click.argument("amount", type=int, default=0)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def register(line: str, reference: str, amount: int, as_json: bool) -> None:
    """Be a cash register: ask the terminal on LINE for a sale of AMOUNT whole rupiah.

    REFERENCE is the register's name for the sale (1 to 20 letters and digits): asked again it gives
    the same result. Without AMOUNT: ask what became of it. Exit code 0 when sold, 1 when not.
    """
    if not (reference.isascii() and reference.isalnum() and len(reference) <= 20):
        raise click.BadParameter("1 to 20 letters and digits", param_hint="REFERENCE")
    if amount < 0:
        raise click.BadParameter("whole rupiah above 0", param_hint="AMOUNT")
    counter = CashRegister(line_to(line), SystemClock())
    try:
        if amount:
            answer = asyncio.run(counter.sale(reference, amount * SEN_PER_RUPIAH))
        else:
            answer = asyncio.run(counter.ask(reference))
    except TimeoutError as silent:
        raise LineDownError(
            f"{line}: the terminal gave no answer.",
            fix=f"Ask again with the same reference: lumbung register {line} {reference}",
        ) from silent
    if as_json:
        click.echo(json.dumps(asdict(answer)))
    elif answer.code is not Code.RESULT:
        click.echo(f"{reference}: {answer.code.name.lower()}")
    else:
        sold = f"Rp{rupiah(answer.amount_sen)}, trace {answer.trace}"
        click.echo(f"{reference}: {answer.outcome} {sold if answer.amount_sen else 'not sold'}")
    if not answer.amount_sen:
        raise click.exceptions.Exit(1)
