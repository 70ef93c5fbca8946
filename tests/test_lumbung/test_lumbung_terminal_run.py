"""`lumbung terminal run`: line by line and in a real window on a pty, against a running switch."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lumbung.data_directory import DataDirectory
from lumbung.story.run import run, story_created

pytestmark = pytest.mark.slow
LUMBUNG = [sys.executable, "-m", "lumbung"]
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\([A-Z0-9]|\x0f")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Give a data directory and the address of the switch that runs on it."""
    root = tmp_path_factory.mktemp("run") / "data"
    with DataDirectory.open(root, kind="story", seed=7, created=story_created()) as data:
        run(data, lambda _text: None, lambda _step: None)
    command = [*LUMBUNG, "switch", "run", "--data", str(root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as switch:
        assert switch.stdout is not None
        found = re.search(r"127\.0\.0\.1:\d+", switch.stdout.readline())
        assert found is not None
        yield root, found.group()
        switch.send_signal(signal.SIGTERM)
        switch.communicate(timeout=30)


def by_line(city: tuple[Path, str], typed: str, *more: str) -> subprocess.CompletedProcess[str]:
    root, address = city
    command = [*LUMBUNG, "terminal", "run", "--data", str(root), "--host", address, *more]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=50)


def pin_at(city: tuple[Path, str], place: int) -> str:
    from lumbung.commands.terminal import holder_of, offices_of

    with offices_of(city[0]) as offices:
        return holder_of(offices, place).pin


def test_script_sells_voids_and_settles_and_tells_each_result_as_json(
    city: tuple[Path, str],
) -> None:
    pin = pin_at(city, 40)
    typed = f"12\n1\n25000\n40\n{pin}\n3\n40\n8\n1\n"
    done = by_line(city, typed, "--terminal", "12400003", "--json")
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [(r["kind"], r["outcome"]) for r in results]
    assert kinds == [("purchase", "00"), ("balance", "00"), ("settlement", "00")]
    assert results[2]["totals"][0]["sales_sen"] == 2_500_000
    assert pin not in done.stdout + done.stderr


def test_bad_entries_are_told_in_one_sentence_and_move_no_money(city: tuple[Path, str]) -> None:
    typed = "12\n1\n0\n-5\n12,5\n99999999999\n-\n77\n5\n999\n-\n2\n99 1 5000\nROKOK 1 5000\n\n-\n"
    done = by_line(city, typed, "--terminal", "12400004")
    assert done.returncode == 1
    for sentence in (
        "Nominal harus lebih dari nol.",
        "Ketik nominal dengan angka saja",
        "Nominal paling besar",
        "Transaksi dengan trace 000999 tidak ada di batch ini.",
        "Keranjang kosong",
        "bukan bahan pangan",
    ):
        assert sentence in done.stdout, sentence
    assert "Pilihan ini tidak ada" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_switch_the_operator_is_told_and_nothing_breaks(city: tuple[Path, str]) -> None:
    done = by_line((city[0], "127.0.0.1:1"), "1\n12\n", "--terminal", "12400005")
    assert done.returncode == 1
    assert "Log on dahulu" in done.stderr
    assert "Periksa jaringan" in done.stdout


def told(city: tuple[Path, str], code: int, *arguments: str) -> dict[str, Any]:
    """Run one terminal command with --json and give what it tells."""
    root, address = city
    needs_host = arguments[0] not in ("reprint", "status", "supervisor")
    more = ["--host", address] if needs_host else []
    done = subprocess.run(
        [*LUMBUNG, "terminal", *arguments, "--data", str(root), "--terminal", "12400010",
         "--json", *more],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(180)
def test_commands_beside_the_sale_do_what_their_names_say(city: tuple[Path, str]) -> None:
    card = ("--card", "50")
    sale = told(city, 0, "buy", "25000", *card)
    trace = str(sale["stan"])
    boss = ("--supervisor", "271828")
    assert "kode penyelia" in told(city, 1, "refund", trace, "5000", *boss, *card)["detail"]
    assert told(city, 0, "supervisor", "--code", "271828")["set"]
    refused = told(city, 1, "refund", trace, "5000", "--supervisor", "271829", *card)
    assert refused["detail"] == "Kode penyelia belum cocok. Sisa 2 kali."
    assert told(city, 0, "refund", trace, "5000", *boss, *card)["amount_sen"] == 500_000
    assert told(city, 1, "refund", trace, "99000", *boss, *card)["outcome"] == "77"
    assert told(city, 1, "refund", trace, "0", *boss, *card)["outcome"] == "13"
    assert told(city, 0, "deliver") == {"waiting": 0}
    moved = [line["amount_sen"] for line in told(city, 0, "statement", *card)["statement"]]
    assert {-2_500_000, 500_000} <= set(moved)
    assert told(city, 1, "pin-change", "--new-pin", "123", *card)["outcome"] == "17"
    assert told(city, 0, "pin-change", "--new-pin", "778899", *card)["kind"] == "pin_change"
    settled = told(city, 0, "settle")
    assert (settled["totals"][0]["sales"], settled["totals"][0]["refunds"]) == (1, 1)
    assert told(city, 1, "settle")["outcome"] == "12"
    assert told(city, 0, "reprint")["stan"] == settled["stan"]
    assert told(city, 0, "reprint", trace)["repeated"]
    state = told(city, 0, "status")
    assert (state["batch"], state["owed"], state["queued"], state["dead_letters"]) == (2, 0, 0, [])
    assert state["batches"] == [{"batch": 1, "status": "settled"}]


def test_damaged_journal_is_told_in_one_sentence_and_nothing_is_sold(
    city: tuple[Path, str],
) -> None:
    by_line(city, "12\n", "--terminal", "12400008")
    (journal,) = city[0].rglob("*12400008*/journal")
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 1
    journal.write_bytes(content)
    done = by_line(city, "12\n1\n25000\n41\n", "--terminal", "12400008")
    assert done.returncode not in (0, 1)
    assert "Jangan berjualan dengan EDC ini" in done.stderr
    assert "Traceback" not in done.stderr
    assert journal.read_bytes() == bytes(content)


class Window:
    """A window on a pty: keys in, what stands on it out."""

    def __init__(self, arguments: list[str]) -> None:
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(LUMBUNG[0], [*LUMBUNG, *arguments])  # our own command
        self.resize(30, 60)
        self.seen = ""

    def resize(self, rows: int, columns: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, size)
        os.kill(self.pid, signal.SIGWINCH)

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self.seen:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.file], [], [], max(0, left))
            assert ready, f"{text!r} never came; the window holds {self.seen[-400:]!r}"
            data = os.read(self.file, 65_536).decode("utf-8", "replace")
            self.seen += _ESCAPES.sub(" ", data)
        self.seen = self.seen.partition(text)[2]

    def type(self, keys: str) -> None:
        os.write(self.file, keys.encode())


def test_window_sells_shows_the_slip_survives_any_size_and_leaves_on_ctrl_c(
    city: tuple[Path, str],
) -> None:
    root, address = city
    window = Window(
        ["terminal", "run", "--data", str(root), "--host", address,
         "--terminal", "12400006", "--terminal", "12400007"]
    )  # fmt: skip
    window.wait_for("12400006")
    window.type("1\r")
    window.wait_for("Log on dahulu")
    window.type("12\r")
    window.wait_for("Siap")
    window.type("1\r15000\r41\r" + pin_at(city, 41) + "\r")
    window.wait_for("BERHASIL")
    window.wait_for("BELANJA BAHAN PANGAN")
    window.resize(5, 18)
    window.wait_for("terlalu")
    window.resize(30, 60)
    window.type("\r")
    window.wait_for("CEK SALDO")
    window.type("\t")
    window.wait_for("Log on dahulu")
    window.type("\x03")
    _, status = os.waitpid(window.pid, 0)
    os.close(window.file)
    assert os.waitstatus_to_exitcode(status) == 0
