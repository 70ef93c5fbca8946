"""Tables in one test: every row runs, all that fail are shown. For rows that cost microseconds."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

Test = Callable[..., None]


def every_row(
    names: str | Sequence[str], table: Iterable[Any], ids: Sequence[str] | Callable[..., str] = ()
) -> Callable[[Test], Callable[[], None]]:
    """Run a test once for each row, as `pytest.mark.parametrize` with one item for all.

    A row that fails is named and the others still run; an error of another kind ends the test
    with the row noted. The test takes no fixture.
    """
    single = isinstance(names, str)
    rows = list(table)

    def name(number: int) -> str:
        if callable(ids):
            return ids(rows[number])
        return ids[number] if ids else repr(rows[number])

    def decorate(test: Test) -> Callable[[], None]:
        def run() -> None:
            failed = []
            for number, row in enumerate(rows):
                arguments = (row,) if single else row
                try:
                    test(*arguments)
                except (AssertionError, pytest.fail.Exception) as error:
                    failed.append(f"{name(number)}: {error}")
                except Exception as error:
                    error.add_note(f"row {name(number)}")
                    raise
            assert not failed, f"{len(failed)} of {len(rows)} rows:\n" + "\n".join(failed)

        run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
        return run

    return decorate
