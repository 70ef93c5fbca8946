"""Create .venv and install the project into it: what `make demo` and `make test` stand on.

Plain `python3 -m venv` and pip; every package is pinned by hash. The native cores are built when
`cargo` is there; without it the pure-Python twins run, and this says so. Nothing is done when
nothing that matters has changed since the last time.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def main() -> int:
    """Install what is missing; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="with the test and lint tools")
    parser.add_argument("--bench", action="store_true", help="with the peers that bench measures")
    given = parser.parse_args()
    dev = given.dev or given.bench
    if sys.version_info < (3, 11):
        print(f"lumbung needs Python 3.11 or newer; this is {sys.version.split()[0]}")
        return 3
    if not PYTHON.exists():
        print("setup: python3 -m venv .venv")
        venv.create(VENV, with_pip=True)
    lock = ROOT / ("requirements-dev.lock" if dev else "requirements.lock")
    install_packages(lock)
    if given.bench:
        install_packages(ROOT / "requirements-bench.lock", optional=True)
    install_project()
    return 0


def install_packages(lock: Path, *, optional: bool = False) -> None:
    """Install the pinned packages unless this lock was installed already; `optional` may fail."""
    stamp = VENV / f".{lock.stem}"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"setup: packages of {lock.name}")
    arguments = ["install", "--quiet", "--require-hashes", "--requirement", str(lock)]
    if not pip(*arguments, optional=optional):
        return
    stamp.write_text(digest)


def install_project() -> None:
    """Install the project itself, editable; build the native cores when there is a tool-chain."""
    stamp = VENV / ".project"
    digest = sources_digest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    cargo = shutil.which("cargo")
    print(
        f"setup: lumbung itself, {'native cores by cargo' if cargo else 'pure Python (no cargo)'}"
    )
    pip("install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    built = sorted(path.parent.name for path in ROOT.glob("*/_core*.so"))
    print(f"setup: native: {', '.join(built) or 'none: the pure-Python twins run'}")
    stamp.write_text(digest)


def sources_digest() -> str:
    """Give a digest of what an editable install depends on: metadata, Rust sources, tool-chain."""
    digest = hashlib.sha256(str(shutil.which("cargo")).encode())
    files = [ROOT / "pyproject.toml", ROOT / "Cargo.toml", ROOT / "Cargo.lock"]
    for core in ("ledger/core", "protocols/core", "switch/native", "native/objects"):
        files += [*sorted((ROOT / core).rglob("*.rs")), ROOT / core / "Cargo.toml"]
    for path in files:
        if path.exists():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def pip(*arguments: str, optional: bool = False) -> bool:
    """Run the venv's own pip; say whether it worked, or stop unless that is optional."""
    settings = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run([str(PYTHON), "-m", "pip", *arguments], cwd=ROOT, env=settings)
    if done.returncode:
        print("setup: pip could not install; with no network the packages must be in pip's cache")
        if not optional:
            raise SystemExit(3)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
