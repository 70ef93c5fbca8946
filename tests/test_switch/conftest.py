"""Fixtures of the switch tests: a directory in memory, a world, a counter that is ready to sell."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.test_switch.switch_world import Counter, World


@pytest.fixture(scope="session")
def directory_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a directory in memory where the machine has one: real files, quick syncs."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path_factory.mktemp("switch")
        return
    with TemporaryDirectory(dir=memory, prefix="lumbung-switch-") as made:
        yield Path(made)


@pytest.fixture
def directory(directory_of_session: Path) -> Iterator[Path]:
    """Give a fresh directory."""
    with TemporaryDirectory(dir=directory_of_session) as made:
        yield Path(made)


@pytest.fixture
def world(directory: Path) -> Iterator[World]:
    """Give a city with nobody in it."""
    made = World(directory)
    yield made
    made.close()


@pytest.fixture
def counter(world: World) -> Counter:
    """Give a shop counter that is ready to sell."""
    shop = world.add_shop(17)
    edc = world.add_edc(17, shop).start()
    return Counter(world, edc, world.add_card(1, 30_000_000), shop)
