"""What every test may use: `need`, and the engines a run must have."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from lumbung.services import services

#: Benchmarks and fuzz targets are programs of their own, not tests.
collect_ignore_glob = ["bench/*", "fuzz/*"]

# The PC/SC library keeps the path that it first sees; set before any test, so that none ever talks
# to this machine's own readers. tests/test_terminal/test_terminal_pcsc.py starts a daemon there.
PCSC_FOLDER = Path(tempfile.gettempdir()) / f"lumbung-test-{os.getpid()}"
os.environ["PCSCLITE_CSOCK_NAME"] = str(PCSC_FOLDER / "run" / "pcscd.comm")

# A failing property prints its seed and smallest case; a deadline would make slow machines lie.
settings.register_profile(
    "lumbung", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lumbung")


@pytest.fixture(scope="session")
def need() -> Callable[[str], None]:
    """Give a function that skips the test when a service is missing, naming its install line.

    With LUMBUNG_REQUIRE=all a missing service is a failure: a run that claims all must have all.
    """

    def check(name: str) -> None:
        service = services()[name]
        missing = service.missing_for_tests()
        if not missing:
            return
        message = f"{name}: {missing}. {service.line_for_tests()}"
        if os.environ.get("LUMBUNG_REQUIRE") == "all":
            pytest.fail(message)
        pytest.skip(message)

    return check


@pytest.fixture(scope="session")
def pcsc_folder() -> Path:
    """Give where a private PC/SC daemon of this process must have its files."""
    return PCSC_FOLDER
