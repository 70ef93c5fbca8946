"""Virtual cards from files, each held by one process, its state durable after every write."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from cardsim import Card, CardImage, CardImageError, FaultPlanError
from cardsim.faults import Fault, parse_faults
from cardsim.toml_text import read_text
from cardsim.trace import Trace
from cardsim.transport import CardOnWire
from lumbung.system import SystemClock, system_random


class EchoingTrace(Trace):
    """A trace that hands on each exchange as it comes, masked."""

    def __init__(self, name: str) -> None:
        """Put `name` before each line, on standard error."""
        super().__init__()
        self._name = name

    def _add(self, command: str, response: str, fault: str) -> None:
        """Keep the exchange and show it."""
        super()._add(command, response, fault)
        entry = self.entries[-1]
        struck = f"  ! {entry.fault}" if entry.fault else ""
        text = f"{self._name} {entry.number:5d} > {entry.command} < {entry.response}{struck}\n"
        os.write(2, text.encode())


def read_fault_plan(file: Path | None) -> tuple[Fault, ...]:
    """Give the faults of a plan; none without a file. Raises FaultPlanError with file:line."""
    if file is None:
        return ()
    return parse_faults(read_text(file, "fault plan", FaultPlanError), str(file))


@contextlib.contextmanager
def card_from(
    file: Path, *, faults: tuple[Fault, ...], trace: bool, contactless: bool = False
) -> Iterator[CardOnWire]:
    """Give the card of an image file for a reader, and hold the file until the block ends.

    Raises CardImageError for a file that is no card, or whose card is in another process's
    reader: two copies of one card would use the same counter twice.
    """
    with held_image(file) as image:
        yield CardOnWire(
            Card(image, SystemClock(), system_random),
            persist=lambda changed: changed.save(file),
            faults=faults,
            trace=EchoingTrace(file.stem) if trace else None,
            contactless=contactless,
        )


@contextlib.contextmanager
def held_image(file: Path) -> Iterator[CardImage]:
    """Give the image of a file that nobody else uses until the block ends; raise as `card_from`."""
    with _held(file):
        yield CardImage.load(file)


@contextlib.contextmanager
def _held(file: Path) -> Iterator[None]:
    # The image is replaced at every write, so the lock needs a file of its own beside it.
    path = file.with_name(f".{file.name}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CardImageError(
            f"{file}: the card cannot be held ({error.strerror}).",
            fix="Give a file in a folder of yours; its state is written there.",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CardImageError(
                f"{file}: this card is in another reader.", fix="Take it out there first."
            ) from None
        # It stays where it is: removing it would let two hold locks on two files of this name.
        yield
    finally:
        os.close(descriptor)
