"""The journal: what was acknowledged survives, torn tails go, damage is refused, no PAN shows."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.values import Pan, SecretBytes
from terminal.directory import DirectoryLock
from terminal.errors import (
    DirectoryLockedError,
    JournalDamagedError,
    JournalVersionError,
    JournalWriteError,
    KeyStoreError,
    SealBrokenError,
)
from terminal.journal.codec import decode_line, encode_line
from terminal.journal.records import (
    Answer,
    Completed,
    Header,
    Intent,
    Kind,
    LoggedOn,
    MonthLeft,
    Record,
    ReversalAnswered,
    ReversalCause,
    ReversalQueued,
    ReversalSent,
    SaleItem,
)
from terminal.journal.state import JournalState
from terminal.journal.store import Journal
from terminal.journal.transactions import OrderError, Status
from terminal.keystore import KeyStore, SessionKeys
from terminal.limits import STAN_MAX
from terminal.sealing import Sealer

PAN = Pan("9360099912344821")
KEY = SecretBytes(bytes(range(32)))
T0 = 1_767_575_647 * 10**9


class Counter:
    """Random bytes for tests: different each time, the same in each run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(size, "big")


def sealer(key: SecretBytes = KEY) -> Sealer:
    return Sealer(key, Counter())


def intent(stan: int = 345, **changes: object) -> Intent:
    whole = Intent(
        kind=Kind.PURCHASE,
        stan=stan,
        rrn=f"600509{stan:06d}",
        transmission_time="0105011407",
        started_ns=T0,
        mti="0200",
        processing_code="009800",
        amount_sen=14_150_000,
        batch=12,
        pan=PAN,
        psn="01",
        entry="CHIP",
        items=(SaleItem(code="B5", name="BERAS MEDIUM 5KG", quantity=1, price_sen=7_450_000),),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


STORY: tuple[Record, ...] = (
    intent(1),
    Answer(
        stan=1,
        response_code="00",
        received_ns=T0 + 1,
        approval_code="7K2M9Q",
        balance_sen=75_850_000,
        months=(MonthLeft(period="2026-01", amount_sen=15_850_000),),
        slip_code="9F2C71B044DA",
    ),
    Completed(stan=1, completed_ns=T0 + 2),
    intent(2),
    Answer(stan=2, response_code="55", received_ns=T0 + 3, reason="N=2"),
    intent(3),
    ReversalQueued(
        stan=3,
        reversal_stan=4,
        transmission_time="0105011410",
        queued_ns=T0 + 4,
        cause=ReversalCause.NO_ANSWER,
    ),
    ReversalSent(stan=3, transmission=1, sent_ns=T0 + 5),
    ReversalSent(stan=3, transmission=2, sent_ns=T0 + 6),
    ReversalAnswered(stan=3, response_code="00", answered_ns=T0 + 7),
    intent(5, kind=Kind.VOID, original_stan=1),
    Answer(stan=5, response_code="00", received_ns=T0 + 8),
    Completed(stan=5, completed_ns=T0 + 9),
    LoggedOn(
        merchant_id="EWSMR0000000017",
        log_on="000007",
        shop_name="E-WARONG BERKAH SEMPAJA",
        shop_place="KEL. SEMPAJA SELATAN",
        logged_on_ns=T0 + 10,
    ),
)


def written(path: Path, records: tuple[Record, ...] = STORY) -> bytes:
    journal = Journal.open(path, "12400017", sealer(), now_ns=T0)
    for record in records:
        journal.append(record)
    journal.close()
    return path.read_bytes()


def reopened(path: Path, key: SecretBytes = KEY) -> JournalState:
    journal = Journal.open(path, "12400017", sealer(key), now_ns=T0)
    journal.close()
    return journal.state


def test_state_after_reopening_equals_state_before(tmp_path: Path) -> None:
    written(tmp_path / "journal")
    state = reopened(tmp_path / "journal")
    assert (state.last_stan, state.batch, state.next_stan()) == (5, 12, 6)
    assert state.logged_on == STORY[-1]
    statuses = [transaction.status for transaction in state.transactions.values()]
    assert statuses == [Status.COMPLETED, Status.REFUSED, Status.REVERSED, Status.COMPLETED]
    sale = state.transactions[1]
    assert sale.voided_by == 5
    assert not sale.stands
    assert sale.intent == STORY[0]
    assert sale.answer == STORY[1]
    assert state.transactions[3].transmissions == 2
    assert not state.owed()
    assert not state.undecided()


def test_state_knows_what_a_power_cut_left_open(tmp_path: Path) -> None:
    written(tmp_path / "journal", (*STORY[:3], intent(6), intent(7, kind=Kind.BALANCE)))
    state = reopened(tmp_path / "journal")
    assert [t.intent.stan for t in state.undecided()] == [6]
    found = state.sale_like(PAN, 14_150_000, T0)
    assert found is not None
    assert found.intent.stan == 1
    assert state.sale_like(PAN, 14_150_000, T0 + 1) is None
    assert state.sale_like(PAN, 14_150_100, T0) is None
    assert state.sale_like(Pan("9360099912344822"), 14_150_000, T0) is None


def test_card_number_is_sealed_and_never_in_the_file(tmp_path: Path) -> None:
    content = written(tmp_path / "journal")
    assert PAN.reveal().encode() not in content
    assert PAN.reveal()[6:].encode() not in content
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SealBrokenError, match="journal:"):
        reopened(tmp_path / "journal", SecretBytes(bytes(32)))


def test_file_cut_anywhere_gives_the_records_before_the_cut(tmp_path: Path) -> None:
    content = written(tmp_path / "whole", STORY[:4])
    starts = [i + 1 for i, byte in enumerate(content) if byte == 0x0A]
    near_an_end = {start + step for start in starts for step in (-2, -1, 0, 1)}
    for cut in sorted((near_an_end | set(range(0, len(content), 211))) - {len(content) + 1}):
        path = tmp_path / "cut"
        path.write_bytes(content[:cut])
        state = reopened(path)
        complete = max(0, sum(start <= cut for start in starts) - 1)
        assert len(state.transactions) == len({r.stan for r in STORY[:complete]})  # type: ignore[union-attr]
        kept = content[: max((s for s in starts if s <= cut), default=0)]
        assert path.read_bytes().startswith(kept)


def test_every_flipped_byte_of_acknowledged_data_is_refused_with_its_place(tmp_path: Path) -> None:
    content = written(tmp_path / "whole", STORY[:3])
    header_end = content.index(b"\n") + 1
    path = tmp_path / "flipped"
    for position in range(0, len(content), 31):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0x04]) + content[position + 1 :]
        )
        with pytest.raises((JournalDamagedError, JournalVersionError)) as refused:
            reopened(path)
        assert str(refused.value).startswith(f"{path}:")
        if position > header_end:
            line_start = content.rfind(b"\n", 0, position) + 1
            assert refused.value.external.startswith(f"{path}:{line_start}:")


@pytest.mark.parametrize("change", ["lost", "doubled", "swapped"])
def test_lines_lost_doubled_or_swapped_are_damage(tmp_path: Path, change: str) -> None:
    lines = written(tmp_path / "journal").splitlines(keepends=True)
    if change == "lost":
        del lines[3]
    elif change == "doubled":
        lines.insert(3, lines[3])
    else:
        lines[3], lines[4] = lines[4], lines[3]
    (tmp_path / "journal").write_bytes(b"".join(lines))
    with pytest.raises(JournalDamagedError):
        reopened(tmp_path / "journal")


def test_damaged_last_line_feed_is_damage_not_a_torn_tail(tmp_path: Path) -> None:
    content = written(tmp_path / "journal")
    (tmp_path / "journal").write_bytes(content[:-1] + b"\x0b")
    with pytest.raises(JournalDamagedError, match="line feed"):
        reopened(tmp_path / "journal")


@pytest.mark.parametrize(
    "header",
    [
        Header(version=3, terminal_id="12400017", created_ns=T0),
        Header(version=1, terminal_id="12400018", created_ns=T0),
        intent(1),
    ],
    ids=["another version", "another terminal", "no header"],
)
def test_foreign_journal_is_refused(tmp_path: Path, header: Record) -> None:
    (tmp_path / "journal").write_bytes(encode_line(header, 0, sealer())[0])
    with pytest.raises(JournalVersionError):
        reopened(tmp_path / "journal")


def test_failed_write_closes_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path / "journal", "12400017", sealer(), now_ns=T0)

    def failing(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing)
        with pytest.raises(JournalWriteError, match="No space"):
            journal.append(intent(1))
    assert journal.state.last_stan == 0
    with pytest.raises(JournalWriteError, match="closed"):
        journal.append(intent(1))


@pytest.mark.parametrize(
    ("before", "record"),
    [
        (0, Completed(stan=1, completed_ns=0)),
        (1, Completed(stan=1, completed_ns=0)),
        (1, ReversalSent(stan=1, transmission=1, sent_ns=0)),
        (2, Answer(stan=1, response_code="00", received_ns=0)),
        (2, intent(1)),
        (3, STORY[6]),
        (7, ReversalSent(stan=3, transmission=2, sent_ns=0)),
        (10, ReversalAnswered(stan=3, response_code="00", answered_ns=0)),
    ],
)
def test_record_that_cannot_follow_is_refused(before: int, record: Record) -> None:
    state = JournalState()
    for earlier in STORY[:before]:
        state.apply(earlier)
    with pytest.raises(OrderError):
        state.apply(record)


@settings(max_examples=25)
@given(
    stan=st.integers(1, STAN_MAX),
    amount=st.integers(0, 2**53),
    name=st.text(max_size=18),
    digits=st.text("0123456789", min_size=8, max_size=19),
)
def test_any_intent_reads_back(stan: int, amount: int, name: str, digits: str) -> None:
    item = SaleItem(code="X", name=name, quantity=1, price_sen=amount)
    record = intent(stan, amount_sen=amount, items=(item,), pan=Pan(digits))
    line, crc = encode_line(record, 7, sealer())
    assert decode_line(line[:-1], 7, sealer()) == (record, crc)


def test_stan_goes_round_and_skips_one_in_use() -> None:
    state = JournalState()
    state.apply(intent(1))
    state.apply(Answer(stan=1, response_code="00", received_ns=0))
    state.last_stan = STAN_MAX
    assert state.next_stan() == 2


def test_second_lock_on_a_directory_is_refused_until_the_first_goes(tmp_path: Path) -> None:
    lock = DirectoryLock.take(tmp_path / "t")
    with pytest.raises(DirectoryLockedError):
        DirectoryLock.take(tmp_path / "t")
    lock.release()
    DirectoryLock.take(tmp_path / "t").release()


def test_key_store_keeps_keys_sealed_and_refuses_strangers(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    tmk, session = (
        SecretBytes(b"M" * 16),
        SessionKeys("01", SecretBytes(b"A" * 16), SecretBytes(b"P" * 16)),
    )
    KeyStore.open(path, "12400017", sealer(), tmk).store_session(session)
    assert KeyStore.open(path, "12400017", sealer(), tmk).keys.session == session
    assert path.stat().st_mode & 0o777 == 0o600
    for part in (b"MMMM", b"4d4d", b"AAAA", b"4141", b"5050"):
        assert part not in path.read_bytes()
    for terminal_id, key, master in (
        ("12400018", KEY, tmk),
        ("12400017", SecretBytes(bytes(32)), tmk),
        ("12400017", KEY, SecretBytes(b"N" * 16)),
    ):
        with pytest.raises(KeyStoreError):
            KeyStore.open(path, terminal_id, sealer(key), master)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KeyStoreError):
        KeyStore.open(path, "12400017", sealer(), tmk)


def test_generator_that_repeats_itself_never_repeats_a_nonce() -> None:
    stuck = Sealer(KEY, lambda size: bytes(size))
    sealed = [stuck.seal(content, label) for content in (b"one", b"two") for label in ("a", "b")]
    assert len({value[:12] for value in sealed}) == len(sealed)
    assert stuck.open(sealed[0], "a") == b"one"
    with pytest.raises(SealBrokenError):
        stuck.open(sealed[0], "b")
    for cut in (0, 11, 27, len(sealed[0]) - 1):
        with pytest.raises(SealBrokenError):
            stuck.open(sealed[0][:cut], "a")
