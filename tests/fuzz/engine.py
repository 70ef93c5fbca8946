"""A small fuzzer that needs nothing: seeded mutation, guided by the lines that an input reaches.

Theory of operation. A pool begins with the target's corpus. Each turn takes one input of it,
changes it in a few places and runs the target. With guidance on, Python's tracer notes which lines
of ours ran; an input that reaches a new line joins the pool. Everything follows from the seed, so a
failure is found again by the same seed and count. `atheris`, where installed, is faster;
`scripts/fuzz.py` prefers it. The tracer sees no line of the native core. There the twins guide each
other: a target runs both on one input and compares them, so an input that is new to the Python
code is tried on the Rust code too. With `native` the core's own branches guide as well.
"""

import random
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from tests.fuzz.targets import Target

#: Longest input: twice the largest example, so that limits are passed now and then.
INPUT_BYTES_MAX = 8_192
#: Inputs kept; beyond it a new one takes the place of an old one at random.
POOL_MAX = 2_000
#: Attempts at making a failing input smaller.
SHRINK_RUNS_MAX = 400

#: Gives the numbers of the native core's branches that ran since it was asked last.
Branches = Callable[[], list[int]]

#: Bytes that lengths, tags, control characters and packed digits turn on.
_INTERESTING = bytes.fromhex("000102030405060f151f2030393d7f8081828499bfdffeff")
_WATCHED = ("/protocols/", "/programme/")
#: What stands for a file's name in what a run of the native core has reached.
NATIVE = "native core"


@dataclass(frozen=True, slots=True)
class Failure:
    """An input that breaks a law, made small, and the trace of how."""

    data: bytes
    trace: str


@dataclass(frozen=True, slots=True)
class Result:
    """What one session did."""

    runs: int
    pool: int
    lines: int
    failure: Failure | None


def fuzz(
    target: Target,
    seed: int,
    runs_max: int,
    goes_on: Callable[[], bool],
    guided: bool,
    guard: Callable[[], Any] | None = None,
    native: Branches | None = None,
) -> Result:
    """Run a target on its corpus and `runs_max` mutations of it, while `goes_on` says so.

    `guard` gives a context manager around each run that raises when a run takes too long.
    `native` lets the branches of the native core guide beside the lines.
    """
    chance = random.Random(f"{target.name}/{seed}")
    pool = target.corpus()
    lines: set[tuple[str, int]] = set()
    waiting = list(pool)
    for count in range(runs_max + len(pool)):
        if not goes_on():
            return Result(count, len(pool), len(lines), None)
        data = waiting.pop() if waiting else mutated(chance, pool)
        reached, trace = run_once(target, data, guided, guard)
        if native is not None:
            reached.update((NATIVE, branch) for branch in native())
        if trace:
            return Result(count + 1, len(pool), len(lines), _small(target, data, trace, guard))
        if reached - lines:
            lines |= reached
            if len(pool) < POOL_MAX:
                pool.append(data)
            else:
                pool[chance.randrange(POOL_MAX)] = data
    return Result(runs_max, len(pool), len(lines), None)


def run_once(
    target: Target, data: bytes, guided: bool, guard: Callable[[], Any] | None = None
) -> tuple[set[tuple[str, int]], str]:
    """Run one input; give the lines that it reached and, when it failed, the trace."""
    reached: set[tuple[str, int]] = set()
    try:
        with (guard or _no_guard)(), _tracing(reached) if guided else _no_guard():
            target.run(data)
    except Exception as error:  # noqa: BLE001 - any exception is the find
        return reached, "".join(traceback.format_exception(error))
    return reached, ""


@contextmanager
def _no_guard() -> Iterator[None]:
    yield


@contextmanager
def _tracing(reached: set[tuple[str, int]]) -> Iterator[None]:
    def local(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return local

    def start(frame: FrameType, event: str, argument: object) -> Any:
        name = frame.f_code.co_filename
        return local if any(part in name for part in _WATCHED) else None

    before = sys.gettrace()
    sys.settrace(start)
    try:
        yield
    finally:
        sys.settrace(before)


def mutated(chance: random.Random, pool: list[bytes]) -> bytes:
    """Give an input of the pool changed in one to five places."""
    data = bytearray(chance.choice(pool))
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        _change(chance, data, pool)
    return bytes(data[:INPUT_BYTES_MAX])


def _change(chance: random.Random, data: bytearray, pool: list[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    length = chance.choice((1, 1, 2, 4, 8, 32))
    way = chance.randrange(9)
    if way == 0 and data:
        data[at % len(data)] ^= 1 << chance.randrange(8)
    elif way == 1 and data:
        data[at % len(data)] = chance.choice(_INTERESTING)
    elif way == 2 and data:
        data[at % len(data)] = (data[at % len(data)] + chance.choice((-1, 1, 16))) % 256
    elif way == 3:
        data[at:at] = chance.randbytes(length)
    elif way == 4:
        del data[at : at + length]
    elif way == 5:
        data[at:at] = data[at : at + length]
    elif way == 6:
        other = chance.choice(pool)
        start = chance.randrange(len(other) + 1)
        data[at : at + length] = other[start : start + length]
    elif way == 7:
        del data[at:]
    else:
        data[at:at] = bytes([chance.choice(_INTERESTING)]) * length


def _small(target: Target, data: bytes, trace: str, guard: Callable[[], Any] | None) -> Failure:
    """Give the failure with as much of its input taken away as keeps the same last line."""
    last = trace.strip().splitlines()[-1]
    size, runs = len(data) // 2, 0
    while size:
        at = 0
        while at < len(data) and runs < SHRINK_RUNS_MAX:
            runs += 1
            shorter = data[:at] + data[at + size :]
            found = run_once(target, shorter, False, guard)[1]
            if found and found.strip().splitlines()[-1] == last:
                data, trace = shorter, found
            else:
                at += size
        size //= 2
    return Failure(data, trace)
