"""The node over real sockets: frames, bad bytes, slow peers, caps, drain."""

import asyncio
import struct
from datetime import date
from importlib.resources import files

import pytest

from protocols.errors import ConfigurationError, LumbungError
from switch.config import SwitchConfig
from switch.marks import unpack_mark
from switch.server import SwitchServer
from switch.state import StateError, StateFile
from tests.test_switch.switch_site import Site


@pytest.fixture
async def site(counter):
    """Give a switch that listens; the counter's terminal is logged on already."""
    made = await Site(counter.world).start()
    yield made
    await made.stop()


async def test_purchase_over_a_socket_is_approved_and_posted(site, counter):
    line = await site.connect()
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 14_150_000)))
    answer = counter.edc.decode(await line.answer())
    assert answer.text(39) == "00"
    assert counter.world.card_balance(counter.chip) == 15_850_000


def test_uvloop_carries_the_switch_as_well(counter):
    uvloop = pytest.importorskip("uvloop")

    async def visit():
        site = await Site(counter.world).start()
        line = await site.connect()
        await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
        answer = counter.edc.decode(await line.answer())
        line.writer.write(b"no frame at all")
        is_cut = await line.is_cut()
        await site.stop()
        return answer.text(39), is_cut

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(visit()) == ("00", True)


async def test_frames_cut_into_single_bytes_are_understood(site, counter):
    line = await site.connect()
    payload = counter.edc.encode(counter.edc.purchase(counter.chip, 100_000))
    frame = struct.pack(">H", len(payload) + 5) + bytes.fromhex("6008310001") + payload
    for byte in frame:
        line.writer.write(bytes([byte]))
        await line.writer.drain()
    assert counter.edc.decode(await line.answer()).text(39) == "00"


async def test_keep_alives_are_ignored(site, counter):
    line = await site.connect()
    line.writer.write(b"\x00\x00" * 3)
    await line.send(counter.edc.encode(counter.edc.network("301")))
    assert counter.edc.decode(await line.answer()).text(39) == "00"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff\xff" + bytes(100),
        struct.pack(">H", 4_097) + bytes(50),
        struct.pack(">H", 3) + b"\x60\x00\x00",
        struct.pack(">H", 45) + bytes.fromhex("6008310001") + b"\xfe" * 40,
    ],
)
async def test_garbage_is_cut_and_others_are_not_disturbed(site, counter, garbage):
    bad, good = await site.connect(), await site.connect()
    bad.writer.write(garbage)
    assert await bad.is_cut()
    await good.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await good.answer()).text(39) == "00"


async def test_bad_mac_over_a_socket_is_63_and_the_line_stays(site, counter):
    line = await site.connect()
    request = counter.edc.purchase(counter.chip, 100_000)
    payload = counter.edc.encode(request)
    await line.send(payload[:-1] + bytes([payload[-1] ^ 1]), payload)
    assert counter.edc.decode(await line.answer(), mac=False).text(39) == "63"
    assert counter.edc.decode(await line.answer()).text(39) == "00"


async def test_peer_that_closes_its_half_still_gets_its_answer(site, counter):
    line = await site.connect()
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    line.writer.write_eof()
    assert counter.edc.decode(await line.answer()).text(39) == "00"
    assert await line.is_cut()


async def test_peer_that_closes_its_half_behind_two_requests_gets_both_answers(site, counter):
    chips = [counter.chip, counter.world.add_card(60, 1_000_000)]
    line = await site.connect()
    await line.send(*(counter.edc.encode(counter.edc.purchase(c, 100_000)) for c in chips))
    line.writer.write_eof()
    assert [counter.edc.decode(await line.answer()).text(39) for _ in chips] == ["00", "00"]
    assert await line.is_cut()


async def test_peer_that_vanishes_leaves_its_sale_to_its_repeat(site, counter):
    line = await site.connect()
    request = counter.edc.purchase(counter.chip, 100_000)
    await line.send(counter.edc.encode(request))
    line.writer.transport.abort()
    again = await site.connect()
    await again.send(counter.edc.encode(request))
    assert counter.edc.decode(await again.answer()).text(39) == "00"
    assert counter.world.postings() == 1


async def restarted(site, **connections):
    await site.stop()
    site.lines.clear()
    return await site.start(SwitchConfig.model_validate({"connections": connections}))


async def test_slow_drip_and_idle_lines_are_cut_by_the_clock(site, counter):
    dripping, idle = await site.connect(), await site.connect()
    dripping.writer.write(b"\x00\x40\x60")
    await dripping.writer.drain()
    await idle.send(counter.edc.encode(counter.edc.network("301")))
    assert counter.edc.decode(await idle.answer()).text(39) == "00"
    clock = counter.world.clock
    clock.advance(16)
    site.server._sweep()
    assert await dripping.is_cut()
    assert not idle.reader.at_eof()
    clock.advance(300)
    site.server._sweep()
    assert await idle.is_cut()


async def test_connection_above_the_cap_is_closed_at_once(site, counter):
    await restarted(site, maximum=1)
    first = await site.connect()
    await first.send(counter.edc.encode(counter.edc.network("301")))
    assert counter.edc.decode(await first.answer()).text(39) == "00"
    second = await site.connect()
    assert await second.is_cut()
    await first.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await first.answer()).text(39) == "00"


async def test_connections_that_prove_nothing_give_way_oldest_first_and_terminals_stay(
    site, counter
):
    await restarted(site, maximum=3)
    echo = counter.edc.encode(counter.edc.network("301"))
    terminal = await site.connect()
    await terminal.send(echo)
    assert counter.edc.decode(await terminal.answer()).text(39) == "00"
    idle, unsigned = await site.connect(), await site.connect()
    idle.writer.write(b"\x00\x00")  # Keep-alives prove nothing.
    await unsigned.send(counter.edc.encode(counter.edc.network("161"), mac=False))
    assert counter.edc.decode(await unsigned.answer(), mac=False).text(39) == "00"
    for stranger in (idle, unsigned):
        newcomer = await site.connect()
        assert await stranger.is_cut()
        await newcomer.send(echo)
        assert counter.edc.decode(await newcomer.answer()).text(39) == "00"
    assert await (await site.connect()).is_cut()  # All have proved something now.
    await terminal.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await terminal.answer()).text(39) == "00"
    assert site.server.metrics.cuts["gave way to another connection"] == 2
    assert site.server.metrics.refused_connections == 1


async def test_peer_that_does_not_read_is_cut(site, counter):
    line = await site.connect()
    line.writer.transport.pause_reading()
    connection = next(iter(site.server._connections.values()))
    payload = bytes(4_000)
    for _ in range(4_000):
        connection.send(bytes.fromhex("6008310001"), payload)
        if connection._transport.is_closing():
            break
    assert connection._transport.is_closing()
    other = await site.connect()
    await other.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await other.answer()).text(39) == "00"


async def test_stop_answers_what_is_under_way_and_start_goes_on(site, counter):
    line = await site.connect()
    request = counter.edc.purchase(counter.chip, 100_000)
    await line.send(counter.edc.encode(request))
    seen = asyncio.Event()
    arrived = site.server.arrived

    def arrived_and_seen(arrivals):
        arrived(arrivals)
        seen.set()

    site.server.arrived = arrived_and_seen
    async with asyncio.timeout(10):
        await seen.wait()
    await site.server.stop()
    assert counter.edc.decode(await line.answer()).text(39) == "00"
    assert not site.server.ready
    state = StateFile(counter.world.directory / "switch.sqlite")
    kept = state.load()
    state.close()
    assert [unpack_mark(mark) for mark in kept.atc_marks.values()] == [(1, 1)]
    assert kept.marks_sequence == counter.world.ledger.last_sequence
    await site.start()
    again = await site.connect()
    await again.send(counter.edc.encode(request))
    assert counter.edc.decode(await again.answer()).text(39) == "00"
    assert counter.world.postings() == 1


async def test_lost_ledger_makes_the_node_unfit_and_says_so(site, counter):
    from ledger.errors import LedgerPoisonedError

    class Lost:
        def __init__(self, ledger) -> None:
            self.ledger = ledger

        def __getattr__(self, name):
            return getattr(self.ledger, name)

        def create_transfers(self, transfers):
            raise LedgerPoisonedError("the disk said no")

    assert site.server.ready
    site.server._pump.ledger = Lost(counter.world.ledger)
    line = await site.connect()
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert await line.is_cut()
    assert not site.server.ready
    assert "E-LG-0003" in site.server.unfit_reason
    again = await site.connect()
    await again.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await again.answer()).text(39) == "96"


async def test_lost_state_file_makes_the_node_unfit_and_posts_nothing(site, counter):
    def commit(changes):
        raise StateError("the disk is full")

    state = site.server.node.state
    original, state.commit = state.commit, commit
    line = await site.connect()
    wrong = counter.edc.purchase(counter.chip, 100_000, pin="000000")
    right = counter.edc.purchase(counter.world.add_card(2, 1_000_000), 100_000)
    await line.send(counter.edc.encode(wrong), counter.edc.encode(right))
    assert await line.is_cut()
    assert "E-SW-0101" in site.server.unfit_reason
    assert counter.world.postings() == 0
    state.commit = original
    core, kept = site.server.node.core, state.load()
    with pytest.raises(LumbungError, match="decides nothing"):
        await site.server.change(lambda: core.cut_over("bank"))
    assert core.desk.memory.business_date == date(2026, 1, 5)
    assert state.load() == kept


async def test_help_desk_lifts_a_pin_block_while_the_switch_runs(site, counter):
    line = await site.connect()
    for _ in range(3):
        await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100, pin="000000")))
        code = counter.edc.decode(await line.answer()).text(39)
    assert code == "75"
    await site.server.unblock_pin(1, "dinsos.rina")
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100)))
    assert counter.edc.decode(await line.answer()).text(39) == "00"
    assert site.server.counters["0200/75"] == 1


async def test_rules_change_without_restart_and_a_wrong_file_changes_nothing(site, counter):
    text = files("switch").joinpath("data/rules.toml").read_text("utf-8")
    path = counter.world.directory / "rules.toml"
    path.write_text(text, "utf-8")
    await site.stop()
    await site.start(SwitchConfig(rules=path))
    line = await site.connect()

    async def buy() -> str:
        await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 200_000)))
        return counter.edc.decode(await line.answer()).text(39)

    assert await buy() == "00"
    lower = text.replace("sale_limit_rupiah = 20_000_000", "sale_limit_rupiah = 1_000")
    path.write_text(lower.replace('"2026.1"', '"2026.2"'), "utf-8")
    assert await buy() == "00"
    assert await site.server.reload_rules() == "2026.2"
    assert await buy() == "61"
    path.write_text(lower.replace("tries = 3", "tries = 0"), "utf-8")
    with pytest.raises(ConfigurationError, match=r"rule\.pin\.tries"):
        await site.server.reload_rules()
    assert await buy() == "61"


async def test_address_in_use_and_a_locked_state_file_are_told(site, counter):
    world = counter.world
    again = SwitchServer(
        SwitchConfig.model_validate({"listen": {"port": site.port}}),
        world.registry,
        world.keys,
        world.ledger,
        world.directory / "switch.sqlite",
        world.clock,
        world.noise,
    )
    with pytest.raises(StateError):
        await again.start()
    await again.stop()
    elsewhere = SwitchServer(
        SwitchConfig.model_validate({"listen": {"port": site.port}}),
        world.registry,
        world.keys,
        world.ledger,
        world.directory / "other.sqlite",
        world.clock,
        world.noise,
    )
    with pytest.raises(OSError, match="in use"):
        await elsewhere.start()
    await elsewhere.stop()
    StateFile(world.directory / "other.sqlite").close()


@pytest.mark.slow
async def test_many_lines_at_once_post_each_sale_once(site, counter):
    world = counter.world
    edcs = [world.add_edc(100 + i, counter.shop) for i in range(16)]
    chips = [world.add_card(100 + i, 30_000_000) for i in range(16)]
    mine = [await site.connect() for _ in edcs]

    async def serve(edc, chip, line):
        await line.send(edc.encode(edc.network("161"), mac=False))
        edc.take_keys(edc.decode(await line.answer(), mac=False))
        await line.send(edc.encode(edc.network("001")))
        edc.decode(await line.answer())
        for _ in range(25):
            payload = edc.encode(edc.purchase(chip, 100_000))
            await line.send(payload, payload)
            for _answer in range(2):
                assert edc.decode(await line.answer()).text(39) == "00"

    await asyncio.gather(*map(serve, edcs, chips, mine))
    assert world.postings() == 16 * 25
    assert all(world.card_balance(chip) == 30_000_000 - 25 * 100_000 for chip in chips)
