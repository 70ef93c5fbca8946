"""What a list of people means against the registry: who is known, who clashes, who changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from programme.errors import DuplicateError


@dataclass(frozen=True, slots=True)
class Clash:
    """Why a person may not be registered: `index` in the list given, and the column to blame.

    `other` is the index of the other person in the list, or, when `registered`, the number of the
    recipient whom the registry has.
    """

    index: int
    column: str
    other: int
    registered: bool


class ClashError(DuplicateError):
    """Some people may not be registered; nothing was."""

    def __init__(self, clashes: Sequence[Clash]) -> None:
        """Keep the clashes; the text names the rows of the first ten."""
        rows = ", ".join(str(clash.index + 1) for clash in clashes[:10])
        key, values = "programme.clashes", {"count": str(len(clashes)), "rows": rows}
        said = str(DuplicateError.of(key, **values))
        super().__init__(said, key=key, values=dict(values))
        self.clashes = tuple(clashes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a list of people means against the registry: nothing is written to learn it.

    `numbers` holds the recipient's number of each person, None for a new one; `changed` the
    columns that differ, by index in the list.
    """

    numbers: tuple[int | None, ...]
    clashes: tuple[Clash, ...]
    changed: dict[int, tuple[str, ...]]
