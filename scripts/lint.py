"""Run every check the house has; show all that fails, not just the first."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"

CHECKS: list[tuple[str, list[str]]] = [
    ("format", [str(BIN / "ruff"), "format", "--check", "--quiet", "."]),
    ("lint", [str(BIN / "ruff"), "check", "--quiet", "."]),
    ("types", [str(BIN / "mypy")]),
    ("imports", [str(BIN / "lint-imports"), "--no-cache"]),
]
RUST_CHECKS: list[tuple[str, list[str]]] = [
    ("rust format", ["cargo", "fmt", "--check"]),
    *(
        # One by one: built together, both would get the features that either asks of pyo3.
        (
            f"rust lint, {core}",
            ["cargo", "clippy", "--quiet", "--package", core, "--all-targets", "--", "-Dwarnings"],
        )
        for core in ("ledger-core", "protocols-core", "switch-core")
    ),
]


def main() -> int:
    """Give 1 when any check failed."""
    checks = list(CHECKS)
    if shutil.which("cargo"):
        checks += RUST_CHECKS
    else:
        print("lint: no cargo here, the Rust checks are left out")
    failed = []
    for name, command in checks:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            failed.append(name)
            print(f"--- {name}\n{done.stdout}{done.stderr}")
    print(f"lint: {len(checks) - len(failed)} passed, {len(failed)} failed", *failed)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
