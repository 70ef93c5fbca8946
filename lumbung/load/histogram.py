"""Latencies in bounded memory: powers of two, each cut into 64 equal steps (error below 1.6 %)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

#: Steps of each power of two; a value is at most 1/64 above what its step says.
_STEP_BITS = 6
_STEPS = 1 << _STEP_BITS
#: The largest power that is told apart: 2^41 ns, 36 minutes; longer counts as that long.
_POWER_MAX = 40
_SIZE = (_POWER_MAX - _STEP_BITS + 3) * _STEPS


@dataclass(slots=True)
class Histogram:
    """Counts of durations in nanoseconds."""

    counts: list[int] = field(default_factory=lambda: [0] * _SIZE)
    total: int = 0
    maximum_ns: int = 0

    def record(self, duration_ns: int) -> None:
        """Count one duration; a negative one (a clock that stood) is 0."""
        duration_ns = max(0, duration_ns)
        self.counts[_place(duration_ns)] += 1
        self.total += 1
        self.maximum_ns = max(self.maximum_ns, duration_ns)

    def record_all(self, durations_ns: Iterable[int]) -> None:
        """Count many."""
        for duration_ns in durations_ns:
            self.record(duration_ns)

    def percentile_ns(self, percent: float) -> int:
        """Give the duration that `percent` of all do not exceed, rounded up to its step.

        >>> h = Histogram()
        >>> h.record_all(range(1, 101))
        >>> h.percentile_ns(50), h.percentile_ns(100)
        (50, 100)
        """
        assert 0 < percent <= 100
        wanted = max(1, -int(-self.total * percent // 100))
        seen = 0
        for place, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                return min(_highest(place), self.maximum_ns)
        return self.maximum_ns

    def summary_us(self) -> dict[str, float]:
        """Give p50, p90, p99, p99.9 and the maximum in microseconds."""
        if not self.total:
            return {}
        found = {
            f"p{percent:g}".replace(".", ""): round(self.percentile_ns(percent) / 1000, 1)
            for percent in (50, 90, 99, 99.9)
        }
        return {**found, "max": round(self.maximum_ns / 1000, 1)}


def _place(value: int) -> int:
    shift = max(0, value.bit_length() - 1 - _STEP_BITS)
    return min(shift * _STEPS + (value >> shift), _SIZE - 1)


def _highest(place: int) -> int:
    if place < 2 * _STEPS:
        return place
    shift = place // _STEPS - 1
    return ((place - shift * _STEPS + 1) << shift) - 1
