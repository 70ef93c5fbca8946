"""A caller waits for a mute card while its PC/SC daemon is killed: print what came and when.

A program of its own, because the PC/SC library keeps its daemon for the whole process.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from cardsim.faults import Fault, FaultAction
from lumbung.pcsc import PrivatePcscd
from lumbung.testing.channels import SELECT, connected
from terminal.card_channel import CardMuteError, CardRemovedError
from tests.slot_kit import PcscReaders

TIMEOUT_MS = 2_000


def daemon_of(keeper: int) -> int:
    """Give the daemon's process: the one child of its keeper."""
    (child,) = (
        int(pid)
        for task in Path(f"/proc/{keeper}/task").iterdir()
        for pid in (task / "children").read_text().split()
    )
    return child


async def main(folder: Path) -> None:
    """Print the error's name and the milliseconds that it took."""
    async with PrivatePcscd(1, folder) as daemon:
        os.environ["PCSCLITE_CSOCK_NAME"] = str(daemon.socket_path)
        async with PcscReaders(daemon).slot((Fault(FaultAction.MUTE, "SELECT"),)) as slot:
            await connected(slot)
            assert daemon._keeper is not None
            pcscd = daemon_of(daemon._keeper.pid)
            begin = time.monotonic()
            caller = asyncio.create_task(slot.channel.transmit(SELECT, timeout_ms=TIMEOUT_MS))
            while not slot.card.layer._counts.get("SELECT"):  # noqa: ASYNC110 - another thread's
                await asyncio.sleep(0.002)
            os.kill(pcscd, signal.SIGKILL)
            try:
                await caller
            except (CardRemovedError, CardMuteError) as error:
                held_ms = (time.monotonic() - begin) * 1000
                sys.stdout.write(f"{type(error).__name__} {held_ms:.0f}\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
