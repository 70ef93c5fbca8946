"""`lumbung pcsc exec` where the machine allows less: no namespaces, a root that may not mount."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lumbung.pcsc import PrivatePcscd

pytestmark = [pytest.mark.service, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
EXEC = f"{sys.executable} -m lumbung pcsc exec --readers 1 -- "
#: What takes a root's right to mount away, as most containers do.
WITHOUT_ADMINISTRATION = "setpriv --bounding-set -sys_admin --inh-caps -sys_admin "


def run(command: str, *, limit: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run in a user namespace of our own, in which a limit is none of the machine's."""
    closed = f"echo 0 > /proc/sys/user/max_{limit}_namespaces && " if limit else ""
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", closed + command],
        cwd=ROOT, capture_output=True, text=True, timeout=50,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def tools(need: Callable[[str], None]) -> None:
    need("pcsc")
    if shutil.which("setpriv") is None or run("true").returncode:
        pytest.skip("no user namespace or no setpriv (util-linux) here")


@pytest.mark.parametrize(
    ("limit", "command"),
    [("mnt", EXEC), ("net", EXEC), ("user", WITHOUT_ADMINISTRATION + EXEC)],
)
def test_namespaces_forbidden_is_one_clear_error_with_the_limits_name(
    limit: str, command: str
) -> None:
    done = run(command + "true", limit=limit)
    assert (done.returncode, done.stdout) == (3, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("E-PS-0001 no private pcscd: namespaces are forbidden here")
    assert f"user.max_{limit}_namespaces" in line
    assert "docs/guides/virtual-card.md" in line


def test_root_that_may_not_mount_makes_a_user_namespace_of_its_own() -> None:
    done = run(WITHOUT_ADMINISTRATION + EXEC + "sh -c 'test -S /run/pcscd/pcscd.comm'")
    assert (done.returncode, done.stderr) == (0, "")


async def test_private_network_acknowledges_by_itself_so_a_card_sleeps_over_a_length(
    need: Callable[[str], None], tmp_path: Path
) -> None:
    need("pcsc")
    async with PrivatePcscd(1, tmp_path) as daemon:
        with await daemon.connect(0) as card:
            assert card.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 3
