"""A card whose network acknowledges by itself sleeps over a frame's length, never over a frame."""

import asyncio
import socket
from itertools import pairwise

import pytest

from cardsim.transport import CardOnWire
from tests.card_kit import make_card

pytestmark = pytest.mark.slow

ATR = bytes.fromhex("3BE000008131FE45EB")
POWER, ASK = bytes.fromhex("000101"), bytes.fromhex("000104")
SELECT = bytes.fromhex("001400A404000E315041592E5359532E444446303100")
#: The mark that a private reader's sockets have: two bytes of length and one of a control.
WAKES_AT = 3
#: Lets the card's thread take what is there before the rest comes.
PAUSE_S = 0.02


def pieces(stream: bytes, *cuts: int) -> list[bytes]:
    places = (0, *cuts, len(stream))
    return [stream[a:b] for a, b in pairwise(places)]


@pytest.mark.parametrize(
    "sent",
    [
        pieces(ASK, 2),
        pieces(ASK, 1, 2),
        pieces(POWER + ASK, 5),
        pieces(POWER + ASK, 4),
        pieces(POWER + ASK, 4, 5),
        pieces(POWER + b"\0\0" + ASK, 5, 7),
        pieces(POWER + ASK + SELECT, 5, 6, 8, 12),
        pieces(POWER + SELECT, 3, 5, 6, 26 - 1),
    ],
    ids=lambda sent: "-".join(str(len(piece)) for piece in sent),
)
async def test_card_that_sleeps_over_lengths_answers_frames_in_any_pieces(
    sent: list[bytes],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        mine = socket.create_connection(server.getsockname())
        driver, _ = server.accept()
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, WAKES_AT)
    driver.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    driver.setblocking(False)

    async def connect() -> socket.socket:
        return mine

    stream = b"".join(sent)
    expected = stream.count(ASK) * (2 + len(ATR)) + stream.count(SELECT) * (2 + 32)
    loop, got = asyncio.get_running_loop(), b""
    card = CardOnWire(make_card())
    with driver:
        await card.attach(connect)
        for piece in sent:
            await loop.sock_sendall(driver, piece)
            await asyncio.sleep(PAUSE_S)
        async with asyncio.timeout(10):
            while len(got) < expected:
                got += await loop.sock_recv(driver, 4_096)
        await card.close()
    assert got.count(ATR) == stream.count(ASK)
    assert got.endswith(b"\x90\x00" if SELECT in stream else ATR)
