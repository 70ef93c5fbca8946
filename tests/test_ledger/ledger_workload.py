"""A seeded workload that visits every rule: small worlds, hostile values, chains, holds, clocks."""

import random
from collections.abc import Callable

from ledger.structures import AMOUNT_ALL, AMOUNT_MAX, Account, Transfer

#: Few ids and accounts, so that repeats, unknown ids and conflicts are common.
_ACCOUNT_IDS = (0, 1, 2, 3, 4, 5, 6, (1 << 128) - 1, 99)
_USUAL = (1, 2, 3, 4, 5, 6)
_AMOUNTS = (0, 1, 2, 5, 7, 10, 10, 20, AMOUNT_MAX, AMOUNT_MAX + 1, AMOUNT_ALL)
_ACCOUNT_FLAGS = (0, 0, 0, 1, 2, 2, 4, 6, 8, 16, 32)


class Workload:
    """Draws batches from one generator."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.next_id = 1

    def accounts(self) -> list[Account]:
        """Give the accounts that every run begins with: two limited, one of another ledger."""
        flags = (0, 2, 4, 0, 2, 0)
        return [
            Account(id=n, ledger=2 if n == 6 else 1, code=n, flags=flags[n - 1]) for n in _USUAL
        ]

    def more_accounts(self) -> list[Account]:
        """Give account events, some of them wrong."""
        pick = self.rng.choice
        return [
            Account(
                id=pick((*_ACCOUNT_IDS, 7, 8)),
                ledger=pick((0, 1, 1, 1, 2)),
                code=pick((0, 1, 2, 3)),
                flags=pick(_ACCOUNT_FLAGS),
                user_data_64=pick((0, 0, 1)),
            )
            for _ in range(self.rng.randint(1, 3))
        ]

    def transfers(self, most: int = 6) -> list[Transfer]:
        """Give one batch."""
        return [self._transfer() for _ in range(self.rng.randint(1, most))]

    def _id(self) -> int:
        if self.rng.random() < 0.25:
            return self.rng.randint(0, self.next_id)
        self.next_id += 1
        return self.next_id

    def _usually(self, usual: Callable[[], int], odd: tuple[int, ...]) -> int:
        return usual() if self.rng.random() < 0.9 else self.rng.choice(odd)

    def _transfer(self) -> Transfer:
        rng, pick = self.rng, self.rng.choice
        resolving = rng.random() < 0.3
        if resolving:
            flags = pick((4, 4, 4, 8, 8, 12, 6, 5, 9))
        else:
            flags = pick((0, 0, 0, 2, 2, 2, 1, 3, 16, 32, 48, 18, 66, 130, 64, 256))
        transfer_id = self._id()
        inherit = resolving and rng.random() < 0.7
        return Transfer(
            id=transfer_id,
            debit_account_id=0 if inherit else self._usually(lambda: pick(_USUAL), _ACCOUNT_IDS),
            credit_account_id=0 if inherit else self._usually(lambda: pick(_USUAL), _ACCOUNT_IDS),
            amount=pick((0, AMOUNT_ALL, 1, 5)) if resolving else pick(_AMOUNTS),
            ledger=0 if inherit else self._usually(lambda: 1, (0, 2)),
            code=0 if inherit else self._usually(lambda: 1, (0, 2)),
            flags=flags,
            pending_id=rng.randint(max(0, self.next_id - 12), self.next_id)
            if resolving
            else self._usually(lambda: 0, (1,)),
            timeout=0 if resolving or not flags & 2 else pick((0, 0, 1, 2)),
            user_data_128=pick((0, 0, 1, 1 << 100)),
            user_data_64=pick((0, 0, 2)),
            user_data_32=pick((0, 0, 3)),
        )
