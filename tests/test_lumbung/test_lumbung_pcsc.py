"""`lumbung pcsc exec` and `lumbung card serve` as people start them; what they leave behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cardsim import CardImage
from cardsim.transport import CardOnWire
from lumbung import pcsc, services
from lumbung.cards import card_from
from lumbung.cli import root
from lumbung.pcsc import PcscNotPossibleError, PrivatePcscd
from lumbung.services import Service
from terminal.card_link import CardLink
from terminal.kernel import OutcomeKind
from terminal.socket_channel import SocketChannel
from tests.card_kit import TERMINAL, make_image, purchase

ROOT = Path(__file__).resolve().parents[2]
LUMBUNG = [sys.executable, "-m", "lumbung"]
SELL = """
import asyncio
from terminal.card_link import CardLink
from terminal.pcsc import PcscChannel
from tests.card_kit import TERMINAL, purchase

async def sell(reader):
    link = CardLink(PcscChannel.open(reader))
    outcome = await link.start(TERMINAL, purchase())
    await link.close()
    return outcome.kind.name

async def main():
    print(*await asyncio.gather(sell("Lumbung 0 00 00"), sell("Lumbung 0 00 01")))

asyncio.run(main())
"""

LOSE_THE_DAEMON = """
import asyncio, os, pathlib, signal
from contextlib import aclosing
from lumbung.testing.channels import SELECT
from terminal.card_channel import CardRemovedError
from terminal.pcsc import PcscChannel

async def main():
    channel = PcscChannel("Lumbung 0 00 00")
    async with aclosing(channel.events()) as events:
        print((await anext(events)).name)
        await channel.connect()
        number = pathlib.Path("/run/pcscd/pcscd.pid").read_text().rstrip(chr(0))
        os.kill(int(number), signal.SIGKILL)
        print((await anext(events)).name)
    for _ in range(2):
        for attempt in (lambda: channel.transmit(SELECT, timeout_ms=500), channel.connect):
            try:
                await attempt()
            except CardRemovedError:
                print("REMOVED")
    await channel.close()

asyncio.run(main())
"""


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # Inside, programs find the daemon where they always do, not where the tests point them.
    plain = {k: v for k, v in os.environ.items() if k != "PCSCLITE_CSOCK_NAME"}
    return subprocess.run(
        [*LUMBUNG, *arguments], cwd=cwd, env=plain, capture_output=True, text=True, timeout=30
    )


def image_file(folder: Path, name: str = "card.json") -> Path:
    make_image().save(folder / name)
    return folder / name


@pytest.mark.service
def test_exec_two_cards_sell_through_a_private_daemon_and_their_counters_stay(
    need: Callable[[str], None], tmp_path: Path
) -> None:
    need("pcsc")
    first, second = image_file(tmp_path, "a.json"), image_file(tmp_path, "b.json")
    done = run(
        "pcsc", "exec", "--card", str(first), "--card", str(second), "--trace", "--json", "--",
        sys.executable, "-c", SELL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ONLINE ONLINE\n"
    assert json.loads(done.stderr.splitlines()[-1])["readers"] == [
        "Lumbung 0 00 00", "Lumbung 0 00 01"
    ]  # fmt: skip
    assert "9F26=" in done.stderr
    assert "93600999" not in done.stderr
    assert [CardImage.load(file).applications[0].state.atc for file in (first, second)] == [1, 1]


@pytest.mark.service
def test_daemon_that_dies_is_a_reader_lost_and_a_card_removed(
    need: Callable[[str], None], tmp_path: Path
) -> None:
    need("pcsc")
    done = run(
        "pcsc", "exec", "--card", str(image_file(tmp_path)), "--",
        sys.executable, "-c", LOSE_THE_DAEMON,
    )  # fmt: skip
    assert done.stdout.split() == ["INSERTED", "READER_LOST", *["REMOVED"] * 4], done.stderr


@pytest.mark.service
@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "kill -9 $$"], 137, ""),
        (["no-such-program"], 3, "no-such-program: No such file"),
    ],
)
def test_exec_exit_code_is_the_commands(
    command: list[str], code: int, said: str, need: Callable[[str], None]
) -> None:
    need("pcsc")
    done = run("pcsc", "exec", "--", *command)
    assert done.returncode == code
    assert said in done.stderr


@pytest.mark.service
def test_exec_told_to_stop_stops_everything_it_started(
    need: Callable[[str], None], tmp_path: Path
) -> None:
    need("pcsc")
    # The command tells the daemon's pid, which only its own /run/pcscd holds.
    command = ["sh", "-c", "cat /run/pcscd/pcscd.pid; echo; exec sleep 60"]
    with subprocess.Popen(
        [*LUMBUNG, "pcsc", "exec", "--", *command], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        daemon = int(process.stdout.readline())
        assert Path(f"/proc/{daemon}/comm").read_text() == "pcscd\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
    wait_until_gone(daemon)


@pytest.mark.service
async def test_private_daemon_ends_even_when_its_keeper_is_killed(
    need: Callable[[str], None], tmp_path: Path
) -> None:
    need("pcsc")
    async with PrivatePcscd(1, tmp_path) as daemon:
        assert daemon._keeper is not None
        number = int(read(tmp_path / "run" / "pcscd.pid"))
        daemon._keeper.kill()
        with pytest.raises(PcscNotPossibleError, match="ended"):
            await daemon.run(["true"])
    await asyncio.to_thread(wait_until_gone, number)


@pytest.mark.service
@pytest.mark.parametrize("readers", [1, 2])
async def test_private_daemon_of_one_reader_keeps_to_one_core_and_of_more_does_not(
    need: Callable[[str], None], tmp_path: Path, readers: int
) -> None:
    need("pcsc")
    async with PrivatePcscd(readers, tmp_path) as daemon:
        number = int(read(tmp_path / "run" / "pcscd.pid"))
        cores = os.sched_getaffinity(number)
        assert cores == (os.sched_getaffinity(0) if daemon.core is None else {daemon.core})
        assert (daemon.core is None) == (readers > 1)


def read(file: Path) -> str:
    return file.read_text().rstrip("\0")


def wait_until_gone(number: int) -> None:
    deadline = time.monotonic() + 5
    while Path(f"/proc/{number}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.service
async def test_driver_that_cannot_be_loaded_is_a_reader_that_did_not_appear(
    need: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("pcsc")
    bad = tmp_path / "driver.so"
    bad.write_bytes(b"no library")
    entry = services.services()["pcsc"]
    changed = Service(entry.name, entry.purpose, entry.command, entry.apt, "", file=str(bad))
    monkeypatch.setattr(pcsc, "services", lambda: {"pcsc": changed})
    monkeypatch.setattr(pcsc, "START_S", 0.15)
    with pytest.raises(PcscNotPossibleError, match="reader 0, 1 did not appear") as error:
        async with PrivatePcscd(2, tmp_path / "daemon"):
            pass
    assert "pcscd said" in str(error.value)


def test_missing_daemon_is_exit_3_with_the_install_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = Service("pcsc", "readers", "no-such-daemon", ("pcscd",), "tests")
    monkeypatch.setattr(pcsc, "services", lambda: {"pcsc": absent})
    done = CliRunner().invoke(root, ["pcsc", "exec", "--", "true"])
    assert isinstance(done.exception, PcscNotPossibleError)
    assert "no command no-such-daemon" in str(done.exception)
    assert "apt-get install" in str(done.exception)


def test_more_cards_than_readers_is_a_usage_error(tmp_path: Path) -> None:
    file = str(image_file(tmp_path))
    done = CliRunner().invoke(
        root, ["pcsc", "exec", "--card", file, "--card", file, "--readers", "1", "--", "true"]
    )
    assert done.exit_code == 2
    assert "2 cards do not fit 1 readers" in done.output


@pytest.mark.slow
def test_serve_card_sells_from_another_process_and_ends_clean(tmp_path: Path) -> None:
    file = image_file(tmp_path)
    path = tmp_path / "card.sock"
    with subprocess.Popen(
        [*LUMBUNG, "card", "serve", str(file), "--unix", str(path), "--trace"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert f"listening on {path}" in process.stdout.readline()
        assert asyncio.run(sell_over(path)) is OutcomeKind.ONLINE
        second = run("card", "serve", str(file))
        assert second.returncode == 3
        assert "in another reader" in second.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr is not None
        traced = process.stderr.read()
    assert "9F26=" in traced
    assert "93600999" not in traced
    assert "Traceback" not in traced
    assert CardImage.load(file).applications[0].state.atc == 1
    assert not path.exists()


async def sell_over(path: Path) -> OutcomeKind:
    channel = SocketChannel(path)
    outcome = await CardLink(channel).start(TERMINAL, purchase())
    await channel.close()
    return outcome.kind


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--listen", "0.0.0.0:0"], 1, "loopback only"),
        (["--listen", "nowhere"], 2, "not HOST:PORT"),
        (["--listen", "127.0.0.1:0", "--vpcd", "127.0.0.1:1"], 2, "give one of"),
        (["--vpcd", "127.0.0.1:1"], 3, "no virtual reader listens"),
        (["--faults", "absent.toml"], 1, "the fault plan cannot be read"),
    ],
)
def test_serve_refuses_what_cannot_work(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lumbung import cli

    monkeypatch.setattr(sys, "argv", ["lumbung"])
    file = image_file(tmp_path)
    done = CliRunner().invoke(root, ["card", "serve", str(file), *arguments])
    if done.exit_code == 2:
        assert (code, said in done.output) == (2, True)
        return
    assert cli.exit_code_of(done.exception) == code  # type: ignore[arg-type]
    assert said in str(done.exception)


def test_card_from_holds_its_file_until_it_ends(tmp_path: Path) -> None:
    file = image_file(tmp_path)
    with card_from(file, faults=(), trace=False) as card:
        assert isinstance(card, CardOnWire)
        with (
            pytest.raises(Exception, match="in another reader"),
            card_from(file, faults=(), trace=False),
        ):
            pass
    with card_from(file, faults=(), trace=False):
        pass


@pytest.mark.parametrize(
    ("service", "missing", "for_tests"),
    [
        (Service("a", "", "sh", (), ""), "", ""),
        (Service("a", "", "sh", (), "", module="json"), "", ""),
        (Service("a", "", "sh", (), "", module="absent_module", lock="a.lock"), "",
         "no Python module absent_module"),
        (Service("a", "", "absent-program", ("a",), "", module="absent_module"),
         "no command absent-program", "no command absent-program"),
        (Service("a", "", "sh", (), "", file="/absent"), "no /absent", "no /absent"),
    ],
)  # fmt: skip
def test_service_lacks_its_module_for_tests_only(
    service: Service, missing: str, for_tests: str
) -> None:
    assert service.missing() == missing
    assert service.missing_for_tests() == for_tests
    if for_tests:
        wanted = "apt-get install" if missing else "pip install"
        assert service.line_for_tests().startswith(wanted)


def test_lock_of_a_service_pins_by_hash_and_names_no_host() -> None:
    for service in services.services().values():
        if service.lock:
            text = (ROOT / service.lock).read_text()
            assert "--hash=sha256:" in text
            assert "://" not in text


def test_buy_at_a_reader_needs_the_pin_of_its_card(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        root, ["terminal", "buy", "5000", "--data", str(tmp_path), "--reader", "Lumbung 0 00 00"]
    )
    assert done.exit_code == 2
    assert "--reader needs --pin" in done.output
