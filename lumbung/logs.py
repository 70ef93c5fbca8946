"""Where logs go: one file of JSON lines, masked by type and once more by the net.

Off the hot path (design decision 27): state changes, refusals, faults; what comes too often is
sampled, so that no peer fills the disk with its refusals. The net under the types
masks every run of 13 to 19 digits in any text, and turns every value that is not plain into its
own masked form before it is written.
"""

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from lumbung.system import SystemClock
from protocols.clock import Clock
from protocols.values import mask_free_text

#: Lines of one kind (event and code) at once, and a second: a day of them is some 15 MB, whoever
#: is the cause. Errors are always written; the switch's raw journal has every decision.
LINES_BURST, LINES_PER_SECOND = 500, 1.0
#: Kinds that are told apart; what is beyond shares one.
LINE_KINDS_MAX = 1_000
_SECOND_NS = 1_000_000_000


class Sampling:
    """Leaves out what comes too often, and says with the next line of its kind how much it was."""

    def __init__(self, clock: Clock) -> None:
        """Begin with every kind unseen."""
        self._clock = clock
        #: By kind: lines that may be written, since when, lines left out.
        self._kinds: dict[tuple[str, str], tuple[float, int, int]] = {}

    def __call__(self, _logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Give the event, or drop it."""
        if method in ("error", "critical", "exception"):
            return event
        kind = str(event.get("event", "")), str(event.get("code", ""))
        if kind not in self._kinds and len(self._kinds) >= LINE_KINDS_MAX:
            kind = "", ""
        now_ns = self._clock.monotonic_ns()
        left, since_ns, left_out = self._kinds.get(kind, (float(LINES_BURST), now_ns, 0))
        left = min(LINES_BURST, left + (now_ns - since_ns) / _SECOND_NS * LINES_PER_SECOND)
        if left < 1:
            self._kinds[kind] = left, now_ns, left_out + 1
            raise structlog.DropEvent
        self._kinds[kind] = left - 1, now_ns, 0
        return {**event, "left_out": left_out} if left_out else event


class LogFile:
    """The file of a log, written line by line. A full disk loses lines and never stops a sale.

    A file that was moved away or removed, as log rotation does, is begun anew at the next line.
    """

    def __init__(self, path: Path) -> None:
        """Open it behind what is there; raise OSError when that cannot be."""
        self._path = path
        self._file = path.open("ab", buffering=0)
        #: Lines that could not be written since the last that could.
        self.lost = 0

    def write(self, line: str) -> None:
        """Write a line, or count it; the next one that finds room is preceded by the count."""
        if self.lost:
            line = json.dumps({"event": "log lines lost", "lost": self.lost}) + "\n" + line
        try:
            self._follow()
            self._file.write(line.encode("utf-8"))
        except OSError:
            self.lost += 1
        else:
            self.lost = 0

    def _follow(self) -> None:
        """Open the path again when another file stands there, or none; raise OSError."""
        try:
            there = self._path.stat()
            ours = os.fstat(self._file.fileno())
            is_ours = (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            before, self._file = self._file, self._path.open("ab", buffering=0)
            before.close()

    def flush(self) -> None:
        """Do nothing: every line is written at once."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def mask_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give the event with every value safe to write.

    >>> mask_event(None, "info", {"event": "x", "told": "card 9360099912344821"})
    {'event': 'x', 'told': 'card ****4821'}
    """
    return {name: _safe(value) for name, value in event.items()}


def _safe(value: Any) -> Any:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if value < 10**12 else mask_free_text(str(value))
    if isinstance(value, (list, tuple)):
        return [_safe(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _safe(item) for name, item in value.items()}
    return mask_free_text(str(value))


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Send structlog's events to the file while the context lasts, one JSON object a line."""
    before = structlog.get_config()
    with closing(LogFile(path)) as file:
        structlog.configure(
            processors=[
                Sampling(SystemClock()),
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                mask_event,
                structlog.processors.JSONRenderer(),
            ],
            logger_factory=lambda *_: structlog.WriteLogger(cast(TextIO, file)),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)
