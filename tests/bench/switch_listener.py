"""An approving listener for `bench_switch.py`: decode a 0200, answer 00, encode. No rule, no money.

`python tests/bench/switch_listener.py ours|pyiso8583` prints its port; it ends when its input does.
"""

import asyncio
import sys
from collections.abc import Callable

import iso8583
from codec_bench import PACKED, peer_spec

from lumbung.event_loop import run_loop
from protocols.framing import EDC_FRAMES, Framer, frame, swap_tpdu
from protocols.iso8583 import Codec, parse_spec

#: What an answer copies from its request: the same for both.
ECHOED = (2, 3, 4, 7, 11, 12, 13, 24, 32, 37, 41, 42, 49)


def ours() -> Callable[[bytes], bytes]:
    """Give our answerer."""
    codec = Codec(parse_spec(PACKED, "packed"))

    def answer(payload: bytes) -> bytes:
        return codec.encode_answer(codec.decode(payload), "00", {})

    return answer


def peer() -> Callable[[bytes], bytes]:
    """Give pyiso8583's answerer."""
    spec = peer_spec(parse_spec(PACKED, "packed"))

    def answer(payload: bytes) -> bytes:
        request, _ = iso8583.decode(payload, spec)
        reply = {str(n): request[str(n)] for n in ECHOED if str(n) in request}
        reply["t"], reply["39"] = "0210", "00"
        raw, _ = iso8583.encode(reply, spec)
        return bytes(raw)

    return answer


class Listener(asyncio.Protocol):
    """One connection."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer, self.framer = answer, Framer(EDC_FRAMES)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for tpdu, payload, _header in self.framer.feed(data):
            self.transport.write(frame(self.answer(payload), swap_tpdu(tpdu), EDC_FRAMES))


async def serve(answer: Callable[[bytes], bytes]) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Listener(answer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    run_loop(serve(ours() if sys.argv[1] == "ours" else peer()))
