"""The admin port, the histogram, and what a full or lost ledger looks like from outside."""

import asyncio
import json
import re
from contextlib import suppress

import pytest

from ledger.errors import LedgerFullError, LedgerPoisonedError
from ledger.structures import Transfer
from switch.admin import AdminServer
from switch.buckets import TokenBuckets
from switch.control import Command, CommandTable, NoArguments
from switch.control_client import ControlClient, NodeRefusedError
from switch.control_commands import add_standard_commands
from switch.control_server import ControlServer
from switch.histogram import BOUNDS_NS, DurationHistogram
from switch.limits import ADMIN_REQUEST_BYTES_MAX, TERMINAL_RATES_MAX
from switch.metrics import STAGE_SAMPLE_TURNS
from tests.test_switch.switch_site import Site
from tests.test_switch.switch_world import FUNDING

TRANSFER = Transfer(
    id=77, debit_account_id=FUNDING, credit_account_id=1_001, amount=1, ledger=1, code=1
)


@pytest.fixture
async def site(counter):
    made = await Site(counter.world).start()
    yield made
    await made.stop()


@pytest.fixture
async def admin(site):
    async with AdminServer(site.server, 0) as made:
        yield made


async def get(admin: AdminServer, path: str, *, method: str = "GET", host: str = "localhost"):
    reader, writer = await asyncio.open_connection("127.0.0.1", admin.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}:1\r\n\r\n".encode())
    async with asyncio.timeout(10):
        raw = await reader.read(-1)
    writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


class Broken:
    """A ledger that fails at its next write."""

    def __init__(self, ledger, error) -> None:
        self.ledger, self.error = ledger, error

    def __getattr__(self, name):
        return getattr(self.ledger, name)

    def create_transfers(self, transfers, **_named):
        raise self.error


async def sell(site, counter) -> bytes:
    line = await site.connect()
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    return await line.answer()


async def test_metrics_tell_answers_stages_and_queues_and_are_well_formed(site, admin, counter):
    counter_of = re.compile(r"^[a-z_]+(\{[a-z]+=\"[^\"\n]*\"(,[a-z]+=\"[^\"\n]*\")*\})? \S+$")
    await sell(site, counter)
    line = await site.connect()
    line.writer.write(b"no frame at all")
    assert await line.is_cut()
    status, text = await get(admin, "/metrics")
    assert status == 200
    for found in (
        'lumbung_switch_answers_total{mti="0200",code="00"} 1',
        'lumbung_switch_cuts_total{reason="the stream is not framed"} 1',
        'lumbung_switch_connections{link="edc"} 1',
        "lumbung_switch_in_flight 0",
        'lumbung_switch_step_seconds_count{step="durable"} 1',
    ):
        assert found in text.splitlines(), found
    assert all(counter_of.match(row) for row in text.splitlines() if not row.startswith("#"))
    assert counter.edc.terminal_id not in text
    assert counter.shop not in text


async def test_stages_are_timed_in_some_turns(site, admin, counter):
    site.server.metrics.turns = STAGE_SAMPLE_TURNS - 1
    await sell(site, counter)
    site.server.metrics.turns = STAGE_SAMPLE_TURNS
    await sell(site, counter)
    text = (await get(admin, "/metrics"))[1]
    assert re.search(r'stage_seconds_count\{stage="pin"\} 1$', text, re.M)


async def test_health_is_ready_then_draining(site, admin):
    assert await get(admin, "/health/live") == (200, "live\n")
    assert await get(admin, "/health/ready") == (200, "ready\n")
    status, text = await get(admin, "/health")
    assert (status, json.loads(text)) == (200, {"live": True, "ready": True, "degraded": []})
    site.server.drain()
    assert (await get(admin, "/health/ready"))[0] == 503
    assert json.loads((await get(admin, "/health"))[1])["degraded"] == ["draining"]


async def test_full_ledger_answers_96_and_is_told_as_degraded(site, admin, counter):
    pump = site.server._pump
    whole, pump.ledger = pump.ledger, Broken(pump.ledger, LedgerFullError("no room"))
    answer = counter.edc.decode(await sell(site, counter))
    assert answer.text(39) == "96"
    assert (await get(admin, "/health/ready"))[0] == 200
    assert "no room" in json.loads((await get(admin, "/health"))[1])["degraded"][0]
    pump.ledger = whole
    assert counter.edc.decode(await sell(site, counter)).text(39) == "00"


async def test_poisoned_ledger_makes_the_node_unfit_loudly_and_bulk_work_is_refused(
    site, admin, counter
):
    table = CommandTable()
    add_standard_commands(table, site.server)
    table.add(
        Command("post", "post", NoArguments,
                job=lambda context, _asked: {"n": len(context.ledger.create_transfers([TRANSFER]))})
    )  # fmt: skip
    pump = site.server._pump
    pump.ledger = Broken(pump.ledger, LedgerPoisonedError("the disk said no"))

    def ask() -> str:
        with ControlClient(counter.world.directory) as client, pytest.raises(NodeRefusedError) as e:
            client.ask("post")
        return str(e.value)

    runner = site.server.runner
    async with ControlServer(counter.world.directory, table, runner, lambda _error: 3):
        assert "the disk said no" in await asyncio.to_thread(ask)
        assert "E-LG-0003" in site.server.unfit_reason
        assert "unfit" in await asyncio.to_thread(ask)
    status, text = await get(admin, "/health")
    assert status == 503
    assert json.loads(text)["degraded"][0].startswith("unfit: E-LG-0003")
    assert "lumbung_switch_unfit 1" in (await get(admin, "/metrics"))[1]
    assert counter.edc.decode(await sell(site, counter)).text(39) == "96"


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/", {}, 404),
        ("/metrics", {"method": "POST"}, 405),
        ("/metrics", {"host": "evil.example"}, 421),
        ("/metrics", {"method": "HEAD"}, 200),
    ],
)
async def test_other_requests_get_a_definite_no(admin, path, more, status):
    found, body = await get(admin, path, **more)
    assert found == status
    if more.get("method") == "HEAD":
        assert body == ""


async def test_request_that_never_ends_gets_nothing_and_others_are_served(admin):
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    reader, writer = await asyncio.open_connection("127.0.0.1", admin.port)
    writer.write(b"x" * (ADMIN_REQUEST_BYTES_MAX * 2))
    async with asyncio.timeout(10):
        with suppress(ConnectionResetError):
            assert await reader.read(-1) == b""
    writer.close()
    assert (await get(admin, "/health/live"))[0] == 200
    assert not faults


def test_histogram_counts_into_the_first_bucket_that_holds_it():
    taken = DurationHistogram()
    for duration in (0, BOUNDS_NS[0], BOUNDS_NS[0] + 1, 10**12):
        taken.record(duration)
    assert (taken.counts[0], taken.counts[1], taken.counts[-1], taken.total) == (2, 1, 1, 4)
    lines = taken.exposition("t", "")
    assert lines[0] == 't_bucket{le="1e-06"} 2'
    assert lines[-3:] == ['t_bucket{le="+Inf"} 4', f"t_sum {taken.sum_ns / 1e9:.9f}", "t_count 4"]


def test_buckets_stay_bounded_and_a_clock_that_goes_back_stops_nobody():
    buckets = TokenBuckets(per_second=10, burst=1)
    assert buckets.take("a", 10**9)
    assert not buckets.take("a", 5 * 10**8)
    assert buckets.take("a", 7 * 10**8)
    for number in range(TERMINAL_RATES_MAX + 5):
        buckets.take(f"t{number}", 10**9)
    assert len(buckets._buckets) == TERMINAL_RATES_MAX
