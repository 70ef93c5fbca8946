"""The state file: durable, exclusive, refuses what is not its own."""

import sqlite3
from datetime import date

import pytest

from switch import state_tables
from switch.changes import (
    AtcMarksKept,
    BatchClosed,
    BatchDisputed,
    BatchesKept,
    BatchOpened,
    BatchSetAside,
    BatchTotals,
    BatchUploaded,
    BusinessDateMoved,
    KeptBatch,
    KeySetActivated,
    KeySetIssued,
    LoggedOff,
    LoggedOn,
    OutageCounted,
    OutageReleased,
    PinChanged,
    PinTriesCleared,
    PinTryCharged,
)
from switch.marks import pack_mark
from switch.state import StateError, StateFile, StateForeignError


@pytest.fixture
def path(directory):
    return directory / "switch.sqlite"


def reopened(path, *groups):
    state = StateFile(path)
    for changes in groups:
        state.commit(changes)
    state.close()
    state = StateFile(path)
    snapshot = state.load()
    state.close()
    return snapshot


def test_changes_are_there_after_reopening(path):
    huge = (1 << 128) - 2
    snapshot = reopened(
        path,
        [PinTryCharged(7, huge, 1), PinTryCharged(7, 5, 2), PinTryCharged(8, 6, 1)],
        [
            PinTriesCleared(8, ""),
            LoggedOn("T1", "EW1", "OP1", 4),
            BusinessDateMoved(date(2026, 1, 5), 0),
        ],
        [LoggedOn("T2", "EW1", "OP1", 5), LoggedOff("T2"), BusinessDateMoved(date(2026, 1, 6), 9)],
    )
    assert snapshot.pin_tries == {7: (huge, 5)}
    assert snapshot.log_ons == {"T1": LoggedOn("T1", "EW1", "OP1", 4)}
    assert snapshot.business_date == BusinessDateMoved(date(2026, 1, 6), 9)
    assert (snapshot.atc_marks, snapshot.marks_sequence) == ({}, 0)


def test_activated_set_voids_the_others_and_comes_first(path):
    one, two, three = (KeySetIssued("T1", n, f"mac{n}", f"pin{n}") for n in (1, 2, 9_999))
    snapshot = reopened(
        path, [one, KeySetActivated("T1", 1), three, KeySetActivated("T1", 9_999), two]
    )
    assert snapshot.key_sets == {"T1": (three, two)}
    assert snapshot.active_sets == {"T1": 9_999}


def test_kept_marks_add_to_those_kept_before(path):
    huge = (1 << 127) + 5
    first = AtcMarksKept(4, ((huge, 1, pack_mark(7, 5)), (2, 0, pack_mark(9, 1))))
    snapshot = reopened(path, [first], [AtcMarksKept(8, ((huge, 1, pack_mark(8, 11)),))])
    assert snapshot.atc_marks == {(huge, 1): pack_mark(8, 11), (2, 0): pack_mark(9, 1)}
    assert snapshot.marks_sequence == 8


def test_numbers_that_begin_again_void_the_higher_ones(path):
    last, first = (KeySetIssued("T1", n, f"mac{n}", f"pin{n}") for n in (9_999, 1))
    snapshot = reopened(path, [last, KeySetActivated("T1", 9_999), first, KeySetActivated("T1", 1)])
    assert snapshot.key_sets == {"T1": (first,)}


def test_changes_of_one_turn_are_kept_all_or_not_at_all(path):
    state = StateFile(path)
    with pytest.raises(StateError):
        state.commit([PinTryCharged(7, 1, 1), PinTryCharged(7, 2, 1)])
    assert state.load().pin_tries == {}
    state.commit([PinTryCharged(7, 1, 1)])
    assert state.load().pin_tries == {7: (1,)}
    state.close()


def test_second_opener_is_refused(path):
    state = StateFile(path)
    with pytest.raises(StateError, match=r"cannot be opened.*another switch"):
        StateFile(path)
    state.close()
    StateFile(path).close()


def test_foreign_files_are_refused_and_left_alone(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE other (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StateForeignError, match="not a switch state file"):
        StateFile(path)
    assert path.read_bytes() == before
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(StateError, match=r"is damaged.*from its backup"):
        StateFile(path)


def test_damaged_pages_are_told_as_damage(path):
    reopened(path, [PinTryCharged(7, 1, 1)])
    raw = bytearray(path.read_bytes())
    for place in range(4_096, len(raw), 97):
        raw[place] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(StateError, match="is damaged"):
        StateFile(path).load()


def test_directory_that_is_not_there_is_told(path):
    with pytest.raises(StateError, match="cannot be created"):
        StateFile(path.parent / "none" / "switch.sqlite")


def test_file_is_for_its_owner_only(path):
    StateFile(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_key_blocks_do_not_show_in_a_repr():
    assert "mac" not in repr(KeySetIssued("T1", 1, "mac-block", "pin-block"))


def test_file_of_version_2_is_led_to_this_one_with_all_that_it_held(path):
    old = sqlite3.connect(path)
    for statement in state_tables._BASE.strip().rstrip(";").split(";\n"):
        old.execute(statement)
    old.execute("INSERT INTO pin_try VALUES (7, 1, x'00000000000000000000000000000005')")
    old.execute("INSERT INTO atc_mark VALUES (x'00000000000000000000000000000002', 3, 9)")
    old.execute("INSERT INTO log_on VALUES ('T1', 'EW1', 'OP1', 4)")
    old.execute("PRAGMA application_id = 1280136023")
    old.execute("PRAGMA user_version = 2")
    old.commit()
    old.close()
    snapshot = reopened(path)
    assert snapshot.pin_tries == {7: (5,)}
    assert snapshot.log_ons["T1"].merchant_id == "EW1"
    assert snapshot.atc_marks == {(2, 3): pack_mark(9, 1)}
    assert (snapshot.batches, snapshot.pins) == ((), {})
    assert reopened(path, [BatchOpened(1, 17, 12, 5, date(2026, 1, 5))]).last_batch_id == 1


def test_file_of_another_version_is_refused(path):
    StateFile(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 4")
    other.close()
    with pytest.raises(StateForeignError):
        StateFile(path)


def test_batches_come_back_open_disputed_and_last_closed(path):
    day, totals = date(2026, 1, 5), BatchTotals(2, 300, 1, 100, 0, 0)
    closed = [BatchClosed(n, 17, n, 70 + n, totals, totals, day, 40 + n) for n in (1, 2)]
    snapshot = reopened(
        path,
        [BatchOpened(n, 17, n, n, day) for n in (1, 2, 3)],
        closed,
        [BatchOpened(4, 18, 1, 9, day), BatchDisputed(4, totals)],
        [BatchUploaded(4, 99, "009800", 100, 0), BatchUploaded(4, 99, "009800", 100, 100)],
        [BatchesKept(((3, 55, totals),)), BatchOpened(5, 18, 2, 9, day)],
        [BatchSetAside(5, 60, totals)],
    )
    assert snapshot.closed_batches == (closed[1],)
    assert snapshot.batches == (
        KeptBatch(3, 17, 3, 3, 55, totals, is_disputed=False, uploads=0),
        KeptBatch(4, 18, 1, 9, 9, BatchTotals(), is_disputed=True, uploads=1),
    )
    assert snapshot.last_batch_id == 5


def test_what_was_settled_long_ago_is_dropped_at_a_cut_over(path):
    old, totals = date(2024, 1, 1), BatchTotals()
    state = StateFile(path)
    for number in (1, 2):
        state.commit(
            [
                BatchOpened(number, 17, number, 0, old),
                BatchUploaded(number, number, "009800", 1, 1),
                BatchClosed(number, 17, number, number, totals, totals, old, 1),
                OutageCounted(number, 5, 17, old, 100),
            ]
        )
    state.commit([BatchOpened(3, 17, 3, 0, old)])
    state.commit([BusinessDateMoved(date(2026, 1, 5), 9)])
    batches, uploads = state.batches()
    kept = state.load()
    state.close()
    assert [(row.batch_id, row.state) for row in batches] == [(2, "closed"), (3, "open")]
    assert [one.batch_id for one in uploads] == [2]
    assert kept.outage_sales == ()


def test_changed_pin_and_vouchers_are_there_after_reopening_and_show_nothing(path):
    voucher = OutageCounted(9, 5, 17, date(2026, 1, 5), 100)
    changed = PinChanged(7, "123456", "654321", 11)
    snapshot = reopened(
        path,
        [voucher, OutageCounted(10, 5, 17, date(2026, 1, 5), 100), OutageReleased(10)],
        [PinChanged(7, "000000", "654321", 10), changed],
    )
    assert snapshot.outage_sales == (voucher,)
    assert snapshot.pins == {7: changed}
    assert "123456" not in repr(changed)
