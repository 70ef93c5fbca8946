"""Closed segments are sealed, snapshots shorten the opening, and nothing reads otherwise for it."""

import random
import re
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger import storage
from ledger.errors import LedgerCorruptError, LedgerError
from ledger.port import Entry, Ledger, StatementFilter
from ledger.structures import Account, Transfer
from tests.test_ledger.conftest import OpenEngine, SteppingClock
from tests.test_ledger.ledger_workload import Workload
from tests.test_ledger.test_ledger_format import raw_of, sealed_parts

SIZE = 16_384
MOVE = {"debit_account_id": 1, "credit_account_id": 2, "amount": 1, "ledger": 1, "code": 1}
END = {"debit_account_id": 0, "credit_account_id": 0, "amount": 0, "ledger": 0, "code": 0}


def work_on(ledger: Ledger, clock: SteppingClock, seed: int, batches: int) -> None:
    """Post a seeded workload, accounts first."""
    work = Workload(random.Random(seed))
    ledger.create_accounts(work.accounts())
    for _ in range(batches):
        clock.advance(work.rng.choice((0, 0.5, 1)))
        ledger.create_transfers(work.transfers(work.rng.choice((2, 8, 30))))


def touches(entry: Entry, account_id: int) -> bool:
    return entry.status == 4_294_967_295 and account_id in (
        entry.transfer.debit_account_id,
        entry.transfer.credit_account_id,
    )


def check_reads(ledger: Ledger) -> None:
    """Compare every read of an account with what the whole list of entries gives."""
    entries = list(ledger.entries())
    rng = random.Random(5)
    for account in ledger.accounts():
        mine = [entry for entry in entries if touches(entry, account.id)]
        assert ledger.statement(StatementFilter(account_id=account.id, limit=8_000)) == mine
        for _ in range(6):
            low, high = sorted(rng.choice(entries).transfer.timestamp for _ in range(2))
            cursor = rng.choice((0, rng.choice(entries).sequence))
            reverse = rng.random() < 0.5
            wanted = StatementFilter(
                account_id=account.id, timestamp_min=low, timestamp_max=high, reverse=reverse,
                cursor=cursor, limit=rng.choice((1, 3, 100)),
            )  # fmt: skip
            due = [
                entry
                for entry in mine
                if low <= entry.transfer.timestamp <= high
                and (not cursor or (entry.sequence < cursor) == reverse)
                and entry.sequence != cursor
            ]
            due = due[::-1] if reverse else due
            assert ledger.statement(wanted) == due[: wanted.limit]
            at = rng.randrange(1, ledger.last_sequence + 2)
            before = [entry for entry in mine if entry.sequence <= at]
            balance = 0
            if before:
                last = before[-1]
                debit = last.transfer.debit_account_id == account.id
                balance = last.debit_balance_after if debit else last.credit_balance_after
            got = ledger.balance_at(account.id, sequence=at)
            assert got in (balance, None)
            assert (got is None) == (at < _born(ledger, account))


def _born(ledger: Ledger, account: Account) -> int:
    """Give the sequence of an account's record: the first instant at which it has a balance."""
    low, high = 1, ledger.last_sequence
    while low < high:
        middle = (low + high) // 2
        if ledger.balance_at(account.id, sequence=middle) is None:
            low = middle + 1
        else:
            high = middle
    return low


@pytest.mark.parametrize("snapshots", [True, False])
def test_reads_over_sealed_segments_are_those_of_the_whole_history(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path, snapshots: bool
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=3, batches=60)
    check_reads(ledger)
    before = list(ledger.entries()), list(ledger.accounts()), ledger.checkpoint()
    ledger.close()
    directory = tmp_path / "ledger"
    assert len(list(directory.glob("*.seal"))) >= 3
    assert len(list(directory.glob("0*.seg"))) == 1
    if not snapshots:
        for path in directory.glob("*.snap"):
            path.unlink()
    ledger = open_engine(expected_checkpoint=before[2])
    assert (list(ledger.entries()), list(ledger.accounts()), ledger.checkpoint()) == before
    check_reads(ledger)
    for entry in before[0]:
        assert ledger.lookup_entries([entry.transfer.id]) == [entry] or not entry.transfer.id
    assert ledger.lookup_entries([123_456_789]) == [None]
    assert ledger.verify().records == ledger.last_sequence


def test_an_id_a_refusal_and_a_resolved_hold_answer_the_same_once_they_are_sealed(
    open_engine: OpenEngine, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=SIZE)
    ledger.create_accounts([Account(id=n, ledger=1, code=1, flags=2 * (n == 3)) for n in (1, 2, 3)])
    history = [
        Transfer(id=10, **MOVE),
        Transfer(id=1 << 90, **{**MOVE, "debit_account_id": 3}),  # Refused: nothing there.
        Transfer(id=12, **MOVE, flags=2),
        Transfer(id=13, **END, pending_id=12, flags=8),
        Transfer(id=15, **MOVE, flags=2),
    ]
    ledger.create_transfers(history)
    again = [*history[:4], Transfer(id=14, **END, pending_id=12, flags=8)]
    answers = ledger.create_transfers(again)
    statuses = [answer.status.name for answer in answers]
    assert statuses == [
        "EXISTS", "ID_ALREADY_FAILED", "EXISTS", "EXISTS", "PENDING_TRANSFER_ALREADY_VOIDED",
    ]  # fmt: skip
    for first in range(1_000, 1_400, 40):
        ledger.create_transfers([Transfer(id=first + n, **MOVE) for n in range(40)])
    assert [answer.status.name for answer in ledger.create_transfers(again)] == statuses
    ledger.close()
    assert (tmp_path / "ledger" / "00000001.seal").exists()
    ledger = open_engine()
    assert [answer.status.name for answer in ledger.create_transfers(again)] == statuses
    assert ledger.lookup_accounts([1])[0].debits_pending == 1  # type: ignore[union-attr]
    end = Transfer(id=16, **{**END, "amount": (1 << 128) - 1}, pending_id=15, flags=4)
    assert ledger.create_transfers([end])[0].status.name == "CREATED"


def test_three_newest_snapshots_stay_and_damaged_ones_are_passed_over(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=4, batches=80)
    before = list(ledger.accounts()), ledger.checkpoint()
    ledger.close()
    snapshots = sorted((tmp_path / "ledger").glob("*.snap"))
    assert len(snapshots) == 3
    # The magic, the last sequence, and a balance of which only the digest knows.
    for position, path in zip((5, 100, 208), snapshots, strict=True):
        content = bytearray(path.read_bytes())
        content[position] ^= 1
        path.write_bytes(content)
        ledger = open_engine(read_only=True)
        assert (list(ledger.accounts()), ledger.checkpoint()) == before
        with pytest.raises(LedgerCorruptError, match=rf"{snapshots[0].name}.*offset \d+"):
            ledger.verify()
        ledger.close()


def test_half_made_seals_and_snapshots_are_removed(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=4, batches=30)
    ledger.close()
    for name in ("seal.tmp", "snapshot.tmp"):
        (tmp_path / "ledger" / name).write_bytes(b"LMBSEL\x01\x00 torn")
    open_engine().close()
    assert not list((tmp_path / "ledger").glob("*.tmp"))


def test_a_raw_segment_beside_its_sealed_one_is_in_force_and_sealed_again(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=6, batches=40)
    checkpoint = ledger.checkpoint()
    ledger.close()
    sealed = tmp_path / "ledger" / "00000002.seal"
    raw = tmp_path / "ledger" / "00000002.seg"
    content = sealed.read_bytes()
    raw.write_bytes(raw_of(content))
    sealed.write_bytes(b"half of it")
    reader = open_engine(read_only=True)
    assert reader.checkpoint() == checkpoint
    reader.close()
    assert raw.exists()
    ledger = open_engine()
    assert ledger.checkpoint() == checkpoint
    ledger.close()
    assert sealed.read_bytes() == content
    assert not raw.exists()


def flips(content: bytes, step: int) -> Iterator[tuple[int, bytes]]:
    for position in range(0, len(content), step):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        yield position, bytes(damaged)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["00000001.seal", "00000002.seal"])
def test_a_flipped_bit_of_a_sealed_segment_is_named_and_never_read(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path, name: str
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=7, batches=30)
    ledger.close()
    directory = tmp_path / "ledger"
    snapshots = {path: path.read_bytes() for path in directory.glob("*.snap")}
    content = (directory / name).read_bytes()
    for position, damaged in flips(content, step=97):
        (directory / name).write_bytes(damaged)
        for path in snapshots:  # From genesis the damage is found at once.
            path.unlink()
        with pytest.raises(LedgerCorruptError, match=rf"{name}.*offset \d+"):
            open_engine(read_only=True)
        for path, whole in snapshots.items():  # From a snapshot at once, or by those who look.
            path.write_bytes(whole)
        with pytest.raises(LedgerCorruptError, match=rf"{name}.*offset \d+"):
            scrubbed(open_engine, position)
    (directory / name).write_bytes(content)
    ledger = open_engine()
    assert ledger.verify().sum_minor == 0


def scrubbed(open_engine: OpenEngine, position: int) -> None:
    reader = open_engine(read_only=True)
    try:
        reader.scrub()
        pytest.fail(f"a flipped bit at {position} was not seen")
    finally:
        reader.close()


@pytest.mark.parametrize("cut", [0, 100, 4_096, 5_000, -4, -1])
def test_a_truncated_sealed_segment_is_refused(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path, cut: int
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=7, batches=30)
    ledger.close()
    sealed = tmp_path / "ledger" / "00000001.seal"
    sealed.write_bytes(sealed.read_bytes()[:cut])
    with pytest.raises(LedgerCorruptError, match=r"00000001\.seal.*offset \d+"):
        open_engine()


def test_a_sealed_segment_without_its_successor_is_refused(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=7, batches=30)
    ledger.close()
    (last,) = (tmp_path / "ledger").glob("0*.seg")
    last.unlink()
    with pytest.raises(LedgerCorruptError, match=re.escape(last.name)):
        open_engine()


@pytest.mark.parametrize("count", [1, 90])
def test_a_sealed_record_costs_less_than_two_hundred_bytes_with_its_index(
    open_engine: OpenEngine, tmp_path: Path, count: int
) -> None:
    ledger = open_engine(segment_size=256 * SIZE if count == 1 else 16 * SIZE)
    ledger.create_accounts([Account(id=n, ledger=1, code=1) for n in range(1, 41)])
    rng = random.Random(1)
    numbers = iter(range(1, 5_000))
    batches = 1_060 if count == 1 else 50
    for _ in range(batches):
        pairs = [rng.sample(range(1, 41), 2) for _ in range(count)]
        ledger.create_transfers(
            [
                Transfer(
                    id=rng.getrandbits(127), amount=next(numbers), ledger=1, code=1,
                    debit_account_id=one, credit_account_id=other,
                )
                for one, other in pairs
            ]
        )  # fmt: skip
    ledger.close()
    path = tmp_path / "ledger" / "00000001.seal"
    records = int.from_bytes(path.read_bytes()[140:144], "little")
    assert records > 1_000
    assert path.stat().st_size / records < 200


def test_a_reader_goes_on_while_raw_segments_are_sealed_away_under_it(
    open_engine: OpenEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(storage, "FILES_OPEN_MAX", 1)  # Nothing stays open in its stead.
    writer = open_engine(segment_size=SIZE)
    writer.create_accounts([Account(id=n, ledger=1, code=1) for n in (1, 2)])
    writer.create_transfers([Transfer(id=n, **MOVE) for n in range(10, 20)])
    reader = open_engine(read_only=True)
    early = list(reader.entries())
    for first in range(100, 1_000, 60):
        writer.create_transfers([Transfer(id=first + n, **MOVE) for n in range(60)])
        if first % 120:
            assert reader.refresh() == writer.last_sequence  # type: ignore[attr-defined]
    while (tmp_path / "ledger" / "00000001.seg").exists():
        time.sleep(0.01)
    assert list(reader.entries())[:10] == early
    assert reader.lookup_entries([10]) == early[:1]
    assert reader.refresh() == writer.last_sequence  # type: ignore[attr-defined]
    assert list(reader.entries()) == list(writer.entries())
    assert reader.verify().records == writer.last_sequence
    if reader.engine == "pure":  # What it has seen sealed does not stay in its memory.
        books = reader._opened.books  # type: ignore[attr-defined]
        assert len(books.index) < 200 < len(list(writer.entries()))


def rewritten(sealed: bytes, offset: int) -> bytes:
    """Change a byte of a sealed segment and make every checksum over it right again."""
    content = bytearray(sealed)
    content[offset] ^= 1
    if offset >= 4_096:
        blocks = (len(sealed) - 4_096) // 4_100
        table = len(sealed) - 4 * blocks
        block = offset // 4_096
        checksum = zlib.crc32(content[4_096 * block : 4_096 * (block + 1)])
        struct.pack_into("<I", content, table + 4 * (block - 1), checksum)
        struct.pack_into("<I", content, 280, zlib.crc32(content[table:]))
    struct.pack_into("<I", content, 284, zlib.crc32(content[:284]))
    return bytes(content)


@pytest.mark.parametrize("snapshots", [True, False])
def test_a_sealed_segment_rewritten_with_sound_checksums_is_found_by_a_verification(
    open_engine: OpenEngine, clock: SteppingClock, tmp_path: Path, snapshots: bool
) -> None:
    ledger = open_engine(segment_size=SIZE)
    work_on(ledger, clock, seed=7, batches=30)
    ledger.close()
    directory = tmp_path / "ledger"
    if not snapshots:
        for path in directory.glob("*.snap"):
            path.unlink()
    path = directory / "00000001.seal"
    content = path.read_bytes()
    parts = sealed_parts(content)
    sizes, offset, places = [(name, len(part)) for name, part in parts.items()], 4_096, [150, 190]
    for _, size in sizes:
        places += [offset + size * step // 3 for step in range(3) if size]
        offset += -(-size // 64) * 64
    for position in places:
        path.write_bytes(rewritten(content, position))
        with pytest.raises(LedgerError, match=r"0000000[12]\.seal.*offset \d+"):
            opened_and_verified(open_engine, position)
    path.write_bytes(content)
    opened_and_verified(open_engine, 0, sound=True)


def opened_and_verified(open_engine: OpenEngine, position: int, *, sound: bool = False) -> None:
    reader = open_engine(read_only=True)
    try:
        reader.verify()
        if not sound:
            pytest.fail(f"a rewritten byte at {position} was not seen")
    finally:
        reader.close()
