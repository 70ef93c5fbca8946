"""`lumbung`: one command, sub-commands from the table, one way for errors to reach people.

Exit codes: 0 ok, 1 a check failed, 2 usage, 3 environment, 4 ledger integrity. An error is one
sentence that says what, where and how to mend; with --json it is an object on standard output.
"""

import json
import os
import sys

import click

from ledger.errors import LedgerCorruptError, LedgerError, LedgerRollbackError
from lumbung import __version__
from lumbung.command_table import TableGroup
from programme.errors import DisbursementError, DuplicateError, NotFoundError, RuleError
from protocols.errors import ConfigurationError, LumbungError

EXIT_CHECK_FAILED = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_INTEGRITY = 4
_FIX = "mend the disk or the rights and run it again"
#: The programme's "no": what was asked is against a rule or the books, the machine is sound.
_RULES = (RuleError, NotFoundError, DuplicateError, DisbursementError)


class _ReaderGoneError(Exception):
    """Whoever read our standard output went away (`| head`): its right, and no error of ours."""


class _Root(TableGroup):
    """The tree of commands. click itself would end a broken pipe as a check that failed."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGoneError from error


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lumbung")
def root() -> None:
    """EDC terminal simulator and transaction switch for a city food-assistance card."""


def main() -> None:
    """Run the command line; never shows a traceback for anything but a bug."""
    if not __debug__:
        # Assertions stop the process before doubtful money is posted; without them nothing does.
        click.echo("lumbung does not run with asserts disabled (-O, PYTHONOPTIMIZE)", err=True)
        sys.exit(EXIT_ENVIRONMENT)
    try:
        # Without stand-alone mode click hands the exit code of `Exit` back instead of leaving.
        left_with = root.main(prog_name="lumbung", standalone_mode=False)
        _finish_output()
        sys.exit(left_with if isinstance(left_with, int) else 0)
    except click.ClickException as error:
        if "--json" in sys.argv:
            _say_json("E-CL-0001", error.format_message(), "")
        error.show()
        sys.exit(EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped: what was acknowledged is on disk", err=True)
        sys.exit(130)
    except _ReaderGoneError:
        _give_up_output()
        sys.exit(0)
    except OSError as error:
        # What no command expected of the disk or the terminal: named, never a traceback.
        where = error.filename or "writing"
        _give_up_output_unless_it_is_taken()
        _fail("E-CL-0004", f"{where}: {error.strerror or error};", _FIX, EXIT_ENVIRONMENT)
    except LumbungError as error:
        _fail(error.code, error.external, error.fix, exit_code_of(error))
    except LedgerError as error:
        _fail(error.code, str(error), "", exit_code_of(error))


def _finish_output() -> None:
    """Write what is left now: at the interpreter's own end a full disk would be exit code 120."""
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise _ReaderGoneError from error


def _give_up_output_unless_it_is_taken() -> None:
    try:
        sys.stdout.flush()
    except OSError:  # It is what failed, or fails as well; the error on its way says so.
        _give_up_output()


def _give_up_output() -> None:
    """Drop what standard output does not take, which the interpreter would try to write again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_code_of(error: LumbungError | LedgerError) -> int:
    """Give the exit code for an operating error; the running switch may have given it already."""
    told = getattr(error, "exit_code", None)
    if isinstance(told, int):
        return told
    if isinstance(error, (LedgerCorruptError, LedgerRollbackError)):
        return EXIT_INTEGRITY
    if isinstance(error, (ConfigurationError, *_RULES)):
        return EXIT_CHECK_FAILED
    return EXIT_ENVIRONMENT


def _fail(code: str, what: str, fix: str, exit_code: int) -> None:
    if "--json" in sys.argv:
        try:
            _say_json(code, what, fix)
        except OSError:  # It is what failed; standard error still says so.
            _give_up_output()
    click.echo(f"{code} {what} {fix}".rstrip(), err=True)
    sys.exit(exit_code)


def _say_json(code: str, what: str, fix: str) -> None:
    click.echo(json.dumps({"error": {"code": code, "what": what, "fix": fix}}, ensure_ascii=False))
