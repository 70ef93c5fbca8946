"""`lumbung demo`: the whole story on real parts."""

import json
import signal
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from lumbung import __version__
from lumbung.data_directory import DataDirectory
from lumbung.doctor import native_cores
from lumbung.logs import log_to
from lumbung.story.outcome import Step
from lumbung.story.run import run, story_created


def _sayer(as_json: bool) -> Callable[[str], None]:
    """Give where progress goes: with --json to standard error, so that the object stands alone."""

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    return say


@click.command()
@click.option("--seed", type=click.IntRange(0, (1 << 31) - 1), default=7, show_default=True,
              help="Decides cards, PINs, ids: the same seed plays the same story.")  # fmt: skip
@click.option("--data", "directory", type=click.Path(path_type=Path),
              help="Keep the data here, and go on with the next day there. Default: a new "
              "temporary directory that is removed afterwards.")  # fmt: skip
@click.option("--once", is_flag=True, help="Play one day and end (the demo always does).")
@click.option("--events", is_flag=True, help="Each step as one JSON line, as soon as it stands.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def demo(seed: int, directory: Path | None, once: bool, events: bool, as_json: bool) -> None:
    """Play the story: decree, disbursement, sales, refusals, lost answers; verify the ledger.

    Everything is real: chips with cryptograms, ISO 8583 over TCP, a durable ledger. No service, no
    root, no network. Exit code 0 when everything is as it must be, else 1.
    """
    del once  # kept for scripts that want to say so
    # Told to end, it ends as with Ctrl-C: the temporary directory is removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        if directory is None:
            # A ledger stopped in the middle may still be laying out its next file while we leave.
            held = tempfile.TemporaryDirectory(prefix="lumbung-demo-", ignore_cleanup_errors=True)
            directory = Path(stack.enter_context(held))
        data = stack.enter_context(
            DataDirectory.open(directory, kind="story", seed=seed, created=story_created())
        )
        stack.enter_context(log_to(data.logs / "lumbung.log"))
        say = _sayer(as_json or events)
        cores = ", ".join(
            f"{name} {'native' if there else 'pure Python'}"
            for name, there in native_cores().items()
        )
        say(f"lumbung {__version__}, seed {data.manifest.seed}, cores: {cores}")
        say(f"data {data.root} ({'new' if data.fresh else 'recovered, the next business day'})")

        def tell(step: Step) -> None:
            click.echo(json.dumps(step.as_json())) if events else say(step.line())

        outcome = run(data, say, tell)
        if as_json:
            click.echo(json.dumps(outcome.as_json(), ensure_ascii=False, indent=1))
        else:
            say(f"\n{outcome.receipt}\n")
            say("\n".join(outcome.summary()))
    if not outcome.ok:
        raise click.exceptions.Exit(1)
