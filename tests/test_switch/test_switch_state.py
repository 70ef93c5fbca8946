"""The state file: durable, exclusive, refuses what is not its own."""

import sqlite3
from datetime import date

import pytest

from switch.changes import (
    AtcMarksKept,
    BusinessDateMoved,
    KeySetActivated,
    KeySetIssued,
    LoggedOff,
    LoggedOn,
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
    with pytest.raises(StateError):
        StateFile(path)


def test_directory_that_is_not_there_is_told(path):
    with pytest.raises(StateError, match="cannot be created"):
        StateFile(path.parent / "none" / "switch.sqlite")


def test_file_is_for_its_owner_only(path):
    StateFile(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_key_blocks_do_not_show_in_a_repr():
    assert "mac" not in repr(KeySetIssued("T1", 1, "mac-block", "pin-block"))
