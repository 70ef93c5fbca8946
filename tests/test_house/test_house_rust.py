"""The native cores' own tests, which live beside the Rust code, are part of the suite."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_native_cores_pass_their_own_tests() -> None:
    if shutil.which("cargo") is None:
        message = "cargo: not found. Install a Rust tool-chain (rustup or apt-get install cargo)"
        if os.environ.get("LUMBUNG_REQUIRE_NATIVE") == "1":
            pytest.fail(message)
        pytest.skip(message)
    done = subprocess.run(
        ["cargo", "test", "--workspace", "--release", "--locked", "--quiet"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(map(int, re.findall(r"(\d+) passed", done.stdout))) > 10
