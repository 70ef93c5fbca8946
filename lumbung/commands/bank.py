"""`lumbung bank run`: a bank's host for tests."""

import asyncio
import json
import signal
from pathlib import Path

import click

from lumbung.bank.host import BankHost
from lumbung.bank.table import AnswerTable, load_table
from lumbung.event_loop import run_loop


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True,
              help="Where to listen on loopback; 0 lets the system choose.")  # fmt: skip
@click.option("--answers", "file", type=click.Path(path_type=Path, dir_okay=False),
              help="A TOML table of answers; without it everything is approved.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def run(port: int, file: Path | None, as_json: bool) -> None:
    """Answer as a bank's host until Ctrl-C, then say what was answered.

    Each [[answer]] has mti, match = { element = "text" }, code, elements, delay_ms, times, and a
    fault: silent, late, twice, wrong-key, garbage, close. The first that fits decides; what fits
    none is approved. Sign-on, echo and cut-over are answered like everything else.
    """
    table = AnswerTable() if file is None else load_table(file)
    run_loop(_serve(BankHost(table, port=port), as_json=as_json))


async def _serve(host: BankHost, *, as_json: bool) -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with host:
        at = f"127.0.0.1:{host.port}"
        ready = {"listening": at, "spec": host.table.spec}
        click.echo(json.dumps(ready) if as_json else f"listening on {at}, spec {host.table.spec}")
        await told.wait()
    counts = dict(sorted(host.counts.items()))
    text = ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing was asked"
    click.echo(json.dumps({"answers": counts}) if as_json else text)
