"""TigerBeetle as a peer: a cluster that somebody runs, at an address that is given.

LUMBUNG_TIGERBEETLE_ADDRESS names it (`127.0.0.1:3000`, cluster 0, one replica will do); its client
comes from PyPI, of the server's own version, as a server refuses a client newer than itself:
`pip install tigerbeetle==X.Y.Z`. Packets go in as packed 128-byte transfers, which are the same
structures as ours, and answers are read as bytes: no Python object is made for a transfer, so what
is measured is the server and its wire. Ids are drawn anew, as a cluster outlives a run.
"""

import asyncio
import ctypes
import dataclasses
import importlib
import itertools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ledger_load import LEDGER, Purchase, as_transfer
from ledger_peers import ACCOUNTS

from ledger.statuses import CreateTransferStatus as Status
from ledger.structures import RESULT_SIZE, Account, AccountFlags

ADDRESS = "LUMBUNG_TIGERBEETLE_ADDRESS"
#: A server that does not answer within this is not measured.
ANSWER_S = 20.0
#: What one request of the server's default configuration takes.
BATCH_MOST = 8_189
_CREATED = int(Status.CREATED).to_bytes(4, "little")


class TigerBeetleMissingError(Exception):
    """No address, no client, or no answer; the text says how to have it."""


class TigerBeetle:
    """One client session; its own thread wakes us when an answer has come."""

    name = "tigerbeetle"

    def __init__(self) -> None:
        address = os.environ.get(ADDRESS, "")
        if not address:
            raise TigerBeetleMissingError(f"{ADDRESS} names no server")
        try:
            self._c = importlib.import_module("tigerbeetle.bindings")
        except ModuleNotFoundError as error:
            raise TigerBeetleMissingError(
                "no client: pip install tigerbeetle, in the server's version"
            ) from error
        self._waiting: dict[int, tuple[Any, Any, Callable[[bytes | None], None]]] = {}
        self._numbers = itertools.count(1)
        # A cluster remembers: the upper bits set this run's accounts and transfers apart.
        self._run = int.from_bytes(os.urandom(6), "little") << 64
        self.loop = asyncio.new_event_loop()
        # Kept for the life of the session: the client's thread calls it.
        self._called = self._c.OnCompletion(self._completed)
        self._session = self._c.CClient()
        cluster = (ctypes.c_uint8 * 16)()
        status = self._c.tb_client_init(
            ctypes.byref(self._session), ctypes.byref(cluster), address.encode("ascii"),
            len(address), 0, self._called,
        )  # fmt: skip
        if status != self._c.InitStatus.SUCCESS:
            raise TigerBeetleMissingError(f"{ADDRESS} is no address the client takes: {status!r}")
        try:
            self._open_accounts()
        except TigerBeetleMissingError:
            self.close()
            raise

    def prepare(self, batch: Sequence[Purchase]) -> object:
        """Give the packed batch, its accounts those of this run."""
        run = self._run
        return b"".join(
            dataclasses.replace(
                as_transfer(purchase),
                debit_account_id=run + purchase.debit,
                credit_account_id=run + purchase.credit,
                id=purchase.id ^ run,
            ).pack()
            for purchase in batch
        )

    def post(self, prepared: Any) -> None:
        """Post one batch durably and wait for it; raise when a transfer was not made."""
        self._checked(self._request(self._c.Operation.CREATE_TRANSFERS, prepared))

    async def post_soon(self, prepared: Any) -> None:
        """Post one transfer beside others; the client puts those that wait into one request."""
        future: asyncio.Future[bytes | None] = self.loop.create_future()

        def answered(answer: bytes | None) -> None:
            self.loop.call_soon_threadsafe(future.set_result, answer)

        self._submit(self._c.Operation.CREATE_TRANSFERS, prepared, answered)
        self._checked(await future)

    def close(self) -> None:
        """End the session."""
        self._c.tb_client_deinit(ctypes.byref(self._session))
        self.loop.close()

    def _open_accounts(self) -> None:
        limited = int(AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS)
        accounts = [
            Account(id=self._run + number, ledger=LEDGER, code=1, flags=limited * floor).pack()
            for number, floor in ACCOUNTS
        ]
        for start in range(0, len(accounts), BATCH_MOST):
            packed = b"".join(accounts[start : start + BATCH_MOST])
            self._checked(self._request(self._c.Operation.CREATE_ACCOUNTS, packed))

    def _request(self, operation: int, packed: bytes) -> bytes | None:
        done = threading.Event()
        answers: list[bytes | None] = []

        def answered(answer: bytes | None) -> None:
            answers.append(answer)
            done.set()

        self._submit(operation, packed, answered)
        if not done.wait(ANSWER_S):
            raise TigerBeetleMissingError(f"no answer within {ANSWER_S:.0f} s: is the server up?")
        return answers[0]

    def _submit(
        self, operation: int, packed: bytes, answered: Callable[[bytes | None], None]
    ) -> None:
        number = next(self._numbers)
        packet = self._c.CPacket()
        packet.user_data = number
        packet.operation = operation
        packet.data = ctypes.cast(ctypes.c_char_p(packed), ctypes.c_void_p)
        packet.data_size = len(packed)
        # Packet and bytes stay in place until the answer is there.
        self._waiting[number] = (packet, packed, answered)
        status = self._c.tb_client_submit(ctypes.byref(self._session), ctypes.byref(packet))
        assert status == self._c.ClientStatus.OK, "the session is closed"

    def _completed(
        self, _context: Any, packet: Any, _time: Any, answer: Any, answer_bytes: int
    ) -> None:
        """Take an answer; runs on the client's thread. A refused request has none."""
        _packet, _packed, answered = self._waiting.pop(packet[0].user_data)
        ok = packet[0].status == int(self._c.PacketStatus.OK)
        answered(ctypes.string_at(answer, answer_bytes) if ok else None)

    @staticmethod
    def _checked(answer: bytes | None) -> None:
        if answer is None:
            raise TigerBeetleMissingError("the server refused the request: versions may differ")
        created = answer.count(_CREATED)
        assert created == len(answer) // RESULT_SIZE, "a transfer of the bench was refused"
