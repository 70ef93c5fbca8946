"""What every test may use: `need`, and the engines a run must have."""

import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings

from lumbung.services import services

#: Benchmarks and fuzz targets are programs of their own, not tests.
collect_ignore_glob = ["bench/*", "fuzz/*"]

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
        missing = service.missing()
        if not missing:
            return
        message = f"{name}: {missing}. {service.install_line}"
        if os.environ.get("LUMBUNG_REQUIRE") == "all":
            pytest.fail(message)
        pytest.skip(message)

    return check
