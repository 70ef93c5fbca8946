"""A terminal worked line by line: by a script, in a pipe, or where no window can be drawn."""

import asyncio
import json
import signal

import click

from lumbung.attached import catch_up, desk_of, print_on
from lumbung.faces import CardOf, LineFace
from lumbung.result_values import result_values
from lumbung.typed_input import TypedInput
from protocols.catalogue import text
from terminal.attended import AttendedTerminal, choice_of
from terminal.printing.desk import PrintDesk, PrintReport
from terminal.purchase.table import FlowEvent, FlowState
from terminal.results import SaleResult


async def work_by_lines(terminal: AttendedTerminal, card_of: CardOf, *, as_json: bool) -> int:
    """Serve one menu choice after the other to the end of the input; 1 when one was refused.

    Ctrl-C ends it at once where nothing is on its way; while money may be, it only says so.
    """
    desk = desk_of(terminal)
    serving = asyncio.ensure_future(_serve(terminal, card_of, desk, as_json=as_json))
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if terminal.flow.can_cancel:
            serving.cancel()
        else:
            click.echo(text("menu.not_now", terminal.config.lang), err=True)

    loop.add_signal_handler(signal.SIGINT, interrupted)
    try:
        return await serving
    except asyncio.CancelledError:
        raise click.Abort from None
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        if desk is not None:
            await desk.close()
        await terminal.close()


async def _serve(
    terminal: AttendedTerminal, card_of: CardOf, desk: PrintDesk | None, *, as_json: bool
) -> int:
    refused, lang = 0, terminal.config.lang
    face = LineFace(TypedInput(), card_of, _say_nothing if as_json else None)
    if desk is not None:
        _tell(await catch_up(terminal, desk), terminal)
    while (line := await face.choice(terminal.flow)) is not None:
        event = choice_of(line.strip())
        if event is None or _is_off_duty(terminal, event):
            key = "refused.choice" if event is None else "flow.signed_off"
            click.echo(text(key, lang), err=True)
            refused = 1
            continue
        result = await terminal.serve(event, face)
        for ended in terminal.came_to_end():
            click.echo(ended.detail, err=True)
        if result is not None:
            refused |= not result.approved
            _print(result, as_json=as_json)
            if desk is not None:
                _tell(await print_on(desk, terminal, result), terminal)
    return refused


def _tell(report: PrintReport, terminal: AttendedTerminal) -> None:
    """Say what is to be done about the printer, beside the results."""
    sentence = report.sentence(terminal.config.lang)
    if sentence:
        click.echo(sentence, err=True)


def _is_off_duty(terminal: AttendedTerminal, event: FlowEvent) -> bool:
    return terminal.flow.state is FlowState.OFF_DUTY and event is not FlowEvent.LOG_ON


def _print(result: SaleResult, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result_values(result), ensure_ascii=False))
        return
    click.echo(result.receipt_pembeli or result.receipt_toko)
    if result.detail:
        click.echo(result.detail)


def _say_nothing(_screen: str) -> None:
    """With --json only results are printed."""
