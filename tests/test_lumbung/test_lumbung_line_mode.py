"""The terminal line by line where somebody types: on a pty without a window, and cut short."""

import asyncio
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from lumbung.commands.terminal_run import _has_window
from lumbung.faces import LineFace
from lumbung.typed_input import LINE_MAX_BYTES, TypedInput
from terminal.purchase.flow import OperatorFlow
from terminal.purchase.table import FlowState


async def nobody(_typed: str) -> None:
    return None


@pytest.fixture
def pair() -> tuple[int, int]:
    """Give both ends of a pseudo-terminal: the people's, and the program's."""
    return pty.openpty()


async def test_secret_line_is_not_shown_and_the_terminal_is_left_as_it_was(
    pair: tuple[int, int],
) -> None:
    people, program = pair
    before = termios.tcgetattr(program)
    typed = TypedInput(program)
    asking = asyncio.ensure_future(typed.line(secret=True))
    await asyncio.sleep(0)
    os.write(people, b"271828\n")
    assert await asking == "271828"
    os.write(people, b"shown\n")
    assert await typed.line() == "shown"
    seen = os.read(people, 100)
    assert b"271828" not in seen
    assert b"shown" in seen
    assert termios.tcgetattr(program) == before
    asking = asyncio.ensure_future(typed.line(secret=True))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert termios.tcgetattr(program) == before
    os.close(people)
    assert await typed.line() is None
    os.close(program)


async def test_lines_come_from_a_file_a_pipe_and_nothing_to_their_end(tmp_path: Path) -> None:
    (tmp_path / "typed").write_bytes(b"one\r\ntwo\nlast")
    with (tmp_path / "typed").open("rb") as file:
        from_file = TypedInput(file.fileno())
        assert [await from_file.line() for _ in range(4)] == ["one", "two", "last", None]
    reading, writing = os.pipe()
    os.write(writing, b"x" * 10_000 + b"\nnext\n")
    os.close(writing)
    from_pipe = TypedInput(reading)
    first = await from_pipe.line()
    assert first is not None
    assert len(first) == LINE_MAX_BYTES
    assert await from_pipe.line() == "next"
    assert await from_pipe.line() is None
    os.close(reading)
    nothing = os.open(os.devnull, os.O_RDONLY)
    assert await TypedInput(nothing).line() is None
    os.close(nothing)


async def test_program_without_standard_input_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    typed = TypedInput()
    assert not typed.is_terminal
    assert await typed.line(secret=True) is None
    assert not _has_window("xterm")


async def test_menu_and_goods_are_listed_where_somebody_sees_them(pair: tuple[int, int]) -> None:
    people, program = pair
    os.write(people, b"3\n-\n")
    said: list[str] = []
    face = LineFace(TypedInput(program), nobody, said.append)
    flow = OperatorFlow(state=FlowState.MENU, facts={"batch": "000001", "count": "0"})
    assert await face.choice(flow) == "3"
    flow.state = FlowState.ITEMS
    assert await face.ask(flow) is None
    told = "".join(said)
    assert "3 CEK SALDO" in told
    assert "BERAS" in told
    assert "Ketik: nomor jumlah harga" in told
    os.close(people)
    os.close(program)


@pytest.mark.slow
def test_no_window_is_tried_where_none_can_be_drawn() -> None:
    people, program = pty.openpty()
    script = (
        "import sys; from lumbung.commands.terminal_run import _has_window;"
        "sys.exit(any(map(_has_window, ('nosuchterm', '', None, 'dumb'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=program, stdout=program, check=False, timeout=30
    )
    assert done.returncode == 0
    os.close(people)
    os.close(program)
