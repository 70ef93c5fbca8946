"""How far a long command is, on standard error: a bar for people, lines for programs and logs."""

import sys
from collections.abc import Callable

import click

#: Characters of a bar: label, bar and figures fit a terminal of 80 columns.
BAR_CHARACTERS = 30

#: Hears how far something is: (done, of).
Tell = Callable[[int, int], None]


def bar(done: int, of: int) -> str:
    """Give a bar of fixed width.

    >>> bar(5, 10)
    '[###############---------------]'
    """
    filled = BAR_CHARACTERS * done // of if of else BAR_CHARACTERS
    return "[" + "#" * filled + "-" * (BAR_CHARACTERS - filled) + "]"


def progress(what: str) -> Tell:
    """Give what tells how many of `what` are done: one line that is drawn again on a terminal."""
    is_terminal = sys.stderr.isatty()

    def tell(done: int, of: int) -> None:
        if is_terminal:
            # The cursor stays in front: whatever is said next begins on this line.
            click.echo(f"{bar(done, of)} {done:,} of {of:,} {what}\r", err=True, nl=done >= of)
        else:
            click.echo(f"{done:,} of {of:,} {what}", err=True)

    return tell
