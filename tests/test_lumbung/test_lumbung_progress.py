"""How far a command is: a bar that is drawn again on a terminal, lines for everything else."""

import pytest

from lumbung.progress import BAR_CHARACTERS, bar, progress


@pytest.mark.parametrize(("done", "of", "filled"), [(0, 4, 0), (1, 4, 7), (4, 4, 30), (0, 0, 30)])
def test_bar_is_as_long_as_what_is_done(done, of, filled):
    assert bar(done, of) == "[" + "#" * filled + "-" * (BAR_CHARACTERS - filled) + "]"


def test_terminal_sees_one_line_drawn_again_and_a_pipe_sees_lines(capsys, monkeypatch):
    progress("lines read")(5_000, 10_000)
    assert capsys.readouterr().err == "5,000 of 10,000 lines read\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    tell = progress("lines read")
    tell(5_000, 10_000)
    tell(10_000, 10_000)
    said = capsys.readouterr()
    assert said.out == ""
    first, last, rest = said.err.split("\r")
    assert first.endswith("] 5,000 of 10,000 lines read")
    assert last.endswith("] 10,000 of 10,000 lines read")
    assert (rest, "\n" in first) == ("\n", False)
