"""Rules of a switch process that sells: a bad file changes nothing, a good one the next sale."""

import asyncio
import json
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

from lumbung.cli import root
from lumbung.composition import open_offices
from lumbung.data_directory import DataDirectory
from lumbung.story.counter import Counter
from lumbung.system import SystemClock, system_random
from tests.test_switch.switch_market import RIGHT, SEED, Market, Switch, make_city

pytestmark = pytest.mark.slow

GOOD = files("switch").joinpath("data/rules.toml").read_text("utf-8")
STRICT = GOOD.replace('version = "2026.1"', 'version = "2026.2"').replace(
    "sale_limit_rupiah = 20_000_000", "sale_limit_rupiah = 1"
)
BROKEN = STRICT.replace("tries = 3", 'tries = "three"')


def ask_reload(data: Path) -> tuple[int, str]:
    """Ask for a reload by the command; give its exit code and what it said."""
    asked = ["switch", "ask", "reload", "--data", str(data), "--json"]
    result = CliRunner().invoke(root, asked)
    return result.exit_code, result.stdout if result.exit_code == 0 else str(result.exception)


def write(path: Path, text: str) -> None:
    """Write a rule file."""
    path.write_text(text, "utf-8")


class Shopping:
    """One counter that sells without a pause; what the sales came to, in order."""

    def __init__(self, market: Market, counter: Counter) -> None:
        self.market, self.counter = market, counter
        self.outcomes: list[str] = []
        self.is_over = False
        self._has_sold = asyncio.Event()

    async def go_on(self) -> None:
        while not self.is_over:
            holder = self.market.holder(RIGHT[len(self.outcomes) % 40])
            result = await self.counter.sell(holder, 20_000)
            self.outcomes.append(result.outcome)
            self._has_sold.set()

    async def until(self, is_enough: Callable[[list[str]], bool]) -> None:
        """Wait until what was sold from now on is enough."""
        begin = len(self.outcomes)
        async with asyncio.timeout(20):
            while not is_enough(self.outcomes[begin:]):
                self._has_sold.clear()
                await self._has_sold.wait()


async def change_rules(shopping: Shopping, switch: Switch, rules: Path) -> None:
    """Lead the rules through a bad file, a stricter one, the bad one again and the first."""
    data = switch.root

    async def three_more(outcome: str) -> None:
        await shopping.until(lambda sold: sold[-3:] == [outcome] * 3)

    await three_more("00")
    write(rules, BROKEN)
    code, said = await asyncio.to_thread(ask_reload, data)
    line = BROKEN[: BROKEN.index('tries = "three"')].count("\n") + 1
    assert code != 0
    assert f"{rules}:{line}: rule.pin.tries" in said
    assert "1 to 10 tries" in said
    await shopping.until(lambda sold: len(sold) >= 3)
    assert set(shopping.outcomes) == {"00"}
    write(rules, STRICT)
    assert await asyncio.to_thread(ask_reload, data) == (0, '{"rules": "2026.2"}\n')
    await three_more("61")
    write(rules, BROKEN)
    assert switch.process is not None
    switch.process.send_signal(signal.SIGHUP)
    await shopping.until(lambda sold: len(sold) >= 10)
    assert set(shopping.outcomes[-5:]) == {"61"}
    write(rules, GOOD)
    switch.process.send_signal(signal.SIGHUP)
    await three_more("00")


async def play(market: Market, switch: Switch, rules: Path) -> list[str]:
    await switch.start()
    counter = Counter(market.offices, "12400001", "127.0.0.1", switch.port)
    assert await counter.terminal.log_on() == "00"
    shopping = Shopping(market, counter)
    selling = asyncio.create_task(shopping.go_on())
    try:
        await change_rules(shopping, switch, rules)
    finally:
        shopping.is_over = True
        await selling
    await counter.terminal.close()
    assert await asyncio.to_thread(switch.end, signal.SIGTERM) == 0
    return shopping.outcomes


def test_rules_of_a_selling_switch_change_by_command_and_by_signal(tmp_path: Path) -> None:
    data, rules = tmp_path / "data", tmp_path / "rules.toml"
    decree = make_city(data)
    write(rules, GOOD)
    (tmp_path / "switch.toml").write_text('rules = "rules.toml"\n', "utf-8")
    switch = Switch(data, "--config", str(tmp_path / "switch.toml"))
    with open_offices(
        DataDirectory.beside(data), SystemClock(), lambda _part: system_random
    ) as offices:
        market = Market(offices, decree, random.Random(SEED))
        try:
            outcomes = asyncio.run(play(market, switch, rules))
        finally:
            if switch.process is not None:
                with suppress(ProcessLookupError):
                    switch.process.kill()
                switch.process.wait()
    assert set(outcomes) == {"00", "61"}
    events = [json.loads(row) for row in (data / "logs/lumbung.log").read_text().splitlines()]
    refused = [one for one in events if one.get("code") == "61"]
    assert {one["rules"] for one in refused} == {"2026.2"}
    assert all(one["rule"].startswith("amount/1: ") for one in refused)
    changes = [(one["before"], one["now"]) for one in events if one["event"] == "rules"]
    assert changes == [("2026.1", "2026.2"), ("2026.2", "2026.1")]
    (failed,) = [one for one in events if one["event"] == "rules not reloaded"]
    assert "rule.pin.tries" in failed["why"]
