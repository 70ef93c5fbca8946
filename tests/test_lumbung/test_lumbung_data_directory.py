"""The data directory: whose it is, who may write, what happens to what is not ours."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lumbung.data_directory import MANIFEST, DataDirectory, DataDirectoryError, read_manifest
from lumbung.story.run import next_day


def open_story(root: Path) -> DataDirectory:
    return DataDirectory.open(root, kind="story", seed=7, created="2026-01-05T09:00:00+08:00")


def test_open_missing_directory_makes_the_layout(tmp_path: Path) -> None:
    with open_story(tmp_path / "new") as data:
        assert data.fresh
        assert data.manifest.seed == 7
        assert (data.cards.stat().st_mode & 0o777) == 0o700
    with open_story(tmp_path / "new") as data:
        assert not data.fresh


def test_open_keeps_the_first_manifest(tmp_path: Path) -> None:
    open_story(tmp_path).close()
    with DataDirectory.open(tmp_path, kind="story", seed=8, created="later") as data:
        assert data.manifest.seed == 7


def test_open_foreign_directory_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataDirectoryError, match="holds other files"):
        open_story(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_open_twice_names_the_process_that_has_it(tmp_path: Path) -> None:
    with open_story(tmp_path), pytest.raises(DataDirectoryError, match=rf"pid {os.getpid()}"):
        open_story(tmp_path)
    open_story(tmp_path).close()


def test_open_in_use_by_another_process_is_refused(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c",
         "import sys; from pathlib import Path; from lumbung.data_directory import DataDirectory;"
         "d = DataDirectory.open(Path(sys.argv[1]), kind='story', seed=7, created='x');"
         "print('held', flush=True); sys.stdin.read()", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(DataDirectoryError, match=f"pid {holder.pid}"):
            open_story(tmp_path)
    finally:
        holder.communicate("")


def test_open_after_kill_before_the_manifest_starts_afresh(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4242\n")
    with open_story(tmp_path) as data:
        assert data.fresh


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        (json.dumps({"format": 1}), "cannot be read"),
        (json.dumps({"format": 2, "kind": "story", "seed": 1, "created": "x"}), "format 2"),
        (json.dumps({"format": 1, "kind": "city", "seed": 1, "created": "x"}), "holds a city"),
    ],
)
def test_open_manifest_that_is_wrong_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(DataDirectoryError, match=said):
        open_story(tmp_path)
    assert (tmp_path / MANIFEST).read_text() == content


def test_read_manifest_of_another_directory_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="not a lumbung data directory"):
        read_manifest(tmp_path)


def test_open_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirectoryError, match="cannot be made"):
        open_story(tmp_path / "file")


@pytest.fixture
def as_ordinary_user() -> Iterator[None]:
    """Root writes everywhere: step down for the length of a test."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.fixture
def read_only_directory() -> Iterator[Path]:
    """Not under pytest's own folder, which another user may not even enter."""
    folder = Path(tempfile.mkdtemp(prefix="lumbung-read-only-"))
    folder.chmod(0o555)
    yield folder
    folder.rmdir()


@pytest.mark.usefixtures("as_ordinary_user")
def test_open_read_only_directory_is_refused(read_only_directory: Path) -> None:
    with pytest.raises(DataDirectoryError, match="cannot be written"):
        open_story(read_only_directory)


def test_read_manifest_of_a_file_says_that_it_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("x")
    with pytest.raises(DataDirectoryError, match="cannot be read"):
        read_manifest(file)


@pytest.mark.parametrize("content", [b"\x00\xff", b"{}", b"[]", b'{"day": "2"}', b'{"day": -1}'])
def test_next_day_with_a_damaged_count_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    with open_story(tmp_path) as data:
        count = tmp_path / "story.json"
        count.write_bytes(content)
        with pytest.raises(DataDirectoryError, match=r"story\.json"):
            next_day(data)
        assert count.read_bytes() == content
        count.write_text('{"day": 4}')
        assert next_day(data).number == 5
