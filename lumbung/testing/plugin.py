"""Pytest fixtures: `pytest_plugins = ["lumbung.testing.plugin"]` in a conftest.py.

`virtual_card` makes cards and takes them out of their slots when the test is over. A test that
fails shows the masked traces of the cards that it made.
"""

from collections.abc import Callable, Generator, Iterator

import pytest

from lumbung.testing.cards import VirtualCard
from lumbung.testing.cards import virtual_card as make_virtual_card

_CARDS = pytest.StashKey[list[VirtualCard]]()


@pytest.fixture
def virtual_card(request: pytest.FixtureRequest) -> Iterator[Callable[..., VirtualCard]]:
    """Give `lumbung.testing.virtual_card`; its cards leave their slots at the test's end."""
    made: list[VirtualCard] = []
    request.node.stash[_CARDS] = made

    def make(*arguments: object, **options: object) -> VirtualCard:
        made.append(make_virtual_card(*arguments, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for card in made:
        card.channel.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the cards' traces to the report of a test that failed."""
    report = yield
    if report.failed:
        for card in item.stash.get(_CARDS, ()):
            if text := card.trace.text():
                report.sections.append((f"trace of {card!r}", text))
    return report
