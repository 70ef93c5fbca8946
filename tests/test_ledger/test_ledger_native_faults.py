"""The native engine when the disk fails under it: definite refusals, or nothing answered at all."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger import open_ledger
from ledger.errors import LedgerFullError, LedgerPoisonedError
from ledger.port import Ledger
from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines

pytestmark = pytest.mark.skipif(
    "native" not in engines(), reason="the native engine is not built: pip install . with Rust"
)
SEGMENT_SIZE = 16_384
TWO = [Account(id=1, ledger=1, code=1), Account(id=2, ledger=1, code=1)]


def move(number: int) -> Transfer:
    """Give a transfer with its own id."""
    return Transfer(
        id=number, debit_account_id=1, credit_account_id=2, amount=number, ledger=1, code=1
    )


def open_native(path: Path, segment_size: int = SEGMENT_SIZE) -> Ledger:
    """Open the native engine with small segments."""
    return open_ledger(
        path,
        now_ns=SteppingClock(),
        random_bytes=counting_bytes(),
        engine="native",
        segment_size=segment_size,
    )


def exhaust(work: Iterable[object]) -> None:
    """Do work until it fails or ends."""
    for _ in work:
        pass


@contextmanager
def failing_writes(directory: Path) -> Iterator[None]:
    """Make every write to an open segment fail: its descriptors are swapped for read-only ones."""
    swapped = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = Path(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue  # The descriptor of the listing itself.
        if target.parent == directory and target.suffix == ".seg":
            kept = os.dup(int(name))
            read_only = os.open(target, os.O_RDONLY)
            os.dup2(read_only, int(name))
            os.close(read_only)
            swapped.append((int(name), kept))
    assert swapped
    yield
    for descriptor, kept in swapped:
        os.dup2(kept, descriptor)
        os.close(kept)


def test_a_failed_write_poisons_and_what_was_acknowledged_is_there_after_reopening(
    tmp_path: Path,
) -> None:
    ledger = open_native(tmp_path)
    ledger.create_accounts(TWO)
    ledger.create_transfers([move(1)])
    with failing_writes(tmp_path), pytest.raises(LedgerPoisonedError, match="indeterminate"):
        ledger.create_transfers([move(2)])
    # The disk works again, but what it holds is not known: only reopening tells.
    for ask in (
        lambda: ledger.create_transfers([move(3)]),
        lambda: ledger.lookup_accounts([1]),
        lambda: ledger.create_transfers([move(1)]),
        ledger.checkpoint,
    ):
        with pytest.raises(LedgerPoisonedError, match="cannot write"):
            ask()
    ledger.close()
    ledger = open_native(tmp_path)
    assert [entry.transfer.id for entry in ledger.entries()] == [1]
    assert ledger.create_transfers([move(2)])[0].status is Status.CREATED
    assert ledger.verify().sum_minor == 0
    ledger.close()


async def test_a_failed_write_leaves_every_coroutine_indeterminate(tmp_path: Path) -> None:
    # One segment for all of it: a new one would be opened anew, and its writes would succeed.
    ledger = open_native(tmp_path, 1 << 20)
    ledger.create_accounts(TWO)
    await ledger.post(move(1))
    with failing_writes(tmp_path):
        answers = await asyncio.gather(
            *(ledger.post(move(n)) for n in range(2, 60)), return_exceptions=True
        )
    assert {type(answer) for answer in answers} == {LedgerPoisonedError}
    with pytest.raises(LedgerPoisonedError):
        await ledger.post(move(99))
    ledger.close()


def test_without_room_for_a_segment_work_is_refused_before_it_is_applied(tmp_path: Path) -> None:
    ledger = open_native(tmp_path)
    ledger.create_accounts(TWO)
    while not (tmp_path / "spare.seg").exists():
        ledger.create_transfers([])
    # A spare cannot be made where a directory has its name.
    (tmp_path / "spare.tmp").mkdir()
    # Two segments of three frames, one of which made the accounts.
    for posted in range(1, 6):
        ledger.create_transfers([move(posted)])
    with pytest.raises(LedgerFullError, match="nothing was submitted"):
        ledger.create_transfers([move(posted + 1)])
    assert ledger.lookup_entries([posted + 1]) == [None]
    assert ledger.lookup_accounts([2])[0].credits_posted == 15  # type: ignore[union-attr]
    (tmp_path / "spare.tmp").rmdir()
    assert ledger.create_transfers([move(posted + 1)])[0].status is Status.CREATED
    ledger.close()
    assert open_native(tmp_path).verify().transfers == 6


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a real file system with room for five segments and a little more."""
    place = tmp_path / "disk"
    place.mkdir()
    size = 5 * SEGMENT_SIZE + 2 * 12_288
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root: run the tests as root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_refuses_definitely_and_what_was_posted_stands(small_disk: Path) -> None:
    directory = small_disk / "ledger"
    ledger = open_native(directory)
    ledger.create_accounts(TWO)
    posted = iter(range(1, 400))
    with pytest.raises(LedgerFullError, match=r"nothing was submitted.*free room"):
        exhaust(ledger.create_transfers([move(n)]) for n in posted)
    refused = next(posted) - 1
    # What was made of the next segment is given back.
    assert not (directory / "spare.tmp").exists()
    assert ledger.lookup_entries([refused]) == [None]
    # A refusal is no failure: reading and verifying go on, and so does the ledger after reopening.
    assert ledger.verify().transfers == refused - 1
    ledger.close()
    ledger = open_native(directory)
    assert ledger.last_sequence == refused + 1
    # What could be sealed meanwhile made room; that is used up soon.
    with pytest.raises(LedgerFullError):
        exhaust(ledger.create_transfers([move(n)]) for n in range(refused, refused + 400))
    ledger.close()


def test_random_bytes_that_fail_while_a_ledger_is_made_are_named(tmp_path: Path) -> None:
    def broken(_length: int) -> bytes:
        raise OSError("no entropy")

    with pytest.raises(Exception, match="no entropy"):
        open_ledger(tmp_path / "new", now_ns=SteppingClock(), random_bytes=broken, engine="native")
