"""Obtain the services that tests use, where this machine lets us; say plainly what is missing.

Installs only as root with apt, and only when asked to (CI=true or LUMBUNG_APT=1): a test run on
somebody's laptop changes nothing there. Starts nothing: tests start what they need themselves, on
loopback, and stop it by its pid.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lumbung.services import Service, services

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Install what tests need and may be installed; give the exit code."""
    wanted = [s for s in services().values() if s.needed_by == "tests" and s.missing_for_tests()]
    if not wanted:
        return 0
    asked = os.environ.get("CI") == "true" or os.environ.get("LUMBUNG_APT") == "1"
    if not (asked and os.geteuid() == 0 and shutil.which("apt-get")):
        for service in wanted:
            line = service.line_for_tests()
            print(f"services: {service.name} is missing, its tests skip. {line}")
        return 0
    install([service for service in wanted if service.missing()])
    for service in wanted:
        if not service.missing():
            install_module(service)
    return 0


def install_module(service: Service) -> None:
    """Install the pinned Python module of a service into the environment that runs this."""
    if not service.missing_module():
        return
    print(f"services: {service.module_line}")
    command = [sys.executable, "-m", *service.module_line.split(), "--quiet"]
    settings = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if subprocess.run(command, cwd=ROOT, env=settings, timeout=900).returncode:
        print(f"services: no Python module {service.module}; the tests of {service.name} will say")


def install(wanted: list[Service]) -> None:
    """Run apt once for all of them."""
    if not wanted:
        return
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
            return


if __name__ == "__main__":
    sys.exit(main())
