"""What a programme's office asks of the running switch, the one writer (design decision 8).

Every act of the service layer, by its name and with the same arguments as elsewhere. A bulk one is
a job: its ledger posts in groups behind purchases. Any other answers beside the jobs, so a block
does not wait for a disbursement; it works on the switch's own registry and is in force at once.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ledger.port import Ledger
from lumbung.bureau_acts import bureau_acts
from lumbung.composition import Composition
from programme.acts import ACTS, Act, ActArguments, no_progress
from programme.offices import Office
from switch.control import Command, CommandTable
from switch.job_runner import JobContext
from switch.jobs import in_turn
from switch.server import SwitchServer


def add_jobs(table: CommandTable, parts: Composition, server: SwitchServer) -> None:
    """Add every act to a started node's table."""
    for one in (*ACTS.values(), *bureau_acts(parts)):
        table.add(_command(one, parts, server))


def _command(act: Act, parts: Composition, server: SwitchServer) -> Command:
    def office_over(ledger: Ledger) -> Office:
        return Office(parts.registry, ledger, parts.keystore, turn=in_turn)

    def job(context: JobContext, asked: ActArguments) -> Mapping[str, Any]:
        office = office_over(context.ledger)
        return _values(act, office, asked, context.progress)

    async def quick(asked: ActArguments) -> Mapping[str, Any]:
        office = office_over(server.runner.ledger)
        done = await asyncio.to_thread(_values, act, office, asked, no_progress)
        if act.name == "terminal-log-off":
            await server.log_off(done["terminal"])
        return done

    if act.is_bulk:
        return Command(act.name, act.summary, act.asked, job=job)
    return Command(act.name, act.summary, act.asked, quick=quick)


def _values(
    act: Act, office: Office, asked: ActArguments, tell: Callable[[int, int], None]
) -> dict[str, Any]:
    return act.run(office, asked, tell).model_dump(mode="json")
