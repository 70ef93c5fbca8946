"""How long to wait before the next try: twice as long each time, spread so that none keep step."""


class BackOff:
    """The waits between tries to connect."""

    def __init__(self, first_ms: int, longest_ms: int) -> None:
        """Begin with the shortest wait."""
        assert 0 < first_ms <= longest_ms
        self._first_ms, self._longest_ms = first_ms, longest_ms
        self._tries = 0

    def next_ms(self, chance: float) -> int:
        """Give the next wait: half of it fixed, half by `chance` (0 to below 1).

        >>> waits = BackOff(1_000, 60_000)
        >>> [waits.next_ms(0.0), waits.next_ms(0.5), waits.next_ms(0.0)]
        [500, 1500, 2000]
        """
        assert 0 <= chance < 1
        whole = min(self._longest_ms, self._first_ms << min(self._tries, 32))
        self._tries += 1
        return whole // 2 + int(whole * chance / 2)

    def succeeded(self) -> None:
        """Begin anew: the link was up."""
        self._tries = 0
