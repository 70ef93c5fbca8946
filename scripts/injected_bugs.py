"""`make injected-bugs [BUGS="[--native] name ..."]`: break a copy of the ledger, bug by bug.

The list is tests/test_ledger/injected_bugs.toml; with `--native` injected_bugs_native.toml, whose
bugs are in the Rust core, which is built for each of them. First the named tests must pass on the
untouched copy; then each bug must make its own test fail (not merely break its collection). The
exit code is 1 when a bug goes unnoticed. The tree itself is never changed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = Path("tests/test_ledger")
LIST = ROOT / TESTS / "injected_bugs.toml"
NATIVE_LIST = ROOT / TESTS / "injected_bugs_native.toml"
#: Where the core is built; kept, so that the crates it needs are built once.
BUILD = ROOT / "target" / "injected"
#: A bug that hangs its test is caught as well.
TEST_S = 60
TESTS_FAILED = 1


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug: which text of which file becomes what, and the test that must notice."""

    name: str
    file: str
    find: str
    replace: str
    test: str
    quick: bool = False

    @property
    def is_native(self) -> bool:
        """Say whether the core has to be built with it."""
        return self.file.endswith(".rs")


def load(path: Path = LIST) -> list[Bug]:
    """Give the list."""
    table = tomllib.loads(path.read_text("utf-8"))
    return [Bug(name=name, **entry) for name, entry in table.items()]


def main() -> int:
    """Inject what was asked for; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="bugs by name; all when left out")
    parser.add_argument("--native", action="store_true", help="the bugs of the Rust core")
    given = parser.parse_args()
    names = given.names
    listed = load(NATIVE_LIST if given.native else LIST)
    bugs = [bug for bug in listed if not names or bug.name in names]
    unknown = set(names) - {bug.name for bug in bugs}
    if unknown:
        print(f"injected-bugs: not in the list: {', '.join(sorted(unknown))}")
        return 2
    missed = inject(bugs, say=print)
    print(f"injected-bugs: {len(bugs) - len(missed)} of {len(bugs)} caught")
    return bool(missed)


def inject(bugs: list[Bug], say: object, *, sound_first: bool = True) -> list[str]:
    """Run the bugs on a copy; give the names of those that no test noticed.

    `sound_first` runs the tests without any bug before: left out where they have just run.
    """
    assert callable(say)
    missed = []
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        make_copy(copy)
        if any(bug.is_native for bug in bugs):
            copy_core(copy)
            if not build_core(copy):
                raise SystemExit("injected-bugs: the core does not build without any bug")
        tests = sorted({bug.test for bug in bugs})
        if sound_first:
            code, output = run_tests(copy, tests)
            if code != 0:
                raise SystemExit(f"injected-bugs: the tests fail without any bug\n{output}")
        for bug in bugs:
            caught, how = try_bug(copy, bug)
            say(f"injected-bugs: {'caught' if caught else 'MISSED'}  {bug.name}  ({how})")
            if not caught:
                missed.append(bug.name)
    return missed


def make_copy(copy: Path) -> None:
    """Copy what the ledger's tests need."""
    leave = shutil.ignore_patterns("__pycache__", "core", "*.so")
    shutil.copytree(ROOT / "ledger", copy / "ledger", ignore=leave)
    shutil.copytree(ROOT / TESTS, copy / TESTS, ignore=leave)
    shutil.copy(ROOT / "tests" / "conftest.py", copy / "tests")
    shutil.copy(ROOT / "pyproject.toml", copy)


def copy_core(copy: Path) -> None:
    """Copy what the native core is built from, as new files: cargo builds what is newer."""
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))["workspace"]
    for name in ("Cargo.toml", "Cargo.lock", *workspace["members"]):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, copy / name, copy_function=shutil.copyfile)
        else:
            shutil.copy(path, copy / name)


def build_core(copy: Path) -> bool:
    """Build the copy's core and put it in its place; say whether it compiled."""
    fast = {"OPT_LEVEL": "1", "LTO": "off", "CODEGEN_UNITS": "16", "INCREMENTAL": "true"}
    settings = {f"CARGO_PROFILE_RELEASE_{name}": value for name, value in fast.items()}
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--package", "ledger-core"]
    command += ["--target-dir", str(BUILD)]
    done = subprocess.run(command, cwd=copy, env={**os.environ, **settings})
    if done.returncode == 0:
        place = copy / "ledger" / "_core.abi3.so"
        place.unlink(missing_ok=True)
        shutil.copy(BUILD / "release" / "libledger_core.so", place)
    return done.returncode == 0


def try_bug(copy: Path, bug: Bug) -> tuple[bool, str]:
    """Put one bug in, run its test, take it out; say whether it was caught and how."""
    path = copy / bug.file
    sound = path.read_text("utf-8")
    find, replace = bug.find.lstrip("\n"), bug.replace.lstrip("\n")
    if sound.count(find) != 1:
        return False, f"its text stands {sound.count(find)} times in {bug.file}: mend the list"
    path.write_text(sound.replace(find, replace), "utf-8")
    try:
        if bug.is_native and not build_core(copy):
            return False, "it does not compile: mend the list"
        code, output = run_tests(copy, [bug.test])
    finally:
        path.write_text(sound, "utf-8")
    if code not in (0, TESTS_FAILED):
        return False, f"pytest ended with {code}: {output[-300:]}"
    return code == TESTS_FAILED, bug.test


def run_tests(copy: Path, tests: list[str]) -> tuple[int, str]:
    """Run tests in the copy, with the copy's ledger; give pytest's exit code and output."""
    # No byte code: a file changed twice in a second would keep the bug of before.
    settings = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LUMBUNG_REQUIRE_NATIVE": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += ["-p", "no:randomly", "--timeout", str(TEST_S)]
    command += [str(TESTS / test) for test in tests]
    done = subprocess.run(command, cwd=copy, env=settings, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
