"""A reader whose raw segments are sealed away at any moment goes on, and calls nothing damaged.

On a simulated disk a removed file is gone at once, also for who had it open.
"""

import random

import pytest

from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock
from tests.test_ledger.ledger_disk import SimulatedDisk
from tests.test_ledger.ledger_lives import AnyLedger, Nonces, open_on

SIZE = 16_384
MOVE = {"debit_account_id": 1, "credit_account_id": 2, "amount": 1, "ledger": 1, "code": 1}


class StaleMark(SimulatedDisk):
    """A disk whose superblock is read as it was before, for as long as it says so."""

    stale = b""

    def read(self, name: str, offset: int, length: int) -> bytes:
        if self.stale and name == "superblock":
            return self.stale[offset : offset + length]
        return super().read(name, offset, length)


class City:
    """A writer and a reader on one disk."""

    def __init__(self, engine: str) -> None:
        self.engine, self.next_id = engine, 10
        self.disk = StaleMark(random.Random(1))
        self.writer = self.opened(read_only=False)
        self.writer.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])

    def opened(self, *, read_only: bool) -> AnyLedger:
        clock, nonces = SteppingClock(), Nonces()
        return open_on(self.disk, self.engine, clock, nonces, SIZE, read_only=read_only)

    def post(self, frames: int) -> None:
        """Write frames of one block, three to a segment."""
        for _ in range(frames):
            self.writer.create_transfers([Transfer(id=self.next_id, **MOVE)])
            self.next_id += 1

    def check(self, reader: AnyLedger) -> None:
        """The reader sees all that the writer has."""
        reader.refresh()
        assert list(reader.entries()) == list(self.writer.entries())
        assert reader.verify().records == self.writer.last_sequence
        assert reader.lookup_accounts([1, 2]) == self.writer.lookup_accounts([1, 2])


@pytest.mark.parametrize("before", range(1, 7))
def test_a_segment_sealed_since_the_mark_was_read_is_taken_whole(engine: str, before: int) -> None:
    city = City(engine)
    city.post(1)
    reader = city.opened(read_only=True)
    city.post(before)
    stale = bytes(city.disk.files["superblock"].seen)
    city.post(9)
    city.disk.stale = stale
    reader.refresh()
    fresh = city.opened(read_only=True)
    city.disk.stale = b""
    seen = [entry.transfer.id for entry in reader.entries()]
    assert seen == list(range(10, 10 + len(seen)))
    assert len(seen) >= 1 + before
    city.check(reader)
    city.check(fresh)


@pytest.mark.parametrize("before", range(1, 7))
def test_a_reader_inside_a_segment_that_is_sealed_away_goes_on(engine: str, before: int) -> None:
    city = City(engine)
    city.post(before)
    reader = city.opened(read_only=True)
    city.post(1)
    reader.refresh()
    city.post(9)
    # Without a refresh it still gives what it has seen, wherever that stands now.
    assert [entry.transfer.id for entry in reader.entries()] == list(range(10, 11 + before))
    reader.refresh()
    city.post(4)
    city.check(reader)
