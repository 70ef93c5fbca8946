"""`make injected-bugs SUITE=system [BUGS="name ..."]`: break a copy of the system, bug by bug.

The list is tests/sim_system/injected_bugs.toml. Each bug must make one of its first so many seeds
of the system's simulation fail; the seed is printed. The exit code is 1 when a bug goes unnoticed.
The tree itself is never changed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "sim_system" / "injected_bugs.toml"
PACKAGES = ("cardsim", "ledger", "lumbung", "programme", "protocols", "switch", "terminal")
TESTS = ("sim_system", "test_ledger")
#: Seeds that must pass without a bug, each engine among them.
SOUND_SEEDS = 3
#: For all seeds of a bug. A day that does not end fails by its number of events, not by this.
RUN_S = 900
_FAILED = re.compile(r"seed (\d+) FAILED")


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug: which text of which file becomes what, and how many seeds may pass by it.

    `engine` is the ledger's, for a bug that only one has; empty for each in its turn.
    """

    name: str
    file: str
    find: str
    replace: str
    seeds: int
    quick: bool = False
    engine: str = ""


def load() -> list[Bug]:
    """Give the list."""
    table = tomllib.loads(LIST.read_text("utf-8"))
    return [Bug(name=name, **entry) for name, entry in table.items()]


def main() -> int:
    """Inject what was asked for; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="bugs by name; all when left out")
    names = parser.parse_args().names
    bugs = [bug for bug in load() if not names or bug.name in names]
    unknown = set(names) - {bug.name for bug in bugs}
    if unknown:
        print(f"injected-bugs: not in the list: {', '.join(sorted(unknown))}")
        return 2
    missed = inject(bugs, lambda line: print(line, flush=True))
    print(f"injected-bugs: {len(bugs) - len(missed)} of {len(bugs)} caught")
    return bool(missed)


def inject(bugs: Sequence[Bug], say: Callable[[str], object]) -> list[str]:
    """Run the bugs on a copy; give the names of those that no seed noticed."""
    missed = []
    with tempfile.TemporaryDirectory(prefix="lumbung-bugs-") as directory:
        copy = Path(directory)
        make_copy(copy)
        check_sound(copy)
        for bug in bugs:
            how = try_bug(copy, bug)
            say(f"injected-bugs: {'caught' if how else 'MISSED'}  {bug.name}  ({how or bug.seeds})")
            if not how:
                missed.append(bug.name)
        check_sound(copy)  # Nothing outside the copy was changed under it meanwhile.
    return missed


def check_sound(copy: Path) -> None:
    """Raise AssertionError when the simulation fails without a bug: then it says nothing."""
    unsound = run_seeds(copy, SOUND_SEEDS, "")
    assert not unsound, f"without a bug the simulation fails as well: {unsound}"


def make_copy(copy: Path) -> None:
    """Copy what the simulation needs."""
    leave = shutil.ignore_patterns("__pycache__", "core")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=leave)
    for name in TESTS:
        shutil.copytree(ROOT / "tests" / name, copy / "tests" / name, ignore=leave)
    (copy / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "sim.py", copy / "scripts")


def try_bug(copy: Path, bug: Bug) -> str:
    """Put one bug in, run its seeds, take it out; say which seed noticed, empty for none."""
    path = copy / bug.file
    sound = path.read_text("utf-8")
    assert sound.count(bug.find) == 1, f"{bug.name}: mend the list"
    path.write_text(sound.replace(bug.find, bug.replace), "utf-8")
    try:
        return run_seeds(copy, bug.seeds, bug.engine)
    finally:
        path.write_text(sound, "utf-8")


def run_seeds(copy: Path, seeds: int, engine: str) -> str:
    """Run the first seeds of the copy; say which one failed, empty for none."""
    # No byte code: a file changed twice in a second would keep the bug of before.
    settings = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LUMBUNG_REQUIRE_NATIVE": ""}
    command = [sys.executable, "scripts/sim.py", "system", "--seed", "1", "--count", str(seeds)]
    command += ["--engine", engine] if engine else []
    done = subprocess.run(
        command, cwd=copy, env=settings, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    if done.returncode == 0:
        return ""
    found = _FAILED.search(done.stdout)
    assert found, f"the simulation did not run: {done.stderr[-400:]}"
    # What failed stands before the command that repeats it; noise of the ending follows.
    lines = done.stderr.partition("\nagain: ")[0].strip().splitlines()
    why = next((line for line in reversed(lines) if "Error" in line), "")
    return f"seed {found[1]}: {why[:100]}"


if __name__ == "__main__":
    sys.exit(main())
