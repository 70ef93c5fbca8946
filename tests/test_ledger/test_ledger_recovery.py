"""A torn tail is set to zero and reported; damage to acknowledged data is refused and named.

The crash matrix takes a log of several frames, cuts it at a byte or flips a byte, and opens it with
the commit mark in place, with an older mark, and with none (docs/reference/ledger-format.md, 8).
"""

import random
import struct
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import pytest

from ledger.errors import LedgerCorruptError, LedgerRollbackError
from ledger.port import Ledger
from ledger.pure import open_pure_on
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import OpenEngine, SteppingClock, counting_bytes
from tests.test_ledger.ledger_disk import SimulatedDisk
from tests.test_ledger.ledger_lives import Nonces, open_on

BLOCK = 4096
FRAMES = 5
#: Each of the small frames below fills one block: header, records, then zero.
CONTENT_BYTES = (128 + 2 * 128, 128 + 3 * 128, 128 + 3 * 128)
#: A refusal names the file and the place in it.
DAMAGE = r"00000001\.seg.*(offset|byte) \d+"
Files = dict[str, bytes]
Opened = tuple[int, bool]


def fill(ledger: Ledger) -> None:
    """Write five frames: accounts, then transfers by one, two, three, three."""
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    next_id = 1
    for count in (1, 2, 3, 3):
        batch = [
            Transfer(
                id=next_id + n, debit_account_id=1, credit_account_id=2, amount=5, ledger=1, code=1
            )
            for n in range(count)
        ]
        next_id += count
        ledger.create_transfers(batch)


class Case(NamedTuple):
    """Damage at a position of the segment, and which commit marks are left."""

    how: str
    position: int
    mark: str

    def apply(self, files: Files) -> Files:
        damaged = dict(files)
        segment = bytearray(files["00000001.seg"])
        if self.how == "cut":
            del segment[self.position :]
        else:
            segment[self.position] ^= 0x10
        superblock = bytearray(files["superblock"])
        if self.mark in ("none", "older"):  # Frame 5 is marked in slot 1, frame 4 in slot 0.
            superblock[2 * BLOCK :] = bytes(BLOCK)
        if self.mark == "none":
            superblock[BLOCK : 2 * BLOCK] = bytes(BLOCK)
        return {**damaged, "00000001.seg": bytes(segment), "superblock": bytes(superblock)}

    def expected(self, sound: bytes) -> int | None:
        """Give the frames that must be recovered, None when opening must be refused."""
        frame, inside = divmod(self.position - BLOCK, BLOCK)
        frame += 1
        content = CONTENT_BYTES[frame - 3]
        marked = {"newest": 5, "older": 4, "none": 0}[self.mark]
        if self.how == "flip":
            if frame <= marked or frame < FRAMES or inside >= content:
                return None
            return frame - 1
        only_zero_lost = not any(sound[self.position : BLOCK * (frame + 1)])
        left = frame if only_zero_lost else frame - 1
        return left if left >= marked else None


def cases(step_content: int, step_padding: int) -> list[Case]:
    """Give the matrix over the last three frames."""
    positions = [
        frame * BLOCK + inside
        for frame in (3, 4, 5)
        for inside in (
            *range(0, CONTENT_BYTES[frame - 3], step_content),
            *range(CONTENT_BYTES[frame - 3], BLOCK, step_padding),
        )
    ]
    return [
        Case(how, position, mark)
        for position in positions
        for how in ("cut", "flip")
        for mark in ("newest", "older", "none")
    ]


def check(case: Case, files: Files, open_files: Callable[[Files], tuple[Opened, Files]]) -> None:
    """Open the damaged files and compare with what the case expects."""
    damaged = case.apply(files)
    frames = case.expected(files["00000001.seg"])
    if frames is None:
        with pytest.raises(LedgerCorruptError, match=DAMAGE):
            open_files(damaged)
        return
    sequences = {1: 2, 2: 3, 3: 5, 4: 8, 5: 11}
    (last_sequence, torn), after = open_files(damaged)
    assert last_sequence == sequences[frames], case
    assert torn == (frames < FRAMES or case.how == "cut"), case
    assert len(after["00000001.seg"]) == len(files["00000001.seg"])
    assert (
        after["00000001.seg"][: BLOCK * (frames + 1)]
        == files["00000001.seg"][: BLOCK * (frames + 1)]
    )
    assert not any(after["00000001.seg"][BLOCK * (frames + 1) :])


def memory_files() -> Files:
    """Give the files of a filled ledger."""
    disk = SimulatedDisk(random.Random(0))
    ledger = open_pure_on(
        disk, now_ns=SteppingClock(), random_bytes=counting_bytes(), segment_size=8 * BLOCK
    )
    fill(ledger)
    ledger.close()
    return disk.contents()


def open_in_memory(files: Files, engine: str = "pure") -> tuple[Opened, Files]:
    """Open files with an engine, without a real disk; refused files must stay as they are."""
    disk = SimulatedDisk.holding(files)
    try:
        ledger = open_on(disk, engine, SteppingClock(), Nonces(), 8 * BLOCK)
    except LedgerCorruptError:
        assert disk.contents() == files
        raise
    opened = (ledger.last_sequence, ledger.torn_tail is not None)
    ledger.verify()
    ledger.close()
    return opened, disk.contents()


def test_the_crash_matrix_in_samples_is_recovered_or_refused(engine: str) -> None:
    files = memory_files()
    for case in cases(step_content=37, step_padding=997):
        check(case, files, partial(open_in_memory, engine=engine))


@pytest.mark.slow
def test_the_crash_matrix_over_every_byte_is_recovered_or_refused(engine: str) -> None:
    files = memory_files()
    for case in cases(step_content=1, step_padding=61):
        check(case, files, partial(open_in_memory, engine=engine))


def test_an_engine_recovers_or_refuses_damaged_files_on_a_real_disk(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    ledger = open_engine(tmp_path / "sound", segment_size=8 * BLOCK)
    fill(ledger)
    ledger.close()
    files = {path.name: path.read_bytes() for path in (tmp_path / "sound").iterdir()}
    number = 0

    def open_files(damaged: Files) -> tuple[Opened, Files]:
        nonlocal number
        number += 1
        directory = tmp_path / str(number)
        directory.mkdir()
        for name, content in damaged.items():
            (directory / name).write_bytes(content)
        opened = open_engine(directory)
        found = (opened.last_sequence, getattr(opened, "torn_tail", None) is not None)
        opened.close()
        return found, {path.name: path.read_bytes() for path in directory.iterdir()}

    for case in cases(step_content=499, step_padding=4_000):
        check(case, files, open_files)


@pytest.mark.parametrize("position", [0, 9, 30, 40, 50, 70, 100, 130, 137, 141, 2_000])
def test_a_damaged_segment_header_is_refused(position: int, engine: str) -> None:
    files = memory_files()
    with pytest.raises(LedgerCorruptError, match=r"00000001\.seg, (offset|byte) (0|64|96)\D"):
        open_in_memory(Case("flip", position, "newest").apply(files), engine)


def test_a_later_frame_proves_that_a_damaged_one_was_acknowledged() -> None:
    files = Case("flip", 4 * BLOCK + 200, "none").apply(memory_files())
    with pytest.raises(LedgerCorruptError, match=r"offset 16384: frame 4 .* frame 5 follows"):
        open_in_memory(files)


def test_a_later_frame_in_the_place_of_the_due_one_proves_the_same(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=8 * BLOCK)
    fill(ledger)
    ledger.close()
    segment, superblock = tmp_path / "ledger" / "00000001.seg", tmp_path / "ledger" / "superblock"
    content = bytearray(segment.read_bytes())
    # The disk put frame 5 on top of frame 4, and the power went before any commit mark was durable.
    content[4 * BLOCK : 6 * BLOCK] = content[5 * BLOCK : 6 * BLOCK] + bytes(BLOCK)
    segment.write_bytes(content)
    superblock.write_bytes(superblock.read_bytes()[:BLOCK] + bytes(2 * BLOCK))
    with pytest.raises(LedgerCorruptError, match=r"(offset|byte) 16384"):
        open_engine(segment_size=8 * BLOCK)
    assert segment.read_bytes() == content


def rewrite_frame(segment: bytearray, offset: int, count: int, *, records: bool = True) -> None:
    """Change a record of a frame and make its checksums right again, those of records if asked."""
    segment[offset + 128 + 40] ^= 1
    for start in range(offset + 128, offset + 128 + 128 * count, 128) if records else ():
        struct.pack_into("<I", segment, start + 118, crc32(segment[start : start + 118]))
    payload = segment[offset + 128 : offset + 128 + 128 * count]
    segment[offset + 64 : offset + 96] = sha256(payload).digest()
    struct.pack_into("<I", segment, offset + 120, crc32(payload))
    struct.pack_into("<I", segment, offset + 124, crc32(segment[offset : offset + 124]))


def test_a_frame_rewritten_with_sound_checksums_breaks_the_chain_or_the_mark(engine: str) -> None:
    files = memory_files()
    for frame, count in ((1, 2), (3, 2), (5, 3)):
        segment = bytearray(files["00000001.seg"])
        rewrite_frame(segment, frame * BLOCK, count)
        with pytest.raises(LedgerCorruptError, match=DAMAGE):
            open_in_memory({**files, "00000001.seg": bytes(segment)}, engine)


def without_marks(files: Files, segment: bytearray) -> Files:
    """Give the files with another segment, and no commit mark that would name its last frame."""
    superblock = files["superblock"][:BLOCK] + bytes(2 * BLOCK)
    return {**files, "00000001.seg": bytes(segment), "superblock": superblock}


def test_a_last_frame_with_a_foreign_previous_hash_is_not_taken(engine: str) -> None:
    files = memory_files()
    segment = bytearray(files["00000001.seg"])
    # The last frame of another history: everything in it is sound but what it goes on from.
    start = FRAMES * BLOCK
    segment[start + 32] ^= 1
    struct.pack_into("<I", segment, start + 124, crc32(segment[start : start + 124]))
    opened, after = open_in_memory(without_marks(files, segment), engine)
    assert opened == (8, True)
    assert not any(after["00000001.seg"][start:])


@pytest.mark.parametrize(("frame", "count"), [(3, 2), (5, 3)])
def test_a_record_with_a_wrong_checksum_in_a_sound_frame_is_damage(
    engine: str, frame: int, count: int
) -> None:
    files = memory_files()
    segment = bytearray(files["00000001.seg"])
    start = frame * BLOCK
    # A byte of the caller's that no rule of the replay looks at: only the record's checksum knows.
    segment[start + 128 + 56] ^= 1
    segment[start + 128 + 40] ^= 1
    rewrite_frame(segment, start, count, records=False)
    if frame == 3:  # The chain goes on from the frame as it is now.
        for later in (4, 5):
            previous = sha256(segment[(later - 1) * BLOCK : (later - 1) * BLOCK + 128]).digest()
            segment[later * BLOCK + 32 : later * BLOCK + 64] = previous
            head = segment[later * BLOCK : later * BLOCK + 124]
            struct.pack_into("<I", segment, later * BLOCK + 124, crc32(head))
    with pytest.raises(LedgerCorruptError, match=rf"(offset|byte) {start + 128}\D.*checksum"):
        open_in_memory(without_marks(files, segment), engine)


def test_verify_finds_what_was_changed_under_a_running_ledger(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=8 * BLOCK)
    fill(ledger)
    ledger.verify()
    path = tmp_path / "ledger" / "00000001.seg"
    sound = path.read_bytes()
    for offset in (20, 3 * BLOCK + 50, 3 * BLOCK + 140, 3 * BLOCK + 3_000):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(bytes([sound[offset] ^ 1]))
        with pytest.raises(LedgerCorruptError, match=DAMAGE):
            ledger.verify()
        path.write_bytes(sound)
    assert ledger.verify().sum_minor == 0


def test_stale_bytes_of_another_epoch_are_a_torn_tail_not_a_later_frame(engine: str) -> None:
    files = memory_files()
    segment = bytearray(files["00000001.seg"])
    stale = bytearray(segment[5 * BLOCK : 6 * BLOCK])
    struct.pack_into("<Q", stale, 8, 9)  # A later frame, were its epoch this segment's.
    stale[20] ^= 1
    struct.pack_into("<I", stale, 124, crc32(stale[:124]))
    segment[7 * BLOCK :] = stale
    opened, after = open_in_memory({**files, "00000001.seg": bytes(segment)}, engine)
    assert opened == (11, True)
    assert after["00000001.seg"] == files["00000001.seg"]


def test_both_commit_marks_damaged_are_refused_and_one_damaged_is_passed_over(engine: str) -> None:
    files = memory_files()
    superblock = bytearray(files["superblock"])
    superblock[BLOCK + 20] ^= 1
    assert open_in_memory({**files, "superblock": bytes(superblock)}, engine)[0] == (11, False)
    superblock[2 * BLOCK + 20] ^= 1
    with pytest.raises(LedgerCorruptError, match=r"superblock.*commit mark"):
        open_in_memory({**files, "superblock": bytes(superblock)}, engine)


def test_a_missing_segment_is_refused_by_name(open_engine: OpenEngine, tmp_path: Path) -> None:
    ledger = open_engine(segment_size=16_384)
    for _ in range(3):
        fill(ledger)
    ledger.create_transfers(
        [
            Transfer(id=n, debit_account_id=1, credit_account_id=2, amount=5, ledger=1, code=1)
            for n in range(100, 190)
        ]
    )
    ledger.close()
    segments = sorted((tmp_path / "ledger").glob("0*.se*"))
    assert len(segments) >= 3
    segments[1].unlink()
    with pytest.raises(LedgerCorruptError, match=segments[1].stem):
        open_engine()
    assert sorted((tmp_path / "ledger").glob("0*.se*")) == [segments[0], *segments[2:]]


def test_an_older_copy_put_back_is_a_rollback(open_engine: OpenEngine) -> None:
    ledger = open_engine()
    fill(ledger)
    checkpoint = ledger.checkpoint()
    ledger.close()
    open_engine(expected_checkpoint=checkpoint).close()
    ahead = {**checkpoint, "sequence": checkpoint["sequence"] + 1}
    with pytest.raises(LedgerRollbackError, match="holds 11 records"):
        open_engine(expected_checkpoint=ahead)
    other = {**checkpoint, "root_hash": "00" * 32}
    with pytest.raises(LedgerCorruptError, match="history was rewritten"):
        open_engine(expected_checkpoint=other)


def test_a_checkpoint_in_the_middle_of_history_is_recognised(open_engine: OpenEngine) -> None:
    ledger = open_engine()
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    early = ledger.checkpoint()
    ledger.create_transfers(
        [Transfer(id=9, debit_account_id=1, credit_account_id=2, amount=5, ledger=1, code=1)]
    )
    ledger.close()
    open_engine(expected_checkpoint=early).close()
    open_engine(expected_checkpoint=early, read_only=True).close()
