"""The administration interface beside a real switch: what it answers is in force at the counter."""

import asyncio
import itertools
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from lumbung.composition import open_offices
from lumbung.data_directory import DataDirectory
from lumbung.story.counter import Counter
from lumbung.system import SystemClock, system_random
from tests.test_switch.switch_market import RIGHT, SEED, Market, Switch, make_city

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WAIT_SECONDS = 30
MONTHS = ("2026-02", "2026-03", "2026-04")


def lumbung(*arguments: str) -> Any:
    command = [sys.executable, "-m", "lumbung", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout)


class Server:
    """`lumbung programme serve` as a process, and clients with tokens."""

    def __init__(self, root: Path) -> None:
        command = [sys.executable, "-m", "lumbung", "programme", "serve", str(root),
                   "--port", "0", "--json"]  # fmt: skip
        self.root = root
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.at = json.loads(self.process.stdout.readline())["listening"]
        self._clients: dict[str, httpx.Client] = {}

    def client(self, who: str) -> httpx.Client:
        if who not in self._clients:
            made = lumbung("programme", "token", "new", "--bearer", who, "--officer",
                           "operator:op-01", "--data", str(self.root))  # fmt: skip
            headers = {"Authorization": f"Bearer {made['secret']}"}
            self._clients[who] = httpx.Client(base_url=self.at, headers=headers, timeout=60)
        return self._clients[who]

    def ok(self, who: str, method: str, path: str, body: Any = None) -> Any:
        answer = self.client(who).request(method, path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def ended(self, who: str, job: Any) -> Any:
        until = time.monotonic() + WAIT_SECONDS
        while job["state"] in ("waiting", "running"):
            assert time.monotonic() < until, job
            job = self.ok(who, "GET", f"/jobs/{job['job']}")
        return job

    def close(self) -> int:
        for client in self._clients.values():
            client.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)
        return self.process.returncode


class City:
    """A city with its switch and its administration interface."""

    def __init__(self, root: Path, decree: int) -> None:
        self.root, self.decree = root, decree
        self.switch, self.server = Switch(root), Server(root)

    def close(self) -> None:
        if self.switch.process is not None:
            with suppress(ProcessLookupError):
                self.switch.process.kill()
            self.switch.process.communicate(timeout=20)
        assert self.server.close() == 0


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    decree = make_city(tmp_path / "data")
    made = City(tmp_path / "data", decree)
    yield made
    made.close()


async def counter_rush(city: City, market: Market) -> None:
    """Change what the counter may do over HTTP, and try it at once."""
    server, switch = city.server, city.switch
    await switch.start()
    counter = Counter(market.offices, "12400001", "127.0.0.1", switch.port)
    assert await counter.terminal.log_on() == "00"
    who = market.holder(RIGHT[0])
    shop = next(row["home"] for row in server.ok("bank:b", "GET", "/terminals")["terminals"]
                if row["terminal"] == "12400001")  # fmt: skip

    async def change(who_acts: str, path: str, body: Any = None) -> None:
        await asyncio.to_thread(server.ok, who_acts, "POST", path, body)

    async def outcome() -> str:
        # Another amount each time: the terminal shows the last result again for the same one.
        return str((await counter.sell(who, next(amounts))).outcome)

    amounts = itertools.count(10_000, 100)

    cards = {"cards": [who.card.card_number]}
    assert await outcome() == "00"
    await change("dinsos:d", "/cards/block", {**cards, "reason": "B01"})
    assert await outcome() == "41"
    await change("dinsos:d", "/cards/unblock", cards)
    assert await outcome() == "00"
    await change("dinsos:d", f"/merchants/{shop}/suspend", {"reason": "audit"})
    assert await outcome() == "03"
    await change("dinsos:d", f"/merchants/{shop}/resume")
    assert await outcome() == "00"
    await change("bank:b", "/terminals/12400001/log-off")
    assert await outcome() == "03"
    assert await counter.terminal.log_on() == "00"
    assert await outcome() == "00"
    await counter.terminal.close()


def test_what_the_interface_answers_is_in_force_at_the_counter(city: City) -> None:
    data = DataDirectory.beside(city.root)
    with open_offices(data, SystemClock(), lambda _part: system_random) as offices:
        market = Market(offices, city.decree, random.Random(SEED), pause_seconds=0.0)
        asyncio.run(counter_rush(city, market))
    refused = lumbung("programme", "card", "block", "9", "--reason", "B07", "--officer", "bank:b",
                      "--data", str(city.root))  # fmt: skip
    assert refused["cards"][0]["reason"] == "B07"
    assert city.switch.end(signal.SIGTERM) == 0
    alone = city.server.ok("dinsos:d", "POST", "/cards/unblock", {"cards": [9]})
    assert alone["cards"][0]["status"] == "active"


def test_month_asked_over_http_is_paid_once_whenever_the_switch_is_killed(city: City) -> None:
    server, rng = city.server, random.Random(SEED)
    for who in ("dinsos:maker", "bank:checker"):
        server.client(who)
    for month in MONTHS:
        asyncio.run(city.switch.start())
        asked = {"decree": city.decree, "period": month}
        number = server.ok("dinsos:maker", "POST", "/proposals/disbursement", asked)["proposal"]
        server.ok("bank:checker", "POST", f"/proposals/{number}/approve")
        job = server.ok("bank:checker", "POST", f"/proposals/{number}/run")
        time.sleep(rng.uniform(0.0, 0.15))
        city.switch.end(signal.SIGKILL)
        server.ended("bank:checker", job)
        asyncio.run(city.switch.start())
        if server.ok("dinsos:maker", "GET", f"/proposals/{number}")["state"] != "done":
            again = server.ok("bank:checker", "POST", f"/proposals/{number}/run")
            assert server.ended("bank:checker", again)["state"] == "done", again
        told = server.ok("dinsos:maker", "GET", f"/proposals/{number}")
        assert sum(told["outcome"].values()) == told["terms"]["total_sen"]
        city.switch.end(signal.SIGTERM)
    rows = server.ok("dinsos:maker", "GET", "/reports/disbursement")["rows"]
    assert len(rows) == 1 + len(MONTHS)
    totals = {(row["total"], row["credited"]) for row in rows}
    assert len(totals) == 1, rows
