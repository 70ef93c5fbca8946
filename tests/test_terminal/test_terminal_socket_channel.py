"""Card channels in process and over sockets: one interface, one set of checks."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from cardsim.faults import Fault, FaultAction
from lumbung.testing.channels import ATR, CHECKS, SELECT, Check
from terminal.card_channel import CardRemovedError
from terminal.card_link import CardLink
from terminal.kernel import CompletionKind, OutcomeKind
from terminal.socket_channel import SocketChannel
from tests.card_kit import TERMINAL, issuer_answer, purchase
from tests.slot_kit import fresh_card, in_process, over_tcp, over_unix


def name_of(check: Check) -> str:
    return str(check.__name__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["in process", "tcp", "unix"])
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
async def test_channel_keeps_the_interface(check: Check, kind: str, tmp_path: Path) -> None:
    makers = {"in process": in_process, "tcp": over_tcp, "unix": over_unix(tmp_path)}
    await check(makers[kind])


@pytest.mark.parametrize("profile", ["ssn", "nsiccs-debit"])
async def test_purchase_over_a_socket_is_approved(profile: str) -> None:
    card = fresh_card(profile=profile)
    channel = SocketChannel(("127.0.0.1", await card.listen("127.0.0.1", 0)))
    link = CardLink(channel)
    outcome = await link.start(TERMINAL, purchase())
    assert outcome.kind is OutcomeKind.ONLINE
    assert outcome.context is not None
    completion = await link.complete(outcome.context, "00", issuer_answer(outcome.de55))
    assert completion.kind is CompletionKind.APPROVED
    await channel.close()
    await card.close()


async def test_nobody_at_the_address_is_an_empty_slot() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        channel = SocketChannel(taken.getsockname())
        with pytest.raises(CardRemovedError):
            await channel.connect()
        await channel.close()
        await channel.close()


@pytest.mark.parametrize("said", ["ffff", "0001aa0001bb", ""])
async def test_peer_that_is_no_card_is_an_empty_slot(said: str) -> None:
    running: list[asyncio.Task[None] | None] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.append(asyncio.current_task())
        writer.write(bytes.fromhex(said))
        with contextlib.suppress(ConnectionError):
            await reader.read()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    channel = SocketChannel(server.sockets[0].getsockname()[:2], power_timeout_ms=50)
    for _ in range(2):
        with pytest.raises(CardRemovedError):
            await channel.connect()
    with pytest.raises(CardRemovedError):
        await channel.transmit(SELECT, timeout_ms=50)
    await channel.close()
    await asyncio.gather(*filter(None, running))
    server.close()
    await server.wait_closed()


async def test_late_answer_is_never_taken_for_the_next() -> None:
    slow = Fault(FaultAction.SLOW, "SELECT", delay_ms=60)
    card = fresh_card(slow)
    channel = SocketChannel(("127.0.0.1", await card.listen("127.0.0.1", 0)))
    await channel.connect()
    waiting = asyncio.create_task(channel.transmit(SELECT, timeout_ms=1_000))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert await channel.connect() == ATR
    answer = await channel.transmit(bytes.fromhex("00B2010C00"), timeout_ms=1_000)
    assert answer.hex() == "6985"
    await channel.close()
    await card.close()
