"""The control channel over its real socket: what is asked, what is refused, jobs behind sales."""

import asyncio
import json
import socket
import threading
from collections import deque
from dataclasses import replace

import pytest
from pydantic import Field

from ledger.port import Ledger
from ledger.structures import Account, Transfer, TransferFlags
from programme.chart import AccountCode, TransferCode
from protocols.errors import LumbungError
from switch.control import (
    SOCKET_NAME,
    Arguments,
    Command,
    CommandTable,
    NoArguments,
    Refused,
    read_request,
    request_line,
)
from switch.control_client import ControlClient, NodeRefusedError, NoSwitchError
from switch.control_commands import add_standard_commands
from switch.control_server import ControlServer
from switch.jobs import READS, BulkError, Group, JobLedger, in_groups
from switch.limits import BULK_GROUP_TRANSFERS_MAX, CONTROL_REQUEST_BYTES_MAX
from switch.metrics import NodeMetrics
from switch.pump import Pump
from switch.session import Arrival
from switch.work import make_durable
from tests.test_switch.switch_site import Site
from tests.test_switch.switch_world import FUNDING, TPDU


class PayArguments(Arguments):
    """How many sen go to which card, in how many transfers."""

    account_id: int = Field(ge=1)
    count: int = Field(ge=1)


def exit_codes(error: Exception) -> int:
    return 1 if isinstance(error, BulkError) else 3


class Office:
    """A site with its control channel; questions are asked from a thread, as a command would."""

    def __init__(self, site: Site) -> None:
        self.site, self.table = site, CommandTable()
        self.directory = site.world.directory
        add_standard_commands(self.table, site.server)
        self.table.add(Command("pay", "credit a card", PayArguments, job=self.pay))
        self.held = threading.Event()
        self.held.set()
        self.began = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def pay(self, context, asked):
        self.loop.call_soon_threadsafe(self.began.set)
        self.held.wait(10)
        batch = [credit(asked.account_id, number) for number in range(asked.count)]
        for start in range(0, len(batch), 700):
            results = context.ledger.create_transfers(batch[start : start + 700])
            assert {r.status.name for r in results} <= {"CREATED", "EXISTS"}
            context.progress(min(start + 700, len(batch)), len(batch))
        return {"credited": asked.count}

    def channel(self) -> ControlServer:
        return ControlServer(self.directory, self.table, self.site.server.runner, exit_codes)

    async def ask(self, command: str, **arguments):
        return await asyncio.to_thread(self._ask, command, arguments)

    def _ask(self, command, arguments):
        detached = arguments.pop("detached", False)
        with ControlClient(self.directory) as client:
            return client.ask(command, arguments, detached=detached)


def credit(account_id: int, number: int) -> Transfer:
    return Transfer(
        id=(7 << 64) + number, debit_account_id=FUNDING, credit_account_id=account_id, amount=100,
        ledger=1, code=TransferCode.DISBURSEMENT,
    )  # fmt: skip


@pytest.fixture
async def office(counter):
    site = await Site(counter.world).start()
    made = Office(site)
    async with made.channel():
        yield made
    await site.stop()


async def test_status_tells_links_answers_and_the_day(office, counter):
    line = await office.site.connect()
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await line.answer()).text(39) == "00"
    found = await office.ask("status")
    assert found["ready"]
    assert found["answers"]["0200/00"] == 1
    assert found["business_date"] == "2026-01-05"
    assert [(link["link"], link["connections"]) for link in found["links"]] == [("edc", 1)]


async def test_cut_over_by_hand_moves_the_day_durably_and_the_calendar_does_not_set_it_back(
    office, counter
):
    found = await office.ask("cut-over", actor="dinsos.rina")
    assert found == {"business_date": "2026-01-06"}
    line = await office.site.connect()
    await line.send(counter.edc.encode(counter.edc.network("301")))
    answer = counter.edc.decode(await line.answer())
    assert answer.text(63, "business_date") == "20260106"
    kept = office.site.server.node.state.load()
    assert kept.business_date.day.isoformat() == "2026-01-06"


async def test_job_posts_in_groups_while_sales_go_on(office, counter):
    world = counter.world
    world.open_account(9_001, AccountCode.CARD)
    line = await office.site.connect()
    office.held.clear()
    paying = asyncio.create_task(office.ask("pay", account_id=9_001, count=5_000))
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await line.answer()).text(39) == "00"
    office.held.set()
    for _sale in range(5):
        await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
        assert counter.edc.decode(await line.answer()).text(39) == "00"
    assert await paying == {"credited": 5_000}
    assert world.balance(9_001) == 500_000
    assert world.postings() == 6
    again = await office.ask("pay", account_id=9_001, count=5_000)
    assert again == {"credited": 5_000}
    assert world.balance(9_001) == 500_000


class ByHand:
    """A worker that does its next piece when told to."""

    def __init__(self) -> None:
        self.pieces = deque()

    def submit(self, work, done):
        self.pieces.append((work, done))

    def wake(self, call):
        call()

    def step(self) -> str:
        work, done = self.pieces.popleft()
        done(work(), None)
        return "sale" if work.func is make_durable else "job"


def test_groups_and_sales_take_turns_at_the_writer(counter):
    world, worker = counter.world, ByHand()
    chips = [world.add_card(20 + number, 1_000_000) for number in range(3)]
    metrics = NodeMetrics(world.clock.monotonic_ns)
    pump = Pump(world.node, world.ledger, world.clock, worker, lambda _departures: None, metrics)
    groups = [Group(lambda ledger: ledger.last_sequence) for _ in range(3)]

    def sell(chip):
        payload = counter.edc.encode(counter.edc.purchase(chip, 100))
        pump.turn([Arrival(1, TPDU, payload)])

    sell(chips[0])
    for group in groups:
        pump.bulk.put(group)
    done = []
    for chip in (*chips[1:], None):
        if chip is not None:
            sell(chip)
        assert len(worker.pieces) == 1, "one piece at a time"
        done += [worker.step(), worker.step()]
    assert done == ["sale", "job", "sale", "job", "sale", "job"]
    assert all(group.outcome.done() for group in groups)
    assert world.postings() == 3
    assert (metrics.durable.total, metrics.bulk.total) == (3, 3)


async def test_detached_job_can_be_looked_up(office, counter):
    counter.world.open_account(9_001, AccountCode.CARD)
    begun = await office.ask("pay", account_id=9_001, count=3, detached=True)
    assert begun["name"] == "pay"
    job = office.site.server.runner.find(begun["job"])
    while not job.is_over:
        await job.wait()
    found = await office.ask("job", job=begun["job"])
    assert (found["state"], found["result"]) == ("done", {"credited": 3})
    assert [entry["state"] for entry in (await office.ask("jobs"))["jobs"]] == ["done"]
    with pytest.raises(NodeRefusedError, match="no job 99"):
        await office.ask("job", job=99)


async def test_error_of_a_job_reaches_the_asker_with_code_and_exit_code(office):
    class CountedError(LumbungError):
        code = "E-T-1"

    def fail(_context, _asked):
        raise CountedError("the month is over.", fix="Take another.")

    office.table.add(Command("fail", "fail", NoArguments, job=fail))
    with pytest.raises(NodeRefusedError) as caught:
        await office.ask("fail")
    error = caught.value
    assert (error.code, error.external, error.fix) == (
        "E-T-1",
        "the month is over.",
        "Take another.",
    )
    assert error.exit_code == 3


async def test_drain_turns_new_sales_away_and_asks_for_the_stop(office, counter):
    line = await office.site.connect()
    await line.send(counter.edc.encode(counter.edc.network("301")))
    await line.answer()
    assert await office.ask("drain") == {"draining": True}
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100)))
    assert counter.edc.decode(await line.answer()).text(39) == "91"
    assert office.site.server.is_stop_wanted.is_set()
    assert not office.site.server.ready


async def test_stop_ends_a_waiting_job_with_a_clear_word(counter):
    site = await Site(counter.world).start()
    office = Office(site)
    counter.world.open_account(9_001, AccountCode.CARD)
    async with office.channel():
        office.held.clear()
        paying = asyncio.create_task(office.ask("pay", account_id=9_001, count=5_000))
        await office.began.wait()
        stopping = asyncio.create_task(site.stop())
        await asyncio.sleep(0)
        assert site.server.is_draining
        office.held.set()
        with pytest.raises(NodeRefusedError, match="stops"):
            await paying
        await stopping
    assert counter.world.balance(9_001) in (0, 70_000)


async def test_socket_is_the_owners_alone_and_goes_with_the_switch(counter):
    site = await Site(counter.world).start()
    office = Office(site)
    (office.directory / SOCKET_NAME).write_text("left by a kill")
    async with office.channel():
        assert (office.directory / SOCKET_NAME).stat().st_mode & 0o777 == 0o600
        assert (await office.ask("refresh")) == {"changed": False}
    assert not (office.directory / SOCKET_NAME).exists()
    with pytest.raises(NoSwitchError, match="no switch answers"):
        await office.ask("status")
    await site.stop()


async def test_long_directory_names_are_reached_as_well(counter):
    world = counter.world
    deep = world.directory / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    site = await Site(world).start()
    office = Office(site)
    office.directory = deep
    async with office.channel():
        assert (await office.ask("status"))["ready"]
    await site.stop()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"garbage\n", "one JSON object"),
        (b"[1]\n", "number as its id"),
        (b'{"id": 1, "command": "status"}\n', "version 1"),
        (b'{"version": 2, "id": 1, "command": "status"}\n', "version 1"),
        (b'{"version": 1, "id": 1, "command": "open-safe"}\n', "does not know"),
        (b'{"version": 1, "id": 1, "command": "a", "arguments": {"x": 1}}\n', "x: Extra"),
        (b'{"version": 1, "id": 1, "command": "a", "arguments": 7}\n', "do not fit"),
        (b"[" * 60_000 + b"\n", "one JSON object"),
    ],
)
def test_line_that_is_no_request_is_refused_with_its_reason(line, why):
    table = CommandTable()

    async def nothing(_asked):
        return {}

    table.add(Command("a", "nothing", NoArguments, nothing))
    with pytest.raises(Refused, match=why):
        read_request(line, table)


async def test_hostile_writer_on_the_socket_harms_nobody(office, counter):
    def shout() -> list[bytes]:
        answers = []
        for data in (b"\xff" * 100 + b"\n", b"x" * (CONTROL_REQUEST_BYTES_MAX + 10)):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(str(office.directory / SOCKET_NAME))
                sock.sendall(data)
                answers.append(sock.recv(65_536))
        return answers

    answers = [json.loads(answer) for answer in await asyncio.to_thread(shout)]
    assert [answer["error"]["exit_code"] for answer in answers] == [2, 3]
    line = await office.site.connect()
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100)))
    assert counter.edc.decode(await line.answer()).text(39) == "00"


def test_request_that_is_too_long_is_not_even_sent():
    with pytest.raises(LumbungError, match="at most"):
        request_line(1, "a", {"text": "x" * CONTROL_REQUEST_BYTES_MAX})


def test_groups_hold_at_most_their_number_and_never_cut_a_chain():
    chained = [replace(credit(1, n), flags=TransferFlags.LINKED) for n in range(99)]
    chained.append(credit(1, 99))
    events = [credit(1, 1_000 + n) for n in range(BULK_GROUP_TRANSFERS_MAX - 50)] + chained
    groups = list(in_groups(events))
    assert [len(group) for group in groups] == [BULK_GROUP_TRANSFERS_MAX - 50, 100]
    assert [e.id for group in groups for e in group] == [e.id for e in events]
    many = list(in_groups([credit(1, n) for n in range(2_500)]))
    assert [len(group) for group in many] == [1_024, 1_024, 452]
    with pytest.raises(BulkError, match="linked chain"):
        list(in_groups([replace(e, flags=TransferFlags.LINKED) for e in events]))
    assert list(in_groups([Account(id=1, ledger=1, code=1)])) == [[Account(id=1, ledger=1, code=1)]]


def test_job_ledger_has_every_part_of_the_port_and_nothing_writes_past_the_writer():
    port = {name for name in vars(Ledger) if not name.startswith("_")}
    writes = {name for name in vars(JobLedger) if not name.startswith("_")}
    assert writes | READS == port
    assert not writes & READS
