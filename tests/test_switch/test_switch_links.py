"""Links over real sockets: TLS, mutual TLS, dialects, one-shot, rates, hostile peers, fairness."""

import asyncio
import socket
import ssl
import struct

import pytest

from lumbung.bank.host import BankHost
from lumbung.bank.table import AnswerTable
from protocols.errors import ConfigurationError
from protocols.framing import BANK_FRAMES, EDC_FRAMES, frame
from protocols.iso8583 import Codec, Message, load_spec
from switch.config import SwitchConfig, TlsConfig
from switch.limits import MESSAGES_PER_TURN_MAX
from switch.link_states import LinkState
from switch.tls import client_context, server_context
from tests.test_switch.switch_authority import Authority
from tests.test_switch.switch_site import Line, Site
from tests.test_switch.switch_world import TPDU

BANK = Codec(load_spec("bank"))


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("city"), "city")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture
async def site_with(counter):
    """Give what starts a site by its configuration; it is stopped behind the test."""
    sites = []

    async def start(**config) -> Site:
        site = await Site(counter.world).start(SwitchConfig.model_validate(config))
        sites.append(site)
        return site

    yield start
    for site in sites:
        await site.stop()


def tls_table(tls: TlsConfig, **more) -> dict:
    return {"certificate": tls.certificate, "key": tls.key, **more}


async def line_over_tls(site: Site, context: ssl.SSLContext) -> Line:
    line = Line(*await asyncio.open_connection("127.0.0.1", site.port, ssl=context))
    site.lines.append(line)
    return line


async def test_purchase_over_tls_is_approved_and_plain_bytes_are_cut(site_with, counter, city):
    site = await site_with(listen={"tls": tls_table(city.issue("switch"))})
    line = await line_over_tls(site, client_context(city.path))
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await line.answer()).text(39) == "00"
    plain = await site.connect()
    await plain.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    async with asyncio.timeout(10):
        while await plain.reader.read(100):
            pass
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await line.answer()).text(39) == "00"
    assert counter.world.postings() == 2


def test_every_handshake_succeeds_on_the_loop_that_serves_terminals(counter, city):
    """The peer is a thread of its own: its first bytes come whenever they come."""
    uvloop = pytest.importorskip("uvloop")
    tls, context = tls_table(city.issue("switch")), client_context(city.path)
    echo = frame(counter.edc.encode(counter.edc.network("301")), TPDU, EDC_FRAMES)

    def ask(port: int) -> bool:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as line,
        ):
            line.sendall(echo)
            return bool(line.recv(1_024))

    async def visit() -> list[bool]:
        config = SwitchConfig.model_validate({"listen": {"tls": tls}})
        site = await Site(counter.world).start(config)
        answered = [await asyncio.to_thread(ask, site.port) for _ in range(40)]
        await site.stop()
        return answered

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(visit()) == [True] * 40


async def test_mutual_tls_lets_in_whom_the_authority_knows_and_nobody_else(
    site_with, counter, city, stranger
):
    tls = tls_table(city.issue("switch"), client_ca=city.path)
    site = await site_with(listen={"tls": tls})
    line = await line_over_tls(site, client_context(city.path, city.issue("edc-17")))
    await line.send(counter.edc.encode(counter.edc.network("301")))
    assert counter.edc.decode(await line.answer()).text(39) == "00"

    async def ask(own) -> None:
        other = await line_over_tls(site, client_context(city.path, own))
        await other.send(counter.edc.encode(counter.edc.network("301")))
        async with asyncio.timeout(10):
            await other.reader.readexactly(1)

    for own in (None, stranger.issue("edc-18")):
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            await ask(own)
    with pytest.raises(ssl.SSLCertVerificationError):
        await line_over_tls(site, client_context(stranger.path, city.issue("edc-19")))
    assert sum(site.server.connections_by_link.values()) == 1


def test_certificate_files_that_are_none_are_told(city, tmp_path):
    (tmp_path / "x.pem").write_text("no certificate")
    with pytest.raises(ConfigurationError, match="not usable for TLS"):
        server_context(TlsConfig(certificate=tmp_path / "x.pem", key=tmp_path / "x.pem"))
    with pytest.raises(ConfigurationError, match="No such file"):
        client_context(tmp_path / "none.pem")


async def test_dialler_meets_a_bank_over_mutual_tls(site_with, counter, city):
    context = server_context(city.issue("bank").model_copy(update={"client_ca": city.path}))
    async with BankHost(AnswerTable(), context=context) as bank:
        own = tls_table(city.issue("switch"))
        host = {
            "name": "bank", "host": "127.0.0.1", "port": bank.port,
            "tls": {"authority": city.path, "own": own},
        }  # fmt: skip
        site = await site_with(hosts=[host])
        dialler = site.server.hosts["bank"]
        link, is_up = dialler.link, asyncio.Event()
        dialler._on_report = lambda _report: link.state is LinkState.UP and is_up.set()
        async with asyncio.timeout(10):
            await is_up.wait()
        await site.server.hosts["bank"].stop(5)
        assert link.state is LinkState.CLOSED
        assert bank.counts["0800/00/none"] == 2


async def test_link_of_the_bank_dialect_stands_on_a_port_of_its_own(site_with, counter):
    site = await site_with(links=[{"spec": "bank"}])
    server = site.server
    assert set(server.ports) == {"edc", "bank"}
    reader, writer = await asyncio.open_connection("127.0.0.1", server.ports["bank"])
    answers = []
    for code in ("001", "301", "201", "162", "002"):
        sent = Message("0800", {7: "0105011407", 11: "000001", 70: code})
        writer.write(frame(BANK.encode(sent), b"", BANK_FRAMES))
        length = int(await reader.readexactly(4))
        found = BANK.decode(await reader.readexactly(length))
        answers.append((found.mti, found.text(70), found.text(39)))
    assert answers == [
        ("0810", "001", "00"), ("0810", "301", "00"), ("0810", "201", "00"),
        ("0810", "162", "12"), ("0810", "002", "00"),
    ]  # fmt: skip
    unsigned = Message(
        "0200",
        {
            3: "000000", 4: "000000001300", 7: "0105011407", 11: "000002", 12: "091407",
            13: "0105", 18: "6017", 22: "051", 32: "124", 37: "600509000002", 41: "12400017",
            42: "EW0000000000017", 43: "X", 49: "360",
        },
    )  # fmt: skip
    writer.write(frame(BANK.encode(unsigned), b"", BANK_FRAMES))
    found = BANK.decode(await reader.readexactly(int(await reader.readexactly(4))))
    assert found.text(39) == "63"
    writer.close()
    line = await site.connect()
    await line.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await line.answer()).text(39) == "00"
    assert counter.world.postings() == 1


async def test_repeat_over_another_port_hears_the_same_answer_and_posts_nothing(site_with, counter):
    site = await site_with(links=[{"name": "second"}])
    payload = counter.edc.encode(counter.edc.purchase(counter.chip, 100_000))
    answers = []
    for link in ("edc", "second", "edc"):
        site.port = site.server.ports[link]
        line = await site.connect()
        await line.send(payload)
        answers.append(await line.answer())
    assert counter.edc.decode(answers[0]).text(39) == "00"
    assert answers[0] == answers[1] == answers[2]
    assert counter.world.postings() == 1


async def test_link_that_is_not_persistent_closes_after_the_last_answer(site_with, counter):
    site = await site_with(listen={"persistent": False})
    line = await site.connect()
    chips = [counter.world.add_card(40 + n, 1_000_000) for n in range(2)]
    await line.send(*(counter.edc.encode(counter.edc.purchase(c, 100)) for c in chips))
    assert [counter.edc.decode(await line.answer()).text(39) for _ in chips] == ["00", "00"]
    assert await line.is_cut()


async def test_terminal_that_speaks_too_often_is_answered_91_and_others_are_not(site_with, counter):
    site = await site_with(terminals={"per_second": 1, "burst": 3})
    world = counter.world
    other = world.add_edc(44, counter.shop)
    line = await site.connect()
    for _ in range(6):
        await line.send(counter.edc.encode(counter.edc.network("301")))
    codes = [counter.edc.decode(await line.answer()).text(39) for _ in range(6)]
    assert sorted(codes) == ["00"] * 3 + ["91"] * 3
    await line.send(other.encode(other.network("161"), mac=False))
    assert other.decode(await line.answer(), mac=False).text(39) == "00"
    world.clock.advance(2)
    await line.send(counter.edc.encode(counter.edc.network("301")))
    assert counter.edc.decode(await line.answer()).text(39) == "00"


async def test_key_changes_that_a_stranger_asks_for_use_up_nobodys_share(site_with, counter):
    site = await site_with(terminals={"per_second": 1, "burst": 3})
    stranger, line = await site.connect(), await site.connect()
    for _ in range(20):
        await stranger.send(counter.edc.encode(counter.edc.network("161"), mac=False))
        assert counter.edc.decode(await stranger.answer(), mac=False).text(39) == "00"
    for _ in range(3):
        await line.send(counter.edc.encode(counter.edc.network("301")))
        assert counter.edc.decode(await line.answer()).text(39) == "00"


def spoilt(payload: bytes) -> bytes:
    return payload[:-1] + bytes([payload[-1] ^ 1])


async def test_session_that_is_old_is_cut_and_may_come_again(site_with, counter):
    site = await site_with(connections={"session_seconds": 60})
    line = await site.connect()
    for _minute in range(2):
        await line.send(counter.edc.encode(counter.edc.network("301")))
        assert counter.edc.decode(await line.answer()).text(39) == "00"
        counter.world.clock.advance(31)
    site.server._sweep()
    assert await line.is_cut()
    assert site.server.metrics.cuts == {"the session is old": 1}


HOSTILE = {
    "garbage": (b"GET / HTTP/1.1\r\n\r\n", "the stream is not framed"),
    "huge frame": (struct.pack(">H", 60_000) + TPDU, "the stream is not framed"),
    "no room for a message": (struct.pack(">H", 5) + TPDU, "the stream is not framed"),
    "unknown TPDU": (struct.pack(">H", 45) + b"\x68" + TPDU[1:] + b"\x02" * 40, "a TPDU that"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_bytes_are_cut_counted_and_told_without_their_content(
    site_with, counter, name, monkeypatch
):
    told = []
    monkeypatch.setattr(
        "switch.server._log", type("Log", (), {
            level: staticmethod(lambda event, **fields: told.append((event, fields)))
            for level in ("info", "warning", "error")
        })
    )  # fmt: skip
    data, reason = HOSTILE[name]
    site = await site_with()
    bad = await site.connect()
    bad.writer.write(data)
    assert await bad.is_cut()
    assert [why.startswith(reason) for why in site.server.metrics.cuts] == [True]
    cut = next(fields for event, fields in told if event == "connection cut")
    assert set(cut) == {"connection", "why"}
    good = await site.connect()
    await good.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100_000)))
    assert counter.edc.decode(await good.answer()).text(39) == "00"


async def test_unsigned_wrong_replayed_and_stale_messages_get_a_definite_answer(site_with, counter):
    site, edc, chip = await site_with(), counter.edc, counter.chip
    line = await site.connect()
    request = edc.purchase(chip, 100_000)
    payload = edc.encode(request)
    stale = edc.purchase(chip, 100_000, de7="0104011407")
    changed = request.replace(de4="000000200000")
    wrong_set = edc.purchase(chip, 100_000)
    wrong_set.elements[61] = {"operator": "OP01", "key_set": "0099"}
    expected = []
    for sent, code in (
        (edc.encode(request, mac=False), "63"), (spoilt(payload), "63"), (payload, "00"),
        (payload, "00"), (edc.encode(changed), "94"), (edc.encode(stale), "19"),
        (edc.encode(wrong_set), "63"),
    ):  # fmt: skip
        await line.send(sent)
        answer = await line.answer()
        assert answer, f"{code} expected"
        expected.append((edc.decode(answer, mac=code != "63").text(39), code))
    assert all(found == code for found, code in expected), expected
    assert counter.world.postings() == 1


async def test_flood_of_one_peer_delays_another_by_one_turn_s_share_at_most(site_with, counter):
    """Measured in messages, not in time: how many of the flood are looked at before the sale."""
    site = await site_with(terminals={"per_second": 1_000_000, "burst": 1_000_000})
    core, order = site.server.node.core, []
    receive = core.receive

    def watched(arrivals, now_ns):
        order.extend(arrival.connection for arrival in arrivals)
        return receive(arrivals, now_ns)

    core.receive = watched
    flood, good = await site.connect(), await site.connect()
    await good.send(counter.edc.encode(counter.edc.network("301")))
    assert counter.edc.decode(await good.answer()).text(39) == "00"
    bad = spoilt(counter.edc.encode(counter.edc.network("301")))
    one = struct.pack(">H", len(bad) + 5) + TPDU + bad
    flood.writer.write(one * 5_000)
    reading = asyncio.create_task(flood.reader.read(-1))
    order.clear()
    marks = []
    for _sale in range(10):
        before = len(order)
        await good.send(counter.edc.encode(counter.edc.purchase(counter.chip, 100)))
        assert counter.edc.decode(await good.answer()).text(39) == "00"
        marks.append(len(order) - before)
        per_turn = [len(run) for run in "".join("g" if c == 2 else "b" for c in order).split("g")]
    # A sale crosses the loop in a few turns: its frame, the disk, its answer, each with a share.
    assert max(per_turn) > MESSAGES_PER_TURN_MAX // 2, "the flood did not flood"
    assert all(mark <= 12 * MESSAGES_PER_TURN_MAX + 1 for mark in marks), marks
    assert len(order) < 5_010, "the sales were answered while the flood was still waiting"
    flood.writer.transport.abort()
    reading.cancel()
