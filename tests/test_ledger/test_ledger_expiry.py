"""The instant of expiry, to the nanosecond: also where the release is not logged yet."""

from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import Account, Transfer, TransferFlags
from tests.test_ledger.conftest import OpenEngine, SteppingClock

SECOND = 1_000_000_000
MOVE = {"debit_account_id": 1, "credit_account_id": 2, "amount": 5, "ledger": 1, "code": 1}


def test_a_hold_expires_at_its_instant_and_not_a_nanosecond_later(
    open_engine: OpenEngine, clock: SteppingClock
) -> None:
    ledger = open_engine()
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    hold = {**MOVE, "flags": TransferFlags.PENDING, "timeout": 1}
    clock.advance(1)
    (early,) = ledger.create_transfers([Transfer(id=10, **hold)])
    (late,) = ledger.create_transfers([Transfer(id=11, **hold)])
    assert late.timestamp == early.timestamp + 1
    clock.now = early.timestamp + SECOND - 2
    (before,) = ledger.create_transfers([Transfer(id=12, **MOVE)])
    assert before.timestamp == clock.now
    # The clock stands still, so each event is a nanosecond after the one before: the first comes
    # one before the expiry of the early hold, the second upon it, the third upon the late one's.
    post = {**MOVE, "flags": TransferFlags.POST_PENDING_TRANSFER}
    results = ledger.create_transfers(
        [
            Transfer(id=13, **MOVE),
            Transfer(id=14, pending_id=10, **post),
            Transfer(id=15, pending_id=11, **post),
        ]
    )
    assert [result.timestamp - early.timestamp for result in results] == [
        SECOND - 1, SECOND, SECOND + 1,
    ]  # fmt: skip
    assert [result.status for result in results[1:]] == [Status.PENDING_TRANSFER_EXPIRED] * 2


def test_a_hold_may_be_posted_a_nanosecond_before_its_expiry(
    open_engine: OpenEngine, clock: SteppingClock
) -> None:
    ledger = open_engine()
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    clock.advance(1)
    hold = Transfer(id=10, flags=TransferFlags.PENDING, timeout=1, **MOVE)
    (held,) = ledger.create_transfers([hold])
    clock.now = held.timestamp + SECOND - 1
    post = Transfer(id=11, pending_id=10, flags=TransferFlags.POST_PENDING_TRANSFER, **MOVE)
    assert ledger.create_transfers([post])[0].status is Status.CREATED
