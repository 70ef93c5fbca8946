"""`make bench [SUITE=name]`: measure, print tables, write build/bench.json.

A suite is a module `tests/bench/bench_<suite>.py` with `measure() -> list[Row]`. Each runs in a
process of its own, so that one suite's memory and threads do not colour the next.
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "tests" / "bench"
SUITES = sorted(path.stem.removeprefix("bench_") for path in BENCH.glob("bench_*.py"))


def main() -> int:
    """Run one suite here, or all of them one process each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", nargs="?", help=f"one of {', '.join(SUITES)}; all when left out")
    suite = parser.parse_args().suite
    if suite is None:
        codes = [subprocess.run([sys.executable, __file__, name]).returncode for name in SUITES]
        return max(codes, default=0)
    if suite not in SUITES:
        print(f"bench: no suite {suite}; there are {', '.join(SUITES)}")
        return 2
    sys.path.insert(0, str(BENCH))
    specification = importlib.util.spec_from_file_location(suite, BENCH / f"bench_{suite}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    import figures  # the folder is on the path now

    from lumbung.doctor import native_cores

    rows = module.measure()
    print(f"\n{suite}  ({figures.commit()}, {figures.machine()})\n{figures.table(rows)}")
    figures.write(rows, native=all(native_cores().values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
