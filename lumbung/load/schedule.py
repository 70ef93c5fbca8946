"""When messages shall leave: fixed before the run, so that a slow host cannot slow the load down.

Latency counts from the intended start (free of coordinated omission): a message that waits because
the client or the host is behind has waited.
"""

import math
import random
from enum import StrEnum

from lumbung.load.limits import MESSAGES_MAX, SECONDS_MAX
from protocols.errors import LumbungError

_SECOND_NS = 1_000_000_000
#: Parts of a `step` run: a quarter of the rate, then half, three quarters, all of it.
_STEPS = 4


class Profile(StrEnum):
    """How arrivals are spread."""

    STEADY = "steady"
    STEP = "step"
    POISSON = "poisson"


class LoadError(LumbungError):
    """The load cannot be made: a bound, a missing part, a host that does not answer."""

    code = "E-LD-0001"


def starts_ns(profile: Profile, rate: float, seconds: float, seed: int) -> list[int]:
    """Give the intended start of each message, in nanoseconds from the beginning, in order.

    `rate` is messages a second (in `step`, of the last quarter). Raises LoadError beyond a bound.

    >>> starts_ns(Profile.STEADY, 4, 1, 7)
    [0, 250000000, 500000000, 750000000]
    """
    if not (0 < seconds <= SECONDS_MAX and rate > 0 and math.isfinite(rate)):
        raise LoadError(f"a run has a rate above 0 and lasts at most {SECONDS_MAX:g} seconds.")
    if rate * seconds > MESSAGES_MAX:
        raise LoadError(
            f"{rate:g} a second for {seconds:g} seconds is above {MESSAGES_MAX} messages.",
            fix="Give a lower --rate or a shorter --for.",
        )
    if profile is Profile.POISSON:
        return _poisson(rate, seconds, seed)
    if profile is Profile.STEADY:
        return _steady(rate, 0.0, seconds)
    part = seconds / _STEPS
    return [
        start
        for step in range(_STEPS)
        for start in _steady(rate * (step + 1) / _STEPS, step * part, part)
    ]


def _steady(rate: float, begin: float, seconds: float) -> list[int]:
    count = max(1, round(rate * seconds))
    return [int((begin + number / rate) * _SECOND_NS) for number in range(count)]


def _poisson(rate: float, seconds: float, seed: int) -> list[int]:
    """Give arrivals of people who do not know of each other: exponential gaps."""
    gaps = random.Random(seed)  # noqa: S311 - arrival times, not keys
    starts: list[int] = []
    at = gaps.expovariate(rate)
    while at < seconds and len(starts) < MESSAGES_MAX:
        starts.append(int(at * _SECOND_NS))
        at += gaps.expovariate(rate)
    return starts or [0]
