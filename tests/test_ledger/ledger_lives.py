"""What the crash simulation does with a ledger of either engine: open, post, read, recover."""

import asyncio
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger.errors import LedgerError
from ledger.native import NativeLedger, open_native
from ledger.port import StatementFilter
from ledger.pure import PureLedger, open_pure_on
from ledger.structures import Transfer
from tests.test_ledger.ledger_disk import PowerCut, SimulatedDisk
from tests.test_ledger.ledger_oracle import Oracle

AnyLedger = PureLedger | NativeLedger
#: The files that the format page lays down; a spare and what is half-made are an engine's own.
FORMAT_FILES = re.compile(r"\d{8}\.(seg|seal|snap)|superblock")


class Nonces:
    """A source of "random" bytes that is the same in every run and can be copied."""

    def __init__(self, drawn: int = 0) -> None:
        self._drawn = drawn

    def __call__(self, length: int) -> bytes:
        self._drawn += 1
        return self._drawn.to_bytes(length, "big")

    def copy(self) -> "Nonces":
        return Nonces(self._drawn)


def open_on(
    disk: SimulatedDisk,
    engine: str,
    now_ns: Callable[[], int],
    nonces: Nonces,
    segment_size: int,
    *,
    create: bool = True,
    read_only: bool = False,
) -> AnyLedger:
    """Open an engine on a simulated disk, on the caller's thread alone."""
    options: dict[str, Any] = {
        "now_ns": now_ns,
        "random_bytes": nonces,
        "segment_size": segment_size,
        "create": create,
        "read_only": read_only,
    }
    if engine == "native":
        return open_native(Path("simulated"), storage=disk, background=False, **options)
    return open_pure_on(disk, **options)


def post_together(ledger: AnyLedger, requests: Sequence[Sequence[Transfer]]) -> list[object]:
    """Post from as many coroutines in one turn of a loop; give the answers, in order."""

    async def all_of_them() -> list[object]:
        # Whoever waits is told of the cut; the loop, on whose turn it came, need not be.
        asyncio.get_running_loop().set_exception_handler(_unless_power_cut)
        tasks = [asyncio.ensure_future(ledger.post_many(request)) for request in requests]
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return list(answers)

    return asyncio.run(all_of_them())


def _unless_power_cut(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), PowerCut):
        loop.default_exception_handler(context)


def compare_reads(ledger: AnyLedger, oracle: Oracle, rng: random.Random) -> None:
    """Ask for an account's statement, its balance and some ids; the oracle knows them all."""
    if not oracle.created:
        return
    account_id = rng.choice(oracle.created).id
    rows = ledger.statement(StatementFilter(account_id=account_id, limit=8_000))
    sides = [
        (f.transfer, f.transfer.debit_account_id, f.transfer.credit_account_id)
        for f in oracle.facts
        if f.stands
    ]
    wanted = [t for t, debit, credit in sides if account_id in (debit, credit)]
    assert [row.transfer for row in rows] == wanted, f"statement of {account_id}"
    asked = [rng.randrange(1, 60) for _ in range(3)]
    assert ledger.lookup_transfers(asked) == [oracle.find(number) for number in asked]
    account = oracle.account(account_id)
    assert account is not None
    assert ledger.lookup_accounts([account_id]) == [account]
    balance = ledger.balance_at(account_id, sequence=ledger.last_sequence)
    assert balance == account.credits_posted - account.debits_posted


@dataclass(frozen=True)
class Recovered:
    """What an engine makes of a disk: a refusal, or a state and files."""

    engine: str
    verdict: str
    torn_tail: object = None
    facts: tuple[object, ...] = ()
    checkpoint: object = None
    files: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def of(
        cls, disk: SimulatedDisk, engine: str, now_ns: Callable[[], int], nonces: Nonces
    ) -> "Recovered":
        """Open, read everything, close."""
        try:
            ledger = open_on(disk, engine, now_ns, nonces, 16_384)
            facts = (*ledger.accounts(), *ledger.entries())
            checkpoint, torn_tail = ledger.checkpoint(), ledger.torn_tail
            ledger.close()
        except LedgerError as error:
            return cls(engine, type(error).__name__)
        files = [(n, disk.read(n, 0, 1 << 30)) for n in disk.names() if FORMAT_FILES.fullmatch(n)]
        return cls(engine, "opened", torn_tail, facts, checkpoint, tuple(files))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recovered) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple[object, ...]:
        return (self.verdict, self.torn_tail, self.facts, self.checkpoint, self.files)

    def difference(self, other: "Recovered") -> str:
        """Say in what two of them differ."""
        for name in ("verdict", "torn_tail", "checkpoint", "facts"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"{name}: {self.engine} {mine}, {other.engine} {theirs}"
        mine, theirs = dict(self.files), dict(other.files)
        if mine.keys() != theirs.keys():
            return f"files: {self.engine} {sorted(mine)}, {other.engine} {sorted(theirs)}"
        return f"bytes of {[name for name in mine if mine[name] != theirs[name]]}"
