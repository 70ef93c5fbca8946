"""An office whose registry stands in PostgreSQL: made by `init`, found again by every command."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.service]


@pytest.fixture
def address(need: Callable[[str], None]) -> Iterator[str]:
    """Give the address of an empty database on a private server."""
    need("postgresql")
    psycopg = pytest.importorskip("psycopg")
    from tests.bench.postgres_server import START_S, Server

    folder = Path(tempfile.mkdtemp(prefix="lumbung-pg-"))
    folder.chmod(0o755)
    server = Server(folder, fsync="off")
    deadline = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(f"host={server.directory} user=bench dbname=postgres").close()
            break
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    yield f"postgresql://bench@/postgres?host={server.directory}"
    server.stop()
    shutil.rmtree(folder)


def _run(folder: Path, *arguments: str, code: int = 0) -> str:
    environment = {**os.environ, "LUMBUNG_MASTER_KEY": "07" * 32}
    done = subprocess.run(
        [sys.executable, "-m", "lumbung", "programme", *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_every_command_finds_the_registry_where_init_put_it(tmp_path: Path, address: str) -> None:
    _run(tmp_path, "init", "city", "--officer", "dinsos-01", "--registry", address)
    assert not (tmp_path / "city" / "registry.sqlite").exists()
    assert (tmp_path / "city" / "registry-url").stat().st_mode & 0o777 == 0o600
    (tmp_path / "decree.csv").write_text(_run(tmp_path, "import", "--template"), "utf-8")
    _run(tmp_path, "import", "decree.csv", "--data", "city")
    told = json.loads(_run(tmp_path, "import", "decree.csv", "--data", "city", "--json"))
    assert (told["number"], told["changed"]) == (1, False)
    audit = json.loads(_run(tmp_path, "audit", "verify", "--data", "city", "--json"))
    assert audit["whole"]
    assert audit["version"] > 1
    again = ("init", "city", "--officer", "dinsos-01", "--registry")
    _run(tmp_path, *again, address)
    refused = _run(tmp_path, *again, "postgresql://bench@/elsewhere", code=3)
    assert "has its registry elsewhere already" in refused
