"""What is done beside the commits depends on the records alone, never on how fast it is done."""

import contextlib
import random
import threading
from pathlib import Path

import pytest

from ledger.errors import LedgerCorruptError, LedgerPoisonedError
from ledger.native import open_native
from ledger.port import Ledger
from ledger.pure import open_pure, open_pure_on
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines
from tests.test_ledger.ledger_disk import SimulatedDisk

SIZE = 16_384
#: What a whole segment holds in one frame.
FULL = SIZE // 128 - 33
WAIT_S = 5


def open_on(engine: str, disk: SimulatedDisk, clock: SteppingClock, *, background: bool) -> Ledger:
    """Open an engine on a simulated disk."""
    options = {
        "now_ns": clock,
        "random_bytes": counting_bytes(),
        "segment_size": SIZE,
        "background": background,
    }
    if engine == "pure":
        return open_pure_on(disk, **options)  # type: ignore[arg-type]
    return open_native(Path("simulated"), storage=disk, **options)  # type: ignore[arg-type]


def test_snapshot_written_slowly_makes_no_later_one_due(
    tmp_path: Path, clock: SteppingClock
) -> None:
    ledger = open_pure(
        tmp_path, now_ns=clock, random_bytes=counting_bytes(), segment_size=SIZE
    )  # fmt: skip
    keeper, asked = ledger._committer.housekeeper, threading.Event()
    write, wait = keeper._write_snapshot, keeper.wait_for_sealing

    def write_late(snapshot: object) -> None:
        asked.wait(WAIT_S)
        write(snapshot)  # type: ignore[arg-type]

    def wait_and_tell() -> None:
        if keeper._sealer is not None:
            asked.set()
        wait()

    keeper._write_snapshot, keeper.wait_for_sealing = write_late, wait_and_tell  # type: ignore[method-assign]
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in range(1, FULL + 1)])
    # Segment 2 holds one record less than there are accounts: no snapshot is due behind it.
    for first, count in ((1, FULL - 1), (FULL, 1)):
        ledger.create_transfers(
            [
                Transfer(id=n, debit_account_id=1, credit_account_id=2, amount=1, ledger=1, code=1)
                for n in range(first, first + count)
            ]
        )
    ledger.close()
    assert [path.name for path in tmp_path.glob("*.snap")] == ["00000001.snap"]
    assert (tmp_path / "00000002.seal").exists()


class SlowSealing(SimulatedDisk):
    """A disk on which no sealed file gets ready before it is let."""

    def __init__(self) -> None:
        super().__init__(random.Random(1))
        self.let = threading.Event()

    def create(self, name: str, content: bytes) -> None:
        """Make a file, a sealed one only when it is let."""
        if name == "seal.tmp":
            self.let.wait(WAIT_S)
        super().create(name, content)

    def create_zeroed(self, name: str, size: int) -> None:
        """Make a file, a sealed one only when it is let."""
        if name == "seal.tmp":
            self.let.wait(WAIT_S)
        super().create_zeroed(name, size)


def full_batch(first: int) -> list[Transfer]:
    """Give transfers that fill a segment."""
    return [
        Transfer(id=first + n, debit_account_id=1, credit_account_id=2, amount=1, ledger=1, code=1)
        for n in range(FULL)
    ]


@pytest.mark.parametrize(("engine", "waiting_max"), [("native", 16), ("pure", 1)])
def test_commits_wait_when_more_segments_wait_for_sealing_than_memory_is_meant_for(
    engine: str, waiting_max: int, clock: SteppingClock
) -> None:
    if engine not in engines():
        pytest.skip("the native engine is not built: pip install . with Rust")
    disk = SlowSealing()
    ledger = open_on(engine, disk, clock, background=True)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    batches = 2 * waiting_max + 6
    posted = list[int]()

    def load() -> None:
        for batch in range(batches):
            ledger.create_transfers(full_batch(1 + batch * FULL))
            posted.append(batch)

    loader = threading.Thread(target=load)
    loader.start()
    loader.join(1)
    behind = [name for name in disk.names() if name.endswith(".seg") and name[0] == "0"]
    assert loader.is_alive()
    assert len(posted) <= waiting_max + 3
    assert len(behind) <= waiting_max + 3
    disk.let.set()
    loader.join(50)
    assert len(posted) == batches
    ledger.close()
    assert ledger.last_sequence == 2 + batches * FULL


@pytest.mark.parametrize("engine", engines())
def test_damage_found_while_sealing_stops_the_writer_and_names_file_and_offset(
    engine: str, clock: SteppingClock
) -> None:
    disk = SlowSealing()
    ledger = open_on(engine, disk, clock, background=False)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    disk.let.set()
    disk.files["00000001.seg"].seen[4_096 + 128 + 50] ^= 1
    named = r"00000001\.seg, offset \d+"
    with contextlib.suppress(LedgerPoisonedError):
        ledger.create_transfers(full_batch(1))  # Its frame was durable before the sealing began.
    for ask in (
        lambda: ledger.create_transfers(full_batch(1_000)),
        lambda: ledger.lookup_accounts([1]),
        ledger.checkpoint,
    ):
        with pytest.raises(LedgerPoisonedError, match=named):
            ask()
    with contextlib.suppress(LedgerCorruptError):
        ledger.close()
    with pytest.raises(LedgerCorruptError, match=named):
        open_on(engine, disk, clock, background=False)
