"""A switch process as people run it: status, ask, journal and replay by their commands."""

import asyncio
import json
import random
import shutil
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

#: After the first month's payment: two more, while people buy.
PERIOD = "2026-02"


def run(*arguments: str, code: int = 0) -> str:
    """Run a command of lumbung; give what it printed."""
    result = CliRunner().invoke(root, list(arguments))
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.stdout


async def payday(market: Market, switch: Switch) -> None:
    """Pay a month out by a job while people buy."""
    counter = await opened(market, switch)

    def pay() -> str:
        return run("switch", "ask", "disburse", f"decree={market.decree}", f"period={PERIOD}",
                   "maker=rina", "checker=budi", "--data", str(switch.root), "--json")  # fmt: skip

    paying = asyncio.create_task(asyncio.to_thread(pay))
    for place in RIGHT[:4]:
        await market.sell_once(counter, market.holder(place), is_wrong=False)
    paid = json.loads(await paying)
    assert paid["balanced"]
    assert paid["credited"] > 900
    await reconciled(market, counter, switch.root)
    await counter.terminal.close()
    await drained(switch)


async def trade(market: Market, switch: Switch) -> None:
    """Sell eight times, and twice to one who mistypes."""
    counter = await opened(market, switch)
    for place in RIGHT[:8]:
        await market.sell_once(counter, market.holder(place), is_wrong=False)
    for _ in range(2):
        await market.sell_once(counter, market.holder(100), is_wrong=True)
    data = ("--data", str(switch.root))
    status = json.loads(await asyncio.to_thread(run, "switch", "status", *data, "--json"))
    assert status["answers"]["0200/00"] == 8
    assert status["answers"]["0200/55"] == 2
    await counter.terminal.close()
    await drained(switch)


async def reconciled(market: Market, counter: Counter, data: Path) -> None:
    """Reconcile beside the running switch, again and again, while people go on buying."""
    is_over = False

    async def buying() -> int:
        sold = 0
        while not is_over:
            await market.sell_once(counter, market.holder(RIGHT[sold % 40]), is_wrong=False)
            sold += 1
        return sold

    buyers = asyncio.create_task(buying())
    found = [
        json.loads(
            await asyncio.to_thread(run, "switch", "reconcile", "--data", str(data), "--json")
        )
        for _ in range(3)
    ]
    is_over = True
    assert await buyers > 0
    assert all(one["agrees"] and one["differences"] == [] for one in found)
    counts = [one["totals"]["sales"] for one in found]
    assert counts == sorted(counts)
    assert counts[0] >= 4


async def opened(market: Market, switch: Switch) -> Counter:
    await switch.start()
    counter = Counter(market.offices, "12400001", "127.0.0.1", switch.port)
    assert await counter.terminal.log_on() == "00"
    return counter


async def drained(switch: Switch) -> None:
    told = await asyncio.to_thread(run, "switch", "ask", "drain", "--data", str(switch.root))
    assert told == "draining: true\n"
    assert switch.process is not None
    await asyncio.to_thread(switch.process.communicate, timeout=20)


def test_switch_is_asked_read_and_replayed_by_its_commands(tmp_path: Path) -> None:
    data, before = tmp_path / "data", tmp_path / "before"
    decree = make_city(data)
    switch = Switch(data)
    with open_offices(
        DataDirectory.beside(data), SystemClock(), lambda _part: system_random
    ) as offices:
        market = Market(offices, decree, random.Random(SEED), pause_seconds=0.0)
        try:
            asyncio.run(payday(market, switch))
            shutil.copytree(data, before)
            asyncio.run(trade(market, switch))
        finally:
            if switch.process is not None:
                with suppress(ProcessLookupError):
                    switch.process.kill()
                switch.process.wait()
    at = ("--data", str(data))
    assert not list(data.glob("switch-copy-*"))
    run("switch", "status", *at, code=1)
    second = (*at, "--from-segment", "2")
    told = run("switch", "journal", "tail", "--lines", "500", *second, "--json")
    lines = [json.loads(row) for row in told.splitlines()]
    kinds = [line["kind"] for line in lines]
    assert kinds.count("request") == kinds.count("answer") == 12
    sale = next(line for line in lines if line.get("message", "").startswith("0210"))
    stan = sale["message"].partition(" 11=")[2][:6]
    told = run("switch", "journal", "describe", stan, "--terminal", "12400001", *at)
    assert "0200" in told
    assert "0210" in told
    run("switch", "journal", "describe", "999999", *at, code=1)
    found = json.loads(run("switch", "journal", "replay", "--on", str(before), *second, "--json"))
    assert found == {
        "played": 11, "same": 11, "different": 0, "unanswered": 0, "adopted_key_sets": 1,
        "differences": [],
    }  # fmt: skip
    lower = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    changed = lower.replace("sale_limit_rupiah = 20_000_000", "sale_limit_rupiah = 1")
    assert changed != lower
    (tmp_path / "rules.toml").write_text(changed, "utf-8")
    (tmp_path / "switch.toml").write_text('rules = "rules.toml"\n', "utf-8")
    told = run("switch", "journal", "replay", "--on", str(before), *second, "--config",
               str(tmp_path / "switch.toml"), code=1)  # fmt: skip
    assert "39" in told
    target = str(tmp_path / "out.pcap")
    assert "entries as pcap" in run("switch", "journal", "export", target, "--as", "pcap", *at)
    run("switch", "journal", "replay", *at, code=2)
