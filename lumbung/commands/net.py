"""`lumbung net`: a line that breaks on purpose, between any terminal and any host."""

import asyncio
import ipaddress
import json
import signal
from collections.abc import Callable

import click

from lumbung.commands.terminal import HOST_OPTION
from lumbung.event_loop import run_loop
from lumbung.proxy import DELAY_SECONDS_MAX, Fault, FaultProxy, Moment, Rule, Side
from protocols.iso8583 import Codec, MessageError, load_spec, shipped_names
from switch.framings import FRAMINGS, framing_of


def parse_rule(text: str, *, side: Side, chooses: Callable[[Moment], bool], seconds: float) -> Rule:
    """Give the rule of `FAULT` or `FAULT:CHANCE`; raise click.BadParameter for anything else.

    >>> rule = parse_rule("drop:0.1", side=Side.REQUEST, chooses=bool, seconds=1)
    >>> rule.fault.value, rule.chance
    ('drop', 0.1)
    """
    name, _, chance = text.partition(":")
    try:
        fault, wanted = Fault(name), float(chance or 1)
    except ValueError:
        wanted, fault = -1.0, Fault.DROP
    if not 0 < wanted <= 1:
        names = ", ".join(fault.value for fault in Fault)
        raise click.BadParameter(
            f"{text!r} is not a fault, or a fault and a chance such as drop:0.1; faults: {names}",
            param_hint="--fault",
        )
    return Rule(fault, chooses, side, wanted, seconds=seconds)


def chooser(mti: str, spec: str) -> Callable[[Moment], bool]:
    """Give what chooses messages of one MTI, or every message for an empty one."""
    codec = Codec(load_spec(spec))

    def chooses(moment: Moment) -> bool:
        try:
            return not mti or codec.peek(moment.payload, ()).mti == mti
        except MessageError:
            return False

    return chooses


@click.command()
@HOST_OPTION
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True,
              help="Where to listen on loopback; 0 lets the system choose.")  # fmt: skip
@click.option("--fault", "faults", multiple=True, required=True, metavar="FAULT[:CHANCE]",
              help="Several may be given; the first that fits decides.")  # fmt: skip
@click.option("--mti", default="", help="Only messages with this MTI, such as 0200.")
@click.option("--side", type=click.Choice([s.value for s in Side]), default="request",
              show_default=True)  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, DELAY_SECONDS_MAX), default=1.0,
              show_default=True, help="How long a delay is.")  # fmt: skip
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--spec", type=click.Choice(shipped_names()), default="edc", show_default=True,
              help="How messages are written; their framing too, without --framing.")  # fmt: skip
@click.option("--framing", type=click.Choice(list(FRAMINGS)), help="Where a message ends.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def net(
    host: str, port: int, faults: tuple[str, ...], mti: str, side: str, seconds: float, seed: int,
    spec: str, framing: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Stand between terminals and a host and break the line until Ctrl-C; then say what was done.

    Faults: delay, drop, duplicate, reorder, split, corrupt, half-close, cut-before-send,
    cut-after-send, cut-after-reply. One seed does the same to the same messages.
    """
    address, _, target = host.rpartition(":")
    try:
        ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        target = ""
    if not target.isdecimal():
        raise click.BadParameter(f"{host!r} is not address:port", param_hint="--host")
    chooses = chooser(mti, spec)
    rules = [parse_rule(f, side=Side(side), chooses=chooses, seconds=seconds) for f in faults]
    proxy = FaultProxy(
        address.strip("[]"), int(target), rules, seed=seed, listen_port=port,
        frames=framing_of(framing or "", spec),
    )  # fmt: skip
    run_loop(_serve(proxy, host, as_json=as_json))


async def _serve(proxy: FaultProxy, host: str, *, as_json: bool) -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with proxy:
        at = f"127.0.0.1:{proxy.listen_port}"
        ready = {"listening": at, "host": host}
        click.echo(json.dumps(ready) if as_json else f"listening on {at}, passing on to {host}")
        await told.wait()
    counts = {fault.value: count for fault, count in sorted(proxy.counts.items())}
    text = ", ".join(f"{name} {count}" for name, count in counts.items()) or "nothing was broken"
    click.echo(json.dumps({"faults": counts}) if as_json else text)
