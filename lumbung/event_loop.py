"""The event loop of long-running commands: uvloop where it is installed, asyncio's own otherwise.

Nothing depends on which one runs; uvloop halves what a message costs in the loop.
"""

import asyncio
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give what makes the loop, None for asyncio's default (no uvloop on Windows)."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


def run_loop(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a program's main coroutine to its end and give its result."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
