"""Count what a purchase costs a running switch in instructions of user code, under callgrind.

`python tests/bench/switch_instructions.py [PURCHASES]` needs valgrind and takes minutes. Counts do
not depend on what else the machine does, so that two states of the code can be compared on a busy
one. System calls are not in them, and digests cost more than on the bare processor: valgrind has no
SHA extensions.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_switch import certificate, closed, port_of, prepare, switch_command

from lumbung.composition import open_offices
from lumbung.data_directory import DataDirectory
from lumbung.logs import log_to
from lumbung.story.run import run as run_story
from lumbung.story.run import story_created
from lumbung.system import SystemClock, system_random

CONNECTIONS = 64
#: Purchases before the count begins: most cards have bought then, and their months are known.
WARM = 1_920
SECONDS = 300.0


def measure(purchases: int) -> dict[str, int]:
    """Give instructions per purchase by thread."""
    with tempfile.TemporaryDirectory(prefix="lumbung-count-") as temporary:
        folder = Path(temporary)
        directory, counted = folder / "data", folder / "counted"
        certificate(folder)
        with (
            DataDirectory.open(directory, kind="story", seed=7, created=story_created()) as data,
            log_to(data.logs / "lumbung.log"),
        ):
            assert run_story(data, lambda _text: None, lambda _step: None).ok
        command = [
            "valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes",
            f"--callgrind-out-file={counted}", "--log-file=/dev/null", *switch_command(directory),
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                _sell(directory, port_of(process.stdout.readline()), process.pid, purchases)
            finally:
                process.terminate()
        return {
            path.name.rpartition("-")[2]: round(_total(path) / purchases)
            for path in sorted(folder.glob("counted.1-*"))
        }


def _sell(directory: Path, port: int, process: int, purchases: int) -> None:
    data = DataDirectory.beside(directory)
    with open_offices(data, SystemClock(), lambda _part: system_random) as offices:
        messages, busy = prepare(offices, port, CONNECTIONS)
        warm = closed("127.0.0.1", port, messages[:WARM], busy, SECONDS)
        assert warm.answered == WARM, warm.answered
        _control(process, "--instr=on")
        part = messages[WARM : WARM + purchases]
        assert closed("127.0.0.1", port, part, busy, SECONDS).answered == purchases
        _control(process, "--dump")


def _control(process: int, what: str) -> None:
    subprocess.run(["callgrind_control", what, str(process)], check=True, capture_output=True)


def _total(path: Path) -> int:
    for line in path.read_text("utf-8").splitlines():
        if line.startswith(("summary:", "totals:")):
            return int(line.split()[1])
    return 0


def main() -> None:
    """Print the counts."""
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not here: apt-get install valgrind")
    found = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1_280)
    for thread, count in found.items():
        print(f"thread {thread}: {count:,} instructions per purchase")
    print(f"all threads: {sum(found.values()):,} instructions per purchase")


if __name__ == "__main__":
    main()
