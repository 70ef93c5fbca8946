"""Obtain the services that tests use, where this machine lets us; say plainly what is missing.

Installs only as root with apt, and only when asked to (CI=true or LUMBUNG_APT=1): a test run on
somebody's laptop changes nothing there. Starts nothing: tests start what they need themselves, on
loopback, and stop it by its pid.
"""

import os
import shutil
import subprocess
import sys

from lumbung.services import Service, services


def main() -> int:
    """Install what tests need and may be installed; give the exit code."""
    wanted = [s for s in services().values() if s.needed_by == "tests" and s.missing()]
    if not wanted:
        return 0
    asked = os.environ.get("CI") == "true" or os.environ.get("LUMBUNG_APT") == "1"
    if not (asked and os.geteuid() == 0 and shutil.which("apt-get")):
        for service in wanted:
            print(f"services: {service.name} is missing, its tests skip. {service.install_line}")
        return 0
    return install(wanted)


def install(wanted: list[Service]) -> int:
    """Run apt once for all of them."""
    packages = sorted({package for service in wanted for package in service.apt})
    print(f"services: apt-get install {' '.join(packages)}")
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(command, env=settings, stdout=subprocess.DEVNULL, timeout=900)
        if done.returncode:
            print(f"services: {' '.join(command[:2])} failed; the tests will say which are missing")
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
