"""The log leaves out what comes too often and says how much; errors are always written."""

import json
from pathlib import Path

import structlog

from lumbung.logs import LINE_KINDS_MAX, LINES_BURST, LogFile, Sampling, log_to
from lumbung.testing.terminals import VirtualClock


def written(sampling: Sampling, method: str = "info", **event: object) -> object:
    """Give what is left out before this line, None for a line that is left out itself."""
    try:
        return sampling(None, method, dict(event)).get("left_out", 0)
    except structlog.DropEvent:
        return None


def test_flood_of_one_kind_is_left_out_and_counted_and_hides_no_other():
    clock = VirtualClock()
    sampling = Sampling(clock)
    told = [written(sampling, event="rejected", code="63") for _ in range(LINES_BURST + 7)]
    assert told == [0] * LINES_BURST + [None] * 7
    assert written(sampling, event="rejected", code="03") == 0
    assert written(sampling, event="declined", code="63") == 0
    clock.pass_ms(1_000)
    assert written(sampling, event="rejected", code="63") == 7
    assert written(sampling, event="rejected", code="63") is None


def test_errors_are_always_written():
    sampling = Sampling(VirtualClock())
    told = [written(sampling, "error", event="unfit") for _ in range(LINES_BURST + 1)]
    assert None not in told


def test_kinds_beyond_their_number_share_one():
    sampling = Sampling(VirtualClock())
    for number in range(LINE_KINDS_MAX):
        written(sampling, event=f"kind {number}")
    told = [written(sampling, event=f"more {number}") for number in range(LINES_BURST + 1)]
    assert told == [0] * LINES_BURST + [None]


def test_file_holds_no_more_lines_than_that(tmp_path):
    path = tmp_path / "lumbung.log"
    with log_to(path):
        log = structlog.get_logger("test")
        for number in range(LINES_BURST * 2):
            log.info("rejected", code="63", number=number)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert LINES_BURST <= len(lines) <= LINES_BURST + 5
    assert [line["number"] for line in lines[:LINES_BURST]] == list(range(LINES_BURST))


def test_full_disk_loses_lines_says_how_many_and_raises_nothing(tmp_path):
    with Path("/dev/full").open("ab", buffering=0) as full:
        file = LogFile(tmp_path / "lumbung.log")
        room, file._file = file._file, full
        path, file._path = file._path, Path("/dev/full")
        file.write("one\n")
        file.write("two\n")
    file._file, file._path = room, path
    file.write("three\n")
    file.write("four\n")
    file.close()
    lines = (tmp_path / "lumbung.log").read_text("utf-8").splitlines()
    assert json.loads(lines[0]) == {"event": "log lines lost", "lost": 2}
    assert lines[1:] == ["three", "four"]


def test_file_that_rotation_moved_away_or_took_is_begun_anew(tmp_path):
    path, moved = tmp_path / "lumbung.log", tmp_path / "lumbung.log.1"
    file = LogFile(path)
    file.write("one\n")
    path.rename(moved)
    file.write("two\n")
    path.unlink()
    file.write("three\n")
    file.write("four\n")
    file.close()
    assert (moved.read_text(), path.read_text()) == ("one\n", "three\nfour\n")


def test_file_that_cannot_be_begun_anew_loses_lines_until_it_can(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    file = LogFile(folder / "lumbung.log")
    (folder / "lumbung.log").unlink()
    folder.rmdir()
    file.write("lost\n")
    folder.mkdir()
    file.write("kept\n")
    file.close()
    first, second = (folder / "lumbung.log").read_text().splitlines()
    assert json.loads(first) == {"event": "log lines lost", "lost": 1}
    assert second == "kept"
