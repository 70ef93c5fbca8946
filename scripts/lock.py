"""Write the hash-pinned lock files from pyproject.toml (`make lock`).

requirements.lock holds what runs and what builds; requirements-dev.lock adds the dev group and the
`interop`, `printer` and `api` extras, at the same versions; requirements-bench.lock holds the peers
that `make bench` measures and nothing of ours; requirements-postgres.lock holds the driver of that
extra. No index, no host name and no local path enters a lock.
pip-tools runs in a venv of its own under build/, so that it pins nothing of ours.
"""

import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIP_TOOLS = "pip-tools==7.6.2"
COMPILE = [
    "--quiet", "--generate-hashes", "--no-annotate", "--strip-extras", "--allow-unsafe",
    "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--newline=lf",
]  # fmt: skip


def main() -> int:
    """Compile both files; give the exit code."""
    environment = ROOT / "build" / "lock-venv"
    if not environment.exists():
        venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run([python, "-m", "pip", "install", "--quiet", PIP_TOOLS])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    development = ROOT / "build" / "requirements-dev.in"
    names = project["dependency-groups"]["dev"] + project["build-system"]["requires"]
    development.write_text("\n".join(["-c requirements.lock", *names]) + "\n")
    # Resolved from the root, whatever the file's own place.
    development.write_text(development.read_text().replace("-c ", f"-c {ROOT}/"))
    compiler = [python, "-m", "piptools", "compile", *COMPILE]
    build = ROOT / "build" / "requirements-build.in"
    build.write_text("\n".join(project["build-system"]["requires"]) + "\n")
    run([*compiler, "--output-file=requirements.lock", "pyproject.toml", build])
    run([*compiler, "--output-file=requirements-dev.lock", "--extra=interop", "--extra=printer",
         "--extra=api",          "pyproject.toml", development])  # fmt: skip
    bench = ROOT / "build" / "requirements-bench.in"
    bench.write_text("\n".join(project["dependency-groups"]["bench"]) + "\n")
    run([*compiler, "--output-file=requirements-bench.lock", bench])
    postgres = ROOT / "build" / "requirements-postgres.in"
    postgres.write_text("\n".join(project["project"]["optional-dependencies"]["postgres"]) + "\n")
    run([*compiler, "--output-file=requirements-postgres.lock", postgres])
    for name in sorted(path.name for path in ROOT.glob("requirements*.lock")):
        text = (ROOT / name).read_text()
        if "://" in text or str(ROOT) in text:
            raise SystemExit(f"{name}: a host or a local path got in; nothing to commit")
    return 0


def run(command: list[object]) -> None:
    """Run a command in the root with the lock's own header text; stop on failure."""
    settings = {**os.environ, "CUSTOM_COMPILE_COMMAND": "make lock", "PIP_FIND_LINKS": ""}
    subprocess.run([str(part) for part in command], cwd=ROOT, env=settings, check=True)


if __name__ == "__main__":
    sys.exit(main())
