"""Durations in bounded memory, as Prometheus counts them: fixed buckets, a sum, a count."""

from bisect import bisect_left

#: Upper bounds in nanoseconds: 1 us to 10 s in steps of about 2 to 3.
BOUNDS_NS = (
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000, 500_000_000,
    1_000_000_000, 2_500_000_000, 10_000_000_000,
)  # fmt: skip


class DurationHistogram:
    """Counts of durations by bucket; the last bucket takes what is longer than every bound."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        """Begin empty."""
        self.counts = [0] * (len(BOUNDS_NS) + 1)
        self.sum_ns = 0

    def record(self, duration_ns: int) -> None:
        """Count one duration.

        >>> taken = DurationHistogram()
        >>> taken.record(2_000)
        >>> taken.counts[:3]
        [0, 1, 0]
        """
        self.counts[bisect_left(BOUNDS_NS, duration_ns)] += 1
        self.sum_ns += duration_ns

    @property
    def total(self) -> int:
        """Give how many were counted."""
        return sum(self.counts)

    def exposition(self, name: str, labels: str) -> list[str]:
        """Give the lines of one histogram; `labels` is `stage="pin"` or empty."""
        comma = "," if labels else ""
        lines, seen = [], 0
        for bound, count in zip((*BOUNDS_NS, None), self.counts, strict=True):
            seen += count
            edge = "+Inf" if bound is None else f"{bound / 1e9:g}"
            lines.append(f'{name}_bucket{{{labels}{comma}le="{edge}"}} {seen}')
        braces = f"{{{labels}}}" if labels else ""
        lines.append(f"{name}_sum{braces} {self.sum_ns / 1e9:.9f}")
        lines.append(f"{name}_count{braces} {seen}")
        return lines
