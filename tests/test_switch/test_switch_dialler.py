"""The dialler and the scripted test bank, over real sockets."""

import asyncio

import pytest

from lumbung.bank.host import BankHost
from lumbung.bank.table import AnswerTable, BankFault, parse_table
from protocols.errors import ConfigurationError
from protocols.iso8583 import Message
from switch.config import HostConfig
from switch.dialler import Dialler
from switch.host_link import HostCutOver, StateChanged
from switch.link_states import LinkState
from switch.mux import Answered, Late, TimedOut, Unmatched
from tests.test_switch.bank_messages import CODEC, SECOND, WALL, sale


class RealClock:
    def now_ns(self) -> int:
        return WALL

    def monotonic_ns(self) -> int:
        return int(asyncio.get_running_loop().time() * SECOND)


class Ours:
    """A dialler with what it told, awaited kind by kind."""

    def __init__(self, port: int, **changes) -> None:
        config = {"name": "bank", "host": "127.0.0.1", "port": port, "back_off_ms": 1, **changes}
        self.told: asyncio.Queue = asyncio.Queue()
        config = HostConfig.model_validate(config)
        self.dialler = Dialler(config, CODEC, RealClock(), self.told.put_nowait)

    async def next(self, kind):
        async with asyncio.timeout(10):
            while not isinstance(found := await self.told.get(), kind):
                pass
        return found

    async def until(self, state: LinkState) -> None:
        while (await self.next(StateChanged)).state is not state:
            pass


TABLE = """
[[answer]]
mti = "0200"
match = { 4 = "000000005100" }
code = "51"
[[answer]]
mti = "0200"
match = { 4 = "000000000001" }
fault = "silent"
[[answer]]
mti = "0200"
match = { 4 = "000000000002" }
fault = "late"
delay_ms = 120
[[answer]]
mti = "0200"
match = { 4 = "000000000003" }
fault = "twice"
[[answer]]
mti = "0200"
match = { 4 = "000000000004" }
fault = "wrong-key"
[[answer]]
mti = "0200"
match = { 4 = "000000000005" }
fault = "garbage"
[[answer]]
mti = "0200"
match = { 4 = "000000000006" }
fault = "close"
[[answer]]
mti = "0200"
elements = { 38 = "7K2M9Q" }
"""


async def test_scripted_bank_and_dialler_meet_every_fault_with_a_definite_word():
    async with BankHost(parse_table(TABLE, "t")) as bank:
        ours = Ours(bank.port, timeout_ms=60)
        ours.dialler.start()
        await ours.until(LinkState.UP)
        send, stan = ours.dialler.submit, 0

        def ask(amount: str) -> int:
            nonlocal stan
            stan += 1
            assert send(stan, sale(stan, de4=amount)) is None
            return stan

        token = ask("000000001300")
        found = await ours.next(Answered)
        assert (found.token, found.message.text(39), found.message.text(38)) == (
            token,
            "00",
            "7K2M9Q",
        )
        ask("000000005100")
        assert (await ours.next(Answered)).message.text(39) == "51"
        token = ask("000000000001")
        assert (await ours.next(TimedOut)).token == token
        token = ask("000000000002")
        assert (await ours.next(TimedOut)).token == token
        assert (await ours.next(Late)).token == token
        ask("000000000003")
        await ours.next(Answered)
        assert (await ours.next(Unmatched)).nearest is None
        token = ask("000000000004")
        unmatched = await ours.next(Unmatched)
        assert (unmatched.nearest, len(unmatched.differing)) == (token, 1)
        await ours.next(TimedOut)
        for amount in ("000000000005", "000000000006"):
            token = ask(amount)
            assert (await ours.next(TimedOut)).token == token
            await ours.until(LinkState.UP)
        ask("000000001300")
        assert (await ours.next(Answered)).message.text(39) == "00"
        await ours.dialler.stop(5)
        assert ours.dialler.link.state is LinkState.CLOSED
        assert bank.counts["0800/00/none"] == 4
        assert bank.seen[-1].text(70) == "002"


async def test_host_that_is_away_is_dialled_again_until_it_is_there():
    async with BankHost(AnswerTable()) as bank:
        port = bank.port
    ours = Ours(port, back_off_ms=2, back_off_longest_ms=4)
    ours.dialler.start()
    async with BankHost(AnswerTable(), port=port) as bank:
        await ours.until(LinkState.UP)
        await bank.ask(Message("0800", {7: "0105160000", 11: "000009", 15: "0106", 70: "201"}))
        assert (await ours.next(HostCutOver)).date == "0106"
        bank.cut_all()
        await ours.until(LinkState.UP)
        await ours.dialler.stop(5)


async def test_stop_while_the_host_is_away_does_not_wait():
    async with BankHost(AnswerTable()) as bank:
        port = bank.port
    ours = Ours(port, back_off_ms=60_000)
    ours.dialler.start()
    await asyncio.sleep(0)
    await ours.dialler.stop(5)
    assert ours.dialler.link.state is LinkState.CLOSED


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[answer]]\ncolour = 1", "answer 1: colour"),
        ("[[answer]]\nfault = 'odd'", "answer 1: fault"),
        ("[[answer]]\nmatch = { x = '1' }", "answer 1: match: x"),
        ("spec = 'visa'", "there are bank"),
        ("mti = '0200'", "unknown key"),
        ("answer = 7", "answer: up to"),
        ("x =", "not TOML"),
        ("answer = [7]", "answer 1: not a table"),
    ],
)
def test_table_that_is_wrong_is_told(text, why):
    with pytest.raises(ConfigurationError, match=why):
        parse_table(text, "t.toml")


def test_rule_is_used_so_often_and_the_next_one_then():
    table = parse_table("[[answer]]\nmti = '0200'\ntimes = 1\nfault = 'silent'\n", "t")
    assert table.choose(sale(1)).fault is BankFault.SILENT
    assert table.choose(sale(1)).fault is BankFault.NONE
