"""A long verification says how far it is, and ends when it is told to."""

import pytest

from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import OpenEngine


def test_a_verification_tells_each_segment_and_ends_when_told(open_engine: OpenEngine) -> None:
    ledger = open_engine(segment_size=16_384)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    for first in range(1, 400, 80):
        ledger.create_transfers(
            [
                Transfer(id=n, debit_account_id=1, credit_account_id=2, amount=1, ledger=1, code=1)
                for n in range(first, first + 80)
            ]
        )
    ledger.close()
    ledger = open_engine()
    told: list[tuple[int, int]] = []
    report = ledger.verify(lambda done, total: told.append((done, total)))
    assert report.records == 402
    assert len(told) >= 4
    assert sorted(told) == told
    assert told[-1] == (402, 402)

    def stop(done: int, _total: int) -> None:
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.verify(stop)
    assert ledger.verify().records == 402
