"""The proxy does what each fault's name says, to the chosen message, and the same from one seed."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
import pytest

from lumbung.commands.net import chooser, parse_rule
from lumbung.proxy import Fault, FaultProxy, Moment, ProxyError, Rule, Side
from protocols.framing import EDC_FRAMES, Framer, FramingError, frame

TPDU = bytes.fromhex("6008310000")


def framed(*payloads: bytes) -> bytes:
    return b"".join(frame(payload, TPDU, EDC_FRAMES) for payload in payloads)


class Host:
    """Echoes every message with an `=` before it, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer(EDC_FRAMES)
        try:
            while data := await reader.read(4096):
                for one in framer.feed(data):
                    self.got.append(one.payload)
                    writer.write(framed(b"=" + one.payload) if one.payload else b"\0\0")
        except (ConnectionError, FramingError):
            pass
        self.ended.set()
        writer.close()


@asynccontextmanager
async def line(
    *rules: Rule, seed: int = 7
) -> AsyncIterator[tuple[Host, FaultProxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    host = Host()
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(10), FaultProxy("127.0.0.1", port, rules, seed=seed) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.listen_port)
        try:
            yield host, proxy, reader, writer
        finally:
            writer.close()
    server.close()
    await server.wait_closed()


async def answers(reader: asyncio.StreamReader, count: int = 1 << 30) -> list[bytes]:
    """Give answers until there are `count`, or the connection ends."""
    framer, got = Framer(EDC_FRAMES), []
    while len(got) < count:
        try:
            data = await reader.read(4096)
        except ConnectionError:
            break
        if not data:
            break
        got += [one.payload for one in framer.feed(data)]
    return got


def second(moment) -> bool:
    return moment.ordinal == 1


#: Fault on the second of three requests -> what the host got, what the client got.
OUTCOMES = {
    Fault.DELAY: ([b"a", b"b", b"c"], [b"=a", b"=b", b"=c"]),
    Fault.SPLIT: ([b"a", b"b", b"c"], [b"=a", b"=b", b"=c"]),
    Fault.DROP: ([b"a", b"c"], [b"=a", b"=c"]),
    Fault.DUPLICATE: ([b"a", b"b", b"b", b"c"], [b"=a", b"=b", b"=b", b"=c"]),
    Fault.REORDER: ([b"a", b"c", b"b"], [b"=a", b"=c", b"=b"]),
}


@pytest.mark.parametrize("fault", OUTCOMES)
async def test_fault_that_keeps_the_line_does_what_it_says(fault: Fault) -> None:
    async with line(Rule(fault, second, seconds=0.01)) as (host, proxy, reader, writer):
        at_host, at_client = OUTCOMES[fault]
        writer.write(framed(b"a", b"b", b"c"))
        assert await answers(reader, len(at_client)) == at_client
        assert host.got == at_host
        (event,) = proxy.events
        assert (event.fault, event.connection, event.ordinal) == (fault, 0, 1)


async def test_corrupt_turns_one_bit_of_the_chosen_message_and_the_same_from_one_seed() -> None:
    seen = []
    for seed in (7, 7, 8):
        async with line(Rule(Fault.CORRUPT, second), seed=seed) as (host, _, reader, writer):
            writer.write(framed(b"a", bytes(40), b"c"))
            await answers(reader, 3)
            assert (host.got[0], host.got[2]) == (b"a", b"c")
            assert int.from_bytes(host.got[1], "big").bit_count() == 1
            seen.append(host.got[1])
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize(
    ("fault", "at_host", "at_client"),
    [
        (Fault.CUT_BEFORE_SEND, [b"a"], [b"=a"]),
        (Fault.CUT_AFTER_SEND, [b"a", b"b"], [b"=a"]),
        (Fault.CUT_AFTER_REPLY, [b"a", b"b"], [b"=a"]),
    ],
)
async def test_cut_breaks_the_line_at_its_moment(fault, at_host, at_client) -> None:
    async with line(Rule(fault, second)) as (host, _, reader, writer):
        writer.write(framed(b"a"))
        assert await answers(reader, 1) == [b"=a"]
        writer.write(framed(b"b"))
        assert [b"=a", *await answers(reader)] == at_client
        await host.ended.wait()
        assert host.got == at_host


async def test_half_close_ends_one_way_and_leaves_the_other() -> None:
    async with line(Rule(Fault.HALF_CLOSE, second)) as (host, _, reader, writer):
        writer.write(framed(b"a", b"b", b"c"))
        assert await answers(reader) == [b"=a", b"=b"]
        assert host.got == [b"a", b"b"]


async def test_rule_is_used_up_and_its_chance_is_drawn_from_the_seed() -> None:
    rules = [Rule(Fault.DROP, times=1), Rule(Fault.DROP, chance=0.5)]
    lost = []
    for _ in range(2):
        fresh = [Rule(rule.fault, times=rule.times, chance=rule.chance) for rule in rules]
        async with line(*fresh) as (host, proxy, reader, writer):
            names = [b"%02d" % number for number in range(40)]
            writer.write(framed(*names) + b"\0\0")
            writer.write_eof()
            await answers(reader)
            lost.append([name for name in names if name not in host.got])
            assert proxy.counts[Fault.DROP] == len(lost[-1])
    assert lost[0] == lost[1]
    assert lost[0][0] == b"00"
    assert 5 < len(lost[0]) < 36


async def test_host_that_is_away_and_bytes_that_are_no_frames_end_cleanly() -> None:
    async with asyncio.timeout(10), FaultProxy("127.0.0.1", 1) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.listen_port)
        assert await answers(reader) == []
        writer.close()
    async with line() as (host, _, reader, writer):
        writer.write(b"\xff" * 64)
        writer.write_eof()
        assert await answers(reader) == []
        assert host.got == []
    with pytest.raises(ProxyError):
        Rule(Fault.DROP, chance=2)
    assert Rule(Fault.CUT_AFTER_REPLY).side is Side.REPLY


@pytest.mark.parametrize("text", ["lose", "drop:0", "drop:1.5", "drop:x", ""])
def test_fault_on_the_command_line_that_is_none_is_told(text: str) -> None:
    with pytest.raises(click.BadParameter, match="cut-after-reply"):
        parse_rule(text, side=Side.REQUEST, chooses=lambda _moment: True, seconds=1)


def test_chooser_takes_messages_of_one_mti() -> None:
    key_change = bytes.fromhex(
        "080082200000008000000400000000000000010501140700000131323430303031370301"
    )
    moments = [Moment(0, Side.REQUEST, 0, payload) for payload in (key_change, b"\xff")]
    assert [chooser("0800", "edc")(moment) for moment in moments] == [True, False]
    assert not chooser("0200", "edc")(moments[0])
    assert all(chooser("", "edc")(moment) for moment in moments)


@pytest.mark.slow
async def test_net_command_breaks_the_line_until_it_is_told_to_end() -> None:
    host = Host()
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lumbung", "net", "--host", target, "--fault", "duplicate", "--json",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(30):
        ready = json.loads(await process.stdout.readline())
        reader, writer = await asyncio.open_connection(*ready["listening"].split(":"))
        writer.write(framed(b"a"))
        assert await answers(reader, 2) == [b"=a", b"=a"]
        process.send_signal(signal.SIGINT)
        assert json.loads(await process.stdout.readline()) == {"faults": {"duplicate": 1}}
        assert await process.wait() == 0
    writer.close()
    server.close()
    await server.wait_closed()
