"""What is done beside the commits depends on the records alone, never on how fast it is done."""

import threading
from pathlib import Path

from ledger.pure import open_pure
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes

SIZE = 16_384
#: What a whole segment holds in one frame.
FULL = SIZE // 128 - 33
WAIT_S = 5


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
