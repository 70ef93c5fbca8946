"""How often a terminal may speak: a token bucket for each, in bounded memory."""

from collections import OrderedDict

from switch.limits import STRANGER_BURST, STRANGER_PER_SECOND, TERMINAL_RATES_MAX

_SECOND_NS = 1_000_000_000


class TokenBuckets:
    """One bucket for each name: `per_second` tokens flow in, `burst` at most are saved up."""

    def __init__(self, per_second: float, burst: int) -> None:
        """Take the rate; every bucket begins full."""
        assert per_second > 0
        assert burst >= 1
        self._per_ns = per_second / _SECOND_NS
        self._burst = float(burst)
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, name: str, now_ns: int) -> bool:
        """Take a token; False when there is none. A clock that stands gives none.

        >>> buckets = TokenBuckets(per_second=1, burst=2)
        >>> [buckets.take("T", 0), buckets.take("T", 0), buckets.take("T", 0)]
        [True, True, False]
        >>> buckets.take("T", 1_000_000_000)
        True
        """
        tokens, since_ns = self._buckets.pop(name, (self._burst, now_ns))
        if now_ns > since_ns:
            tokens += (now_ns - since_ns) * self._per_ns
            if tokens > self._burst:
                tokens = self._burst
        is_there = tokens >= 1
        # The clock never goes back for a bucket: a set-back must not stop a terminal for long.
        self._buckets[name] = (tokens - is_there, now_ns)
        if len(self._buckets) > TERMINAL_RATES_MAX:
            del self._buckets[next(iter(self._buckets))]
        return is_there


def stranger_buckets() -> TokenBuckets:
    """Give the buckets of connections for messages that no key vouches for."""
    return TokenBuckets(STRANGER_PER_SECOND, STRANGER_BURST)
