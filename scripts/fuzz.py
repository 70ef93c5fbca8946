"""`make fuzz`: throw damaged inputs at every reader; only the package's own errors may come out.

With `atheris` installed (dependency group `fuzz`, not in the lock) libFuzzer drives each target in
a process of its own; otherwise the fuzzer of tests/fuzz/engine.py does, guided by line coverage of
Python and, with `--native`, by the branches of a native core that is built for it.
Each session prints its seed, and a failing input as hex, which `--replay` runs again.
"""

import argparse
import importlib.machinery
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
FOUND = ROOT / "build" / "fuzz"
#: One run of one input may take this long before it counts as a hang.
RUN_SECONDS_MAX = 5
RUNS_MAX = 1_000_000_000


def main() -> int:
    """Give 1 when any target failed."""
    sys.path.insert(0, str(ROOT))
    options = read_options()
    if options.child:
        return fuzz_with_atheris(options)
    if options.native:
        options.engine, options.branches = "own", native_branches()
    from tests.fuzz.targets import TARGETS

    names = options.targets or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        print(f"fuzz: no target {unknown[0]}; there are {', '.join(TARGETS)}")
        return 2
    if options.replay is not None:
        return replay(names[0], bytes.fromhex(options.replay))
    has_atheris = importlib.util.find_spec("atheris") is not None
    engine = options.engine if options.engine != "auto" else "atheris" if has_atheris else "own"
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 31)
    print(f"fuzz: engine {engine}, seed {seed}, {options.seconds} s a target at most", flush=True)
    run = start_atheris if engine == "atheris" else run_own
    failed = [name for name in names if not run(name, seed, options)]
    print(f"fuzz: {len(names) - len(failed)} held, {len(failed)} failed", *failed)
    return bool(failed)


def read_options() -> argparse.Namespace:
    """Give the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="names of targets; all when left out")
    parser.add_argument("--seconds", type=int, default=10, help="time per target")
    parser.add_argument("--runs", type=int, default=RUNS_MAX, help="runs per target")
    parser.add_argument("--seed", type=int, help="drawn and printed when left out")
    parser.add_argument("--engine", choices=("auto", "atheris", "own"), default="auto")
    parser.add_argument(
        "--native", action="store_true", help="build the native core with counters that guide too"
    )
    parser.add_argument("--replay", metavar="HEX", help="run one input of the first target")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(branches=None)
    return parser.parse_args()


def native_branches() -> Callable[[], list[int]]:
    """Build the native core with coverage counters and load it as ours; give their reader."""
    target = ROOT / "target" / "fuzz"
    # Whatever is built so writes its counters to a file at its end: nobody wants those.
    os.environ["LLVM_PROFILE_FILE"] = os.devnull
    settings = {"RUSTFLAGS": "-C instrument-coverage", "CARGO_TARGET_DIR": str(target)}
    command = ["cargo", "build", "--release", "--locked", "-p", "protocols-core"]
    print("fuzz: building the native core with counters (minutes, the first time)", flush=True)
    subprocess.run(
        [*command, "--features", "coverage", "--quiet"],
        cwd=ROOT, env=os.environ | settings, check=True,
    )  # fmt: skip
    library = str(target / "release" / "libprotocols_core.so")
    loader = importlib.machinery.ExtensionFileLoader("protocols._core", library)
    specification = importlib.util.spec_from_loader(loader.name, loader)
    assert specification is not None
    core = importlib.util.module_from_spec(specification)
    loader.exec_module(core)
    sys.modules[loader.name] = core
    from protocols.iso8583.native import core_class

    assert core_class is core.codec.CodecCore, "another native core was loaded before"
    return core.reached  # type: ignore[no-any-return]


def replay(name: str, data: bytes) -> int:
    """Run one input; an exception shows itself."""
    from tests.fuzz.targets import TARGETS

    TARGETS[name].run(data)
    print(f"fuzz: {name} holds on these {len(data)} bytes")
    return 0


def run_own(name: str, seed: int, options: argparse.Namespace) -> bool:
    """Fuzz one target with our own engine; tell whether it held."""
    from tests.fuzz.engine import fuzz
    from tests.fuzz.targets import TARGETS

    ends_s = time.monotonic() + options.seconds
    result = fuzz(
        TARGETS[name], seed, options.runs, lambda: time.monotonic() < ends_s, True, watchdog,
        options.branches,
    )  # fmt: skip
    reached = f"{result.lines:>5} lines" + (" and branches" if options.branches else "")
    print(f"  {name:<14} {result.runs:>8} runs, {result.pool:>5} inputs, {reached}", flush=True)
    if result.failure is None:
        return True
    print(result.failure.trace)
    tell_failure(name, result.failure.data)
    return False


@contextmanager
def watchdog() -> Iterator[None]:
    """Raise TimeoutError when the run inside takes too long."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"one run took more than {RUN_SECONDS_MAX} s")

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, RUN_SECONDS_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def tell_failure(name: str, data: bytes) -> None:
    """Print a failing input and how to run it again."""
    print(f"fuzz: {name} failed on {len(data)} bytes: {data.hex()}")
    print(
        f"fuzz: again: python scripts/fuzz.py {name} --replay {data.hex() or repr('')}", flush=True
    )


def start_atheris(name: str, seed: int, options: argparse.Namespace) -> bool:
    """Fuzz one target with atheris in a process of its own; tell whether it held."""
    FOUND.mkdir(parents=True, exist_ok=True)
    before = set(FOUND.iterdir())
    command = [sys.executable, __file__, name, "--child", "--seed", str(seed),
               "--seconds", str(options.seconds), "--runs", str(options.runs)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    lines = [line for line in done.stderr.splitlines() if " cov: " in line]
    print(f"  {name:<14} {lines[-1].strip() if lines else 'no report'}", flush=True)
    if done.returncode == 0:
        return True
    print(done.stdout[-4_000:], done.stderr[-4_000:])
    for path in sorted(set(FOUND.iterdir()) - before):
        tell_failure(name, path.read_bytes())
    return False


def fuzz_with_atheris(options: argparse.Namespace) -> int:
    """Run libFuzzer on one target in this process; it ends the process itself."""
    import atheris  # an optional tool, see the head of this file

    with atheris.instrument_imports(include=["protocols", "programme"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[options.targets[0]]
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(target.corpus()):
            (Path(folder) / str(number)).write_bytes(data)
        # 0 means "as long as it takes" or "draw one" there, so each number is one at least.
        atheris.Setup(
            [sys.argv[0], f"-runs={options.runs}", f"-max_total_time={options.seconds}",
             f"-seed={max(1, options.seed)}", f"-timeout={RUN_SECONDS_MAX}", "-max_len=8192",
             f"-artifact_prefix={FOUND}/{target.name}-", folder],
            target.run,
        )  # fmt: skip
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
