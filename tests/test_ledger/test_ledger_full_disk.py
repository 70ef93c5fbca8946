"""Real limits of a real kernel, a full file system and a largest file: nothing is lost."""

import random
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.errors import LedgerFullError, LedgerPoisonedError, LedgerReadOnlyError
from ledger.port import Ledger
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import OpenEngine, SteppingClock, engines
from tests.test_ledger.ledger_disk import SimulatedDisk
from tests.test_ledger.ledger_lives import Nonces, open_on

SEGMENT_SIZE = 65_536
MOVE = {"debit_account_id": 1, "credit_account_id": 2, "amount": 1, "ledger": 1, "code": 1}
POSTS_MAX = 2_000
#: A file system with a journal, which wants more than a mebibyte of it.
IMAGE_KIB = 8_192


def post_all_of(ledger: Ledger, numbers: range) -> None:
    """Post transfers with these ids, one at a time."""
    for number in numbers:
        ledger.create_transfers([Transfer(id=number, **MOVE)])


def post_all(ledger: Ledger, acknowledged: list[int]) -> None:
    """Post for ever; note what was answered."""
    for number in range(len(acknowledged) + 1, POSTS_MAX):
        ledger.create_transfers([Transfer(id=number, **MOVE)])
        acknowledged.append(number)


@pytest.fixture
def small_ext4(tmp_path: Path) -> Iterator[Path]:
    """Give a small ext4 file system on a loop device."""
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    tools = [tool for tool in ("mkfs.ext4", "mount", "umount") if shutil.which(tool) is None]
    if tools:
        pytest.skip(f"{', '.join(tools)} missing: apt install e2fsprogs mount")
    image.write_bytes(bytes(1_024 * IMAGE_KIB))
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", str(image), str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a loop device needs root and a kernel that has them")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.slow
def test_a_full_ext4_refuses_up_front_and_goes_on_when_there_is_room(
    open_engine: OpenEngine, small_ext4: Path
) -> None:
    filler = small_ext4 / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_ext4).free - 7 * SEGMENT_SIZE))
    ledger = open_engine(small_ext4 / "ledger", segment_size=SEGMENT_SIZE)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    acknowledged: list[int] = []
    with pytest.raises(LedgerFullError, match="nothing was submitted"):
        post_all(ledger, acknowledged)
    refused = len(acknowledged) + 1
    assert ledger.lookup_entries([refused]) == [None]
    assert ledger.verify().transfers == len(acknowledged) > 0
    filler.unlink()
    ledger.create_transfers([Transfer(id=refused, **MOVE)])
    ledger.close()
    ledger = open_engine(small_ext4 / "ledger", segment_size=SEGMENT_SIZE)
    assert ledger.verify().transfers == refused


@pytest.mark.slow
@pytest.mark.parametrize("size", [SEGMENT_SIZE // 2, 3 * SEGMENT_SIZE])
def test_a_limit_on_the_size_of_files_loses_nothing_that_was_answered(
    open_engine: OpenEngine, size: int
) -> None:
    ledger = open_engine(segment_size=4 * SEGMENT_SIZE)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    acknowledged: list[int] = []
    # The limit also forbids writing on in a segment that is there: then nobody is answered.
    with largest_file(size), pytest.raises((LedgerFullError, LedgerPoisonedError)):
        post_all(ledger, acknowledged)
    ledger.close()
    ledger = open_engine(segment_size=SEGMENT_SIZE)
    found = [entry.transfer.id for entry in ledger.entries()]
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) - len(acknowledged) in (0, 1)
    assert ledger.verify().transfers == len(found)
    ledger.create_transfers([Transfer(id=POSTS_MAX, **MOVE)])


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("room", [0, SEGMENT_SIZE - 1, SEGMENT_SIZE])
def test_without_room_for_a_ledger_none_is_made_and_nothing_is_left(engine: str, room: int) -> None:
    disk = SimulatedDisk(random.Random(1))
    disk.capacity = room
    with pytest.raises(LedgerFullError, match="No space left on device"):
        open_on(disk, engine, SteppingClock(), Nonces(), SEGMENT_SIZE)
    assert "spare.tmp" not in disk.names()
    disk.locked, disk.capacity = False, 1 << 30
    open_on(disk, engine, SteppingClock(), Nonces(), SEGMENT_SIZE).close()


@pytest.mark.slow
def test_a_read_only_file_system_is_read_and_refuses_a_writer(
    open_engine: OpenEngine, small_ext4: Path
) -> None:
    ledger = open_engine(small_ext4 / "ledger", segment_size=SEGMENT_SIZE)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    post_all_of(ledger, range(1, 20))
    ledger.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_ext4)], check=True)
    for place in ("ledger", "new"):
        with pytest.raises(LedgerReadOnlyError, match=rf"{place}.*Read-only file system"):
            open_engine(small_ext4 / place, segment_size=SEGMENT_SIZE)
    reader = open_engine(small_ext4 / "ledger", read_only=True)
    assert reader.verify().transfers == 19
    assert reader.scrub().records == 21
