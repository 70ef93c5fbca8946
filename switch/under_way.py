"""Requests without an answer yet: how many, and of which connection. Bounded in both ways."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class UnderWay:
    """Counts requests under way; `maximum` of all, `per_connection` of each connection."""

    maximum: int
    per_connection: int
    count: int = 0
    by_connection: dict[int, int] = field(default_factory=dict)

    def is_full(self, connection: int) -> bool:
        """Tell whether one more of this connection is one too many.

        >>> under_way = UnderWay(maximum=3, per_connection=1)
        >>> under_way.begin(7)
        >>> under_way.is_full(7), under_way.is_full(8)
        (True, False)
        """
        return (
            self.count >= self.maximum
            or self.by_connection.get(connection, 0) >= self.per_connection
        )

    def of(self, connection: int) -> int:
        """Give how many came over one connection."""
        return self.by_connection.get(connection, 0)

    def begin(self, connection: int) -> None:
        """Count a request."""
        self.count += 1
        self.by_connection[connection] = self.by_connection.get(connection, 0) + 1

    def end(self, connection: int) -> None:
        """Forget a request that is answered."""
        self.count -= 1
        left = self.by_connection.pop(connection) - 1
        if left:
            self.by_connection[connection] = left

    def clear(self) -> None:
        """Forget all: they get no answer."""
        self.count = 0
        self.by_connection.clear()
