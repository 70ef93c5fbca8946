"""The load client: honest times, honest verdicts, and a whole run against a real switch."""

import asyncio
import json
import random
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lumbung.cli import root
from lumbung.composition import Offices, compose
from lumbung.data_directory import DataDirectory
from lumbung.event_loop import loop_factory, run_loop
from lumbung.load import run as load_run
from lumbung.load.closed import ClosedPlan, run_closed
from lumbung.load.crew import cards_for
from lumbung.load.driver import Driver, Prepared, Tally
from lumbung.load.histogram import Histogram
from lumbung.load.limits import MESSAGES_MAX
from lumbung.load.messages import answer_code, read_key
from lumbung.load.report import Invariant, compare, make_report, read_report
from lumbung.load.run import LoadPlan, run_load
from lumbung.load.schedule import LoadError, Profile, starts_ns
from lumbung.story import cast
from lumbung.story.run import MONTH_SEN, story_created
from lumbung.system import SystemClock, seeded_random
from programme.accounts import open_purse
from programme.chart import Purse
from programme.disbursement import disburse
from protocols.framing import EDC_FRAMES, Framer, frame
from switch.config import SwitchConfig
from switch.server import SwitchServer

TPDU = bytes.fromhex("6008310000")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 1 << 36), min_size=1, max_size=60), st.integers(1, 100))
def test_histogram_percentile_is_the_sorted_one_within_its_step(values, percent) -> None:
    histogram = Histogram()
    histogram.record_all(values)
    exact = sorted(values)[max(1, -(-len(values) * percent // 100)) - 1]
    assert exact <= histogram.percentile_ns(percent) <= exact * (1 + 1 / 64)
    assert histogram.percentile_ns(100) == max(values) == histogram.maximum_ns


def test_schedule_keeps_its_rate_and_is_the_same_from_one_seed() -> None:
    assert starts_ns(Profile.STEADY, 1000, 2, 7)[::500] == [0, 500_000_000, 10**9, 1_500_000_000]
    step = starts_ns(Profile.STEP, 400, 4, 7)
    assert Counter(start // 10**9 for start in step) == {0: 100, 1: 200, 2: 300, 3: 400}
    poisson = starts_ns(Profile.POISSON, 1000, 4, 7)
    assert poisson == starts_ns(Profile.POISSON, 1000, 4, 7) == sorted(poisson)
    assert poisson != starts_ns(Profile.POISSON, 1000, 4, 8)
    assert 3_700 < len(poisson) < 4_300


@pytest.mark.parametrize(
    ("rate", "seconds"), [(0, 1), (10, 0), (10, 601), (MESSAGES_MAX + 1, 1), (float("inf"), 1)]
)
def test_schedule_beyond_a_bound_is_refused(rate: float, seconds: float) -> None:
    with pytest.raises(LoadError):
        starts_ns(Profile.STEADY, rate, seconds, 7)


class Host(asyncio.Protocol):
    """Gives every message back, after `delay` seconds."""

    def __init__(self, delay: float = 0.0, lost: bytes = b"") -> None:
        self.delay, self.lost, self.framer = delay, lost, Framer(EDC_FRAMES)

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for one in self.framer.feed(data):
            if one.payload == self.lost:
                self.transport.abort()
                return
            back = frame(one.payload, one.tpdu, EDC_FRAMES)
            asyncio.get_running_loop().call_later(self.delay, self.transport.write, back)


@asynccontextmanager
async def host(**settings):
    server = await asyncio.get_running_loop().create_server(
        lambda: Host(**settings), "127.0.0.1", 0
    )
    async with asyncio.timeout(10):
        yield server.sockets[0].getsockname()[1]
    server.close()


def messages(count: int) -> list[Prepared]:
    return [
        Prepared(frame(b"%06d" % number, TPDU, EDC_FRAMES), b"%06d" % number)
        for number in range(count)
    ]


async def test_open_run_takes_the_time_from_the_intended_start() -> None:
    async with host(delay=0.05) as port:
        starts = [0] * 10 + [20_000_000] * 10
        async with Driver("127.0.0.1", port, messages(20), bytes, connections=3) as driver:
            tally = await driver.run_open(starts)
    assert (tally.sent, tally.answered, tally.strangers) == (20, 20, 0)
    assert [int(answer) for answer in tally.answers] == list(range(20))
    report = make_report("steady", 3, 0.04, starts, tally, Counter({"00": 20}))
    assert report.from_intended_us["p50"] >= 50_000
    # A message that left late has waited all the same.
    tally.sent_ns[0] = tally.answered_ns[0]
    tally.begin_ns -= 1_000_000_000
    late = make_report("steady", 3, 0.04, starts, tally, Counter({"00": 20}))
    assert late.from_intended_us["p50"] >= 1_000_000
    assert late.from_send_us["p50"] < 1_000_000


@pytest.mark.parametrize("one_shot", [False, True])
async def test_closed_run_keeps_one_message_under_way_on_each_connection(one_shot) -> None:
    async with host(delay=0.02) as port:
        plan = ClosedPlan("127.0.0.1", port, 3, 0.05, one_shot)
        tally = await asyncio.to_thread(run_closed, plan, messages(100))
    assert tally.answered == tally.sent
    assert 3 <= tally.sent <= 3 * 3
    assert (tally.lost_connections, tally.strangers) == (0, 0)
    for place, payload in enumerate(tally.answers):
        assert not payload or int(payload) == place


async def test_closed_run_ends_when_the_host_cuts_and_says_so() -> None:
    async with host(lost=b"000001") as port:
        plan = ClosedPlan("127.0.0.1", port, 2, 10.0)
        tally = await asyncio.to_thread(run_closed, plan, messages(4))
    assert (tally.sent, tally.answered, tally.lost_connections) == (3, 2, 1)


async def test_connection_that_the_host_cuts_is_told() -> None:
    async with (
        host(lost=b"000001") as port,
        Driver("127.0.0.1", port, messages(3), bytes, connections=1) as driver,
    ):
        tally = await driver.run_open([0, 0, 10_000_000])
    assert tally.lost_connections == 1
    report = make_report("steady", 1, 0.01, [0, 0, 10_000_000], tally, Counter({"00": 1}))
    assert report.unanswered >= 2
    assert report.verdict == "FAIL"


async def test_host_that_is_away_is_an_error_with_a_way_out() -> None:
    with pytest.raises(LoadError, match="cannot connect"):
        async with Driver("127.0.0.1", 1, [], bytes, connections=1):
            pass


def report_of(answered_ns: list[int], **changes):
    tally = Tally.of(len(answered_ns))
    tally.begin_ns = 1
    tally.sent_ns = [1] * len(answered_ns)
    tally.answered_ns = answered_ns
    report = make_report("steady", 1, 1.0, [0] * len(answered_ns), tally, Counter({"00": 100}))
    for name, value in changes.items():
        setattr(report, name, value)
    return report


def test_verdict_is_pass_only_when_everything_was_offered_answered_and_true() -> None:
    assert report_of([10**9] * 100).verdict == "PASS"
    # The last answers came half a second after the end: less was achieved than offered.
    assert "achieved" in report_of([1_500_000_000] * 100).faults[0]
    assert "without an answer" in report_of([10**9] * 100, unanswered=1).faults[0]
    assert "nothing was approved" in report_of([10**9] * 100, codes={"91": 100}).faults[0]
    assert "mac" in report_of([10**9] * 100, codes={"00": 99, "mac": 1}).faults[0]
    broken = [Invariant("no card below zero", False, "1 cards")]
    assert "below zero" in report_of([10**9] * 100, invariants=broken).faults[0]


def test_reports_are_compared_and_other_files_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text(json.dumps(report_of([10**9] * 100).as_json()))
    second.write_text(json.dumps(report_of([500_000_000] * 100).as_json()))
    rows = {name: (a, b) for name, a, b in compare(read_report(first), read_report(second))}
    assert rows["achieved_per_s"] == (100.0, 100.0)
    assert rows["from_send_us.max"] == (1_000_000.0, 500_000.0)
    done = CliRunner().invoke(root, ["load", "compare", str(first), str(second), "--json"])
    assert [row["figure"] for row in json.loads(done.output)] == list(rows)
    for text in ("{", "[]", '{"format": 9}'):
        second.write_text(text)
        with pytest.raises(LoadError):
            read_report(second)


@pytest.mark.parametrize("connections", [1, 2, 7, 16, 64, 900])
def test_card_always_buys_on_the_same_connection(connections: int) -> None:
    cards = cards_for(list(range(933)), connections)  # type: ignore[arg-type]
    assert 933 - connections < len(cards) <= 933
    seen: dict[int, set[int]] = {}
    for number in range(3_000):
        seen.setdefault(number % len(cards), set()).add(number % connections)
    assert all(len(used) == 1 for used in seen.values())
    assert len(cards_for(list(range(3)), 16)) == 3  # type: ignore[arg-type]


def test_load_goes_to_loopback_only(tmp_path: Path) -> None:
    for address in ("10.0.0.1:8583", "127.0.0.1", "example.org:1"):
        done = CliRunner().invoke(root, ["load", "run", "--data", str(tmp_path), "--host", address])
        assert done.exit_code == 2
        assert "loopback" in done.output


def test_bytes_that_are_no_message_have_no_key() -> None:
    assert read_key(b"\x00") is None


def test_loop_of_the_commands_is_uvloop_where_it_is_installed() -> None:
    pytest.importorskip("uvloop")
    assert loop_factory() is not None

    async def name() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run_loop(name()) == "uvloop"


@asynccontextmanager
async def city(directory: Path):
    """Give the offices of a small city and the port of its running switch."""
    created = story_created()
    with (
        DataDirectory.open(directory, kind="story", seed=7, created=created) as data,
        compose(data, SystemClock(), lambda part: seeded_random(7, part)) as parts,
    ):
        result = cast.take_decree(parts)
        cast.open_shops(parts)
        cast.hand_out_cards(parts, result, 7)
        open_purse(parts.ledger, parts.registry, Purse.FOOD, cast.DINSOS_MAKER)
        disburse(
            parts.ledger, parts.registry, result.decree.decree_number, "2026-01", MONTH_SEN,
            cast.DINSOS_MAKER, cast.DINSOS_CHECKER,
        )  # fmt: skip
        server = SwitchServer(
            SwitchConfig(), parts.registry, parts.keystore, parts.ledger, data.switch_state,
            parts.clock, parts.random_for("switch"),
        )  # fmt: skip
        port = await server.start()
        yield Offices(data, parts.clock, parts.random_for, parts.keystore, parts.registry), port
        await server.stop()


def assert_touched_answers_are_not_believed(prepared, answers) -> None:
    chance = random.Random(7)
    for purchase, payload in zip(prepared, answers, strict=True):
        spoilt = bytearray(payload)
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        assert answer_code(purchase, bytes(spoilt)) in ("mac", "format")


@pytest.mark.slow
async def test_run_against_a_real_switch_passes_and_finds_an_approval_without_posting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with city(tmp_path / "data") as (offices, port):
        plan = LoadPlan("127.0.0.1", port, 150, 1, 8, Profile.POISSON)
        report = await run_load(offices, plan)
        assert [i.name for i in report.invariants if not i.holds] == []
        assert report.codes == {"00": report.messages}
        assert report.unanswered == 0

        def one_too_many(prepared, answers):
            assert_touched_answers_are_not_believed(prepared, answers)
            codes, approved, refused = read(prepared, answers)
            return codes, [*approved, 12345], [*refused, approved[0]]

        read = load_run.read_answers
        monkeypatch.setattr(load_run, "read_answers", one_too_many)
        # The same cards again: counters go on above those that the ledger has seen.
        told = await run_load(offices, LoadPlan("127.0.0.1", port, 40, 0.5))
        assert told.codes == {"00": 20}
        assert [i.detail for i in told.invariants if not i.holds] == [
            "1 without exactly one",
            "1 posted",
        ]
        assert told.verdict == "FAIL"
