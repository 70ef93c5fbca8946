"""Where logs go: one file of JSON lines, masked by type and once more by the net.

Off the hot path (design decision 27): state changes, refusals, faults. The net under the types
masks every run of 13 to 19 digits in any text, and turns every value that is not plain into its
own masked form before it is written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from protocols.values import mask_free_text


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
    with path.open("a", encoding="utf-8") as file:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                mask_event,
                structlog.processors.JSONRenderer(),
            ],
            logger_factory=structlog.WriteLoggerFactory(file=file),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)
