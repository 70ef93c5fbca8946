"""What lies in the files is shown as it lies, also when it is damaged; nothing is guessed."""

import random
import shutil
from pathlib import Path

import pytest

from ledger import open_ledger
from ledger.inspecting import Finding, inspect_frame, inspect_storage
from ledger.storage import FileStorage
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import SteppingClock, counting_bytes, engines
from tests.test_ledger.test_ledger_format import raw_of

SEGMENT_SIZE = 16_384


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a ledger of two segments: five frames, the third of 35 records; none is sealed yet."""
    path = tmp_path_factory.mktemp("inspect")
    ledger = open_ledger(
        path,
        now_ns=SteppingClock(),
        random_bytes=counting_bytes(),
        engine=engines()[-1],  # type: ignore[arg-type]
        segment_size=SEGMENT_SIZE,
    )
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    move = {"debit_account_id": 1, "credit_account_id": 2, "amount": 7, "ledger": 1, "code": 1}
    numbers = iter(range(1, 100))
    for count in (1, 35, 1, 1):
        ledger.create_transfers([Transfer(id=next(numbers), **move) for _ in range(count)])
    ledger.close()
    return path


@pytest.fixture
def sealed(made: Path, tmp_path: Path) -> Path:
    """Give a copy whose first segment is sealed."""
    return Path(shutil.copytree(made, tmp_path / "sealed"))


def unseal(directory: Path) -> None:
    """Put the segments back to what they were before they were sealed."""
    for path in directory.glob("*.seal"):
        path.with_suffix(".seg").write_bytes(raw_of(path.read_bytes()))
        path.unlink()
    for path in directory.glob("*.snap"):
        path.unlink()


@pytest.fixture
def directory(made: Path, tmp_path: Path) -> Path:
    """Give a copy that the test may spoil."""
    copy = Path(shutil.copytree(made, tmp_path / "ledger"))
    unseal(copy)
    return copy


def look(directory: Path, frame: int | None = None) -> list[Finding]:
    storage = FileStorage(directory, read_only=True, create=False)
    found = inspect_storage(storage) if frame is None else inspect_frame(storage, frame)
    found = list(found)
    storage.close()
    return found


def covered(found: list[Finding], file: str) -> int:
    """Give how far the findings of a file go without a gap."""
    end = 0
    for finding in found:
        if finding.file == file:
            assert finding.offset == end
            end += finding.length
    return end


def test_sound_ledger_is_shown_whole_and_sound(directory: Path) -> None:
    found = look(directory)
    assert all(finding.sound for finding in found)
    frames = [f.values["frame"] for f in found if f.what == "frame"]
    assert frames == [1, 2, 3, 4, 5]
    for file, size in (("superblock", 12_288), ("00000001.seg", 16_384), ("00000002.seg", 16_384)):
        assert covered(found, file) == size
    records = look(directory, 3)[1:]
    assert [r.values["id"] for r in records] == [f"{n:032x}" for n in range(2, 37)]
    assert {r.values["kind"] for r in records} == {"transfer"}
    assert look(directory, 6) == []


@pytest.mark.parametrize(
    ("offset", "what"),
    [
        (10, "segment header, does not verify"),
        (4096, "no frame"),
        (4096 + 20, "frame header, checksum wrong"),
        (4096 + 130, "frame, payload checksum wrong"),
        (4096 + 4000, "frame, padding not zero"),
    ],
)
def test_changed_byte_is_named_where_it_lies(directory: Path, offset: int, what: str) -> None:
    path = directory / "00000001.seg"
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)
    bad = [finding for finding in look(directory) if not finding.sound]
    assert [(f.file, f.offset, f.what) for f in bad] == [
        ("00000001.seg", offset // 4096 * 4096, what)
    ]


def test_changed_record_is_shown_raw_and_its_neighbours_as_values(directory: Path) -> None:
    path = next(p for p in sorted(directory.glob("0*.seg")) if look(directory, 3)[0].file == p.name)
    frame = look(directory, 3)[0].offset
    content = bytearray(path.read_bytes())
    content[frame + 128 + 5 * 128 + 40] ^= 1
    path.write_bytes(content)
    header, *records = look(directory, 3)
    assert header.what == "frame, payload checksum wrong"
    assert [n for n, record in enumerate(records) if not record.sound] == [5]
    assert "amount" not in records[5].values
    assert records[6].values["amount"] == 7


def test_truncated_and_missing_files_are_named(directory: Path) -> None:
    path = directory / "00000002.seg"
    frame = next(f for f in look(directory) if f.file == path.name and f.what == "frame")
    path.write_bytes(path.read_bytes()[: frame.offset + 300])
    (directory / "superblock").unlink()
    bad = [(f.file, f.what) for f in look(directory) if not f.sound]
    assert ("superblock", "missing") in bad
    assert (path.name, "frame, cut off") in bad
    assert (path.name, "file ends, 16384 bytes expected") in bad


def test_noise_never_stops_it(directory: Path) -> None:
    rng = random.Random(5)
    files = [directory / name for name in ("superblock", "00000001.seg", "00000002.seg")]
    whole = [path.read_bytes() for path in files]
    for _ in range(20):
        for path, content in zip(files, whole, strict=True):
            noisy = bytearray(content[: rng.randrange(len(content) + 1)])
            for _ in range(rng.randrange(6)):
                if noisy:
                    noisy[rng.randrange(len(noisy))] = rng.randrange(256)
            path.write_bytes(noisy)
        found = look(directory)
        for path in files:
            assert covered(found, path.name) >= path.stat().st_size
        look(directory, 3)


def test_sealed_segment_is_shown_whole_with_the_frames_it_had(
    sealed: Path, directory: Path
) -> None:
    found = look(sealed)
    assert all(finding.sound for finding in found)
    for name in ("00000001.seal", "00000001.snap", "00000002.seal"):
        assert covered(found, name) == (sealed / name).stat().st_size
    raw = [finding.values["hash"] for finding in look(directory) if finding.what == "frame"]
    assert [finding.values["hash"] for finding in found if finding.what == "frame"] == raw
    assert [r.values for r in look(sealed, 2)[1:]] == [r.values for r in look(directory, 2)[1:]]


@pytest.mark.parametrize(
    ("offset", "what"),
    [
        (10, "sealed segment header, does not verify"),
        (4096 + 2 * 128 + 5, "block checksum wrong"),
        (-1, "block checksums, do not verify"),
    ],
)
def test_changed_byte_of_a_sealed_segment_is_named(sealed: Path, offset: int, what: str) -> None:
    path = sealed / "00000001.seal"
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)
    bad = [finding.what for finding in look(sealed) if not finding.sound]
    assert what in bad


def test_noise_in_sealed_files_never_stops_it(sealed: Path) -> None:
    rng = random.Random(6)
    for path in (sealed / "00000001.seal", sealed / "00000001.snap"):
        content = path.read_bytes()
        for _ in range(40):
            noisy = bytearray(content[: rng.choice((len(content), rng.randrange(len(content))))])
            for _ in range(rng.randrange(4)):
                if noisy:
                    noisy[rng.randrange(len(noisy))] = rng.randrange(256)
            path.write_bytes(noisy)
            assert covered(look(sealed), path.name) >= path.stat().st_size
            look(sealed, 2)
        path.write_bytes(content)
