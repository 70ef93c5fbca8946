"""Connections that no key has vouched for yet: what they may say, and who of them gives way.

Nobody can hold the switch's places by doing nothing: when all are taken, the connection that came
first of those over which no message was proved by a terminal's key makes room for the next one.
"""

from collections.abc import Callable

from switch.buckets import stranger_buckets


class Strangers:
    """Who has proved nothing. All calls belong to the loop's thread."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._buckets = stranger_buckets()
        #: The connections over which a terminal's key proved a message.
        self.proved: set[int] = set()
        #: In the order in which they came; who has proved something is taken out when looked at.
        self._newcomers: dict[int, Callable[[], None]] = {}

    def admit(self, connection: int, keys: object, now_ns: int) -> bool:
        """Note a message; False when too many of a connection were proved by no key (`keys` None).

        >>> strangers = Strangers()
        >>> strangers.admit(1, "keys", 0), strangers.admit(2, None, 0)
        (True, True)
        """
        if keys is not None:
            self.proved.add(connection)
            return True
        return self._buckets.take(str(connection), now_ns)

    def came(self, connection: int, give_way: Callable[[], None]) -> None:
        """Take in a new connection, and how it is cut."""
        self._newcomers[connection] = give_way

    def left(self, connection: int) -> None:
        """Forget a connection that is closed."""
        self._newcomers.pop(connection, None)
        self.proved.discard(connection)

    def make_room(self) -> bool:
        """Cut the oldest connection that has proved nothing; False when all have."""
        while self._newcomers:
            connection = next(iter(self._newcomers))
            give_way = self._newcomers.pop(connection)
            if connection not in self.proved:
                give_way()
                return True
        return False
