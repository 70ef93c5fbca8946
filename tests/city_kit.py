"""A city for tests: decree taken, cards handed out, January paid, its switch running over TCP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumbung.composition import Composition, compose
from lumbung.data_directory import DataDirectory
from lumbung.story import cast
from lumbung.story.run import MONTH_SEN, StoryDay, story_created
from lumbung.system import StoryClock
from programme.accounts import open_purse
from programme.chart import Purse
from programme.disbursement import disburse
from switch.config import SwitchConfig
from switch.server import SwitchServer


@dataclass
class City:
    """What runs: the parts, the clock that the test moves, the switch's port, three holders."""

    parts: Composition
    clock: StoryClock
    port: int
    holders: list[cast.Holder]


@asynccontextmanager
async def open_city(folder: Path, **switch: Any) -> AsyncIterator[City]:
    """Give a city in `folder`; `switch` are settings of its SwitchConfig."""
    data = DataDirectory.open(folder / "city", kind="story", seed=7, created=story_created())
    story = StoryDay(7, 0)
    clock = StoryClock(story.start_ns)
    with compose(data, clock, story.random_for) as parts:
        result = cast.take_decree(parts)
        cast.open_shops(parts)
        cast.hand_out_cards(parts, result, 7)
        open_purse(parts.ledger, parts.registry, Purse.FOOD, cast.DINSOS_MAKER)
        number = result.decree.decree_number
        makers = (cast.DINSOS_MAKER, cast.DINSOS_CHECKER)
        disburse(parts.ledger, parts.registry, number, "2026-01", MONTH_SEN, *makers)
        server = SwitchServer(
            SwitchConfig.model_validate(switch), parts.registry, parts.keystore, parts.ledger,
            data.switch_state, clock, story.random_for("switch"),
        )  # fmt: skip
        port = await server.start()
        holders = [cast.holder(parts, number, 7, place) for place in range(3)]
        try:
            yield City(parts, clock, port, holders)
        finally:
            await server.stop()
