"""`lumbung load run|compare`."""

import ipaddress
import json
from pathlib import Path

import click

from lumbung.commands.terminal import HOST_OPTION
from lumbung.composition import open_offices
from lumbung.data_directory import DataDirectory
from lumbung.event_loop import run_loop
from lumbung.load.limits import CONNECTIONS_MAX, SECONDS_MAX
from lumbung.load.report import compare as compare_reports
from lumbung.load.report import read_report
from lumbung.load.run import LoadPlan, run_load
from lumbung.load.schedule import LoadError, Profile
from lumbung.system import SystemClock, system_random
from protocols.values import SEN_PER_RUPIAH

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.option("--data", "directory", type=click.Path(path_type=Path), required=True,
              help="The story directory that the switch runs on.")  # fmt: skip
@HOST_OPTION
@click.option("--rate", type=click.FloatRange(0, min_open=True), default=100.0, show_default=True,
              help="Purchases a second.")  # fmt: skip
@click.option("--for", "seconds", type=click.FloatRange(0, SECONDS_MAX, min_open=True),
              default=5.0, show_default=True, help="Seconds.")  # fmt: skip
@click.option("--connections", type=click.IntRange(1, CONNECTIONS_MAX), default=16,
              show_default=True)  # fmt: skip
@click.option("--profile", type=click.Choice([p.value for p in Profile]), default="steady",
              show_default=True)  # fmt: skip
@click.option("--amount", type=click.IntRange(1), default=1, show_default=True,
              help="Whole rupiah of each purchase.")  # fmt: skip
@click.option("--seed", type=int, default=7, show_default=True, help="Of the Poisson arrivals.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
def run(
    directory: Path, host: str, rate: float, seconds: float, connections: int, profile: str,
    amount: int, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Load a running switch with real purchases, sent by the clock; exit code 0 on PASS, else 1.

    PASS: at least 99 % of the offered rate achieved, every message answered under a good MAC,
    approved answers and postings one to one, no card below zero, all equations true. Loopback only.
    """
    address, port = _loopback(host)
    data = DataDirectory.beside(directory)
    if data.manifest.seed is None:
        raise LoadError(f"{directory}: a real programme's cards are not for load runs.",
                        fix="Make a story: lumbung demo --data DIRECTORY")  # fmt: skip
    plan = LoadPlan(
        address, port, rate, seconds, connections, Profile(profile), amount * SEN_PER_RUPIAH, seed
    )
    with open_offices(data, SystemClock(), lambda _part: system_random) as offices:
        report = run_loop(run_load(offices, plan, lambda text: click.echo(text, err=as_json)))
    click.echo(json.dumps(report.as_json(), indent=1) if as_json else "\n".join(report.lines()))
    if report.verdict != "PASS":
        raise click.exceptions.Exit(1)


def _loopback(host: str) -> tuple[str, int]:
    address, _, port = host.rpartition(":")
    try:
        is_loopback = ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback or not port.isdecimal():
        raise click.BadParameter(
            f"{host!r} is not a loopback address:port such as 127.0.0.1:8583", param_hint="--host"
        )
    return address.strip("[]"), int(port)


@click.command()
@click.argument("first", type=FILE)
@click.argument("second", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def compare(first: Path, second: Path, as_json: bool) -> None:
    """Compare two reports of `load run --json`, figure by figure."""
    rows = compare_reports(read_report(first), read_report(second))
    if as_json:
        values = [{"figure": name, "first": a, "second": b} for name, a, b in rows]
        click.echo(json.dumps(values))
        return
    click.echo(f"{'figure':<26} {'first':>12} {'second':>12}  ratio")
    for name, a, b in rows:
        ratio = f"{b / a:.2f}" if a else "-"
        click.echo(f"{name:<26} {a:>12,.1f} {b:>12,.1f}  {ratio}")
