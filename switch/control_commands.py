"""What every switch answers on its control channel."""

from collections.abc import Mapping
from itertools import cycle
from typing import Any

from pydantic import Field

from switch.control import Arguments, Command, CommandTable, NoArguments
from switch.job_runner import JobRunner
from switch.limits import STATE_COPIES_MAX
from switch.server import SwitchServer


class ActorArguments(Arguments):
    """Who asks, for the log: a staff name or short id."""

    actor: str = Field(min_length=1, max_length=64, pattern="^[A-Za-z][A-Za-z0-9 ._:-]*$")


class UnblockArguments(ActorArguments):
    """Whose PIN tries are given back: the registry's number of the card."""

    card_number: int = Field(ge=1)


class JobArguments(Arguments):
    """Which job is meant."""

    job: int = Field(ge=1)


def add_standard_commands(table: CommandTable, server: SwitchServer) -> None:
    """Add what needs nothing but the node: status, rules, cut-over, registry, PIN, jobs, drain."""
    node = _Node(server, table)
    for command in (
        Command("status", "how the node is, what it has done", NoArguments, node.status),
        Command("commands", "what may be asked", NoArguments, node.commands),
        Command("reload", "read the rules again, two-phase", NoArguments, node.reload),
        Command("refresh", "take over registry changes now", NoArguments, node.refresh),
        Command("cut-over", "begin the next business date", ActorArguments, node.cut_over),
        Command("unblock-pin", "give a card its PIN tries back", UnblockArguments, node.unblock),
        Command("copy-state", "a copy of the state file to read", NoArguments, node.copy_state),
        Command("jobs", "jobs that wait, run or have ended", NoArguments, node.jobs),
        Command("job", "how far one job is, and its result", JobArguments, node.job),
        Command("drain", "take nothing new, finish, stop", NoArguments, node.drain),
    ):
        table.add(command)


class _Node:
    """The commands over one server."""

    def __init__(self, server: SwitchServer, table: CommandTable) -> None:
        self._server = server
        self._table = table
        self._copies = cycle(range(STATE_COPIES_MAX))

    async def status(self, _: NoArguments) -> Mapping[str, Any]:
        server = self._server
        core = server.node.core
        return {
            "node": server.config.node,
            "ready": server.ready,
            "draining": server.is_draining,
            "unfit": server.unfit_reason,
            "business_date": core.desk.memory.business_date.isoformat(),
            "rules": core.desk.rules.version,
            "in_flight": core.under_way,
            "links": [
                {
                    "link": link.link, "spec": link.spec, "host": link.host,
                    "port": server.ports[link.link], "tls": link.tls is not None,
                    "connections": server.connections_by_link[link.link],
                }
                for link in server.config.all_links
            ],
            "hosts": [
                {"host": name, "state": dialler.link.state.value, "pending": dialler.link.pending}
                for name, dialler in server.hosts.items()
            ],
            "answers": server.counters,
            "cuts": dict(server.metrics.cuts),
        }  # fmt: skip

    async def commands(self, _: NoArguments) -> Mapping[str, Any]:
        return {"commands": self._table.listing()}

    async def reload(self, _: NoArguments) -> Mapping[str, Any]:
        return {"rules": await self._server.reload_rules()}

    async def refresh(self, _: NoArguments) -> Mapping[str, Any]:
        return {"changed": await self._server.refresh_registry()}

    async def cut_over(self, asked: ActorArguments) -> Mapping[str, Any]:
        core = self._server.node.core
        await self._server.change(lambda: core.cut_over(asked.actor))
        return {"business_date": core.desk.memory.business_date.isoformat()}

    async def unblock(self, asked: UnblockArguments) -> Mapping[str, Any]:
        await self._server.unblock_pin(asked.card_number, asked.actor)
        return {"card_number": asked.card_number}

    async def copy_state(self, _: NoArguments) -> Mapping[str, Any]:
        state = self._server.state_path
        path = state.with_name(f"{state.stem}-copy-{next(self._copies)}{state.suffix}")
        return {"file": path.name, "last_sequence": await self._server.copy_state(path)}

    async def jobs(self, _: NoArguments) -> Mapping[str, Any]:
        return {"jobs": [job.as_json() for job in self._runner.jobs.values()]}

    async def job(self, asked: JobArguments) -> Mapping[str, Any]:
        job = self._runner.find(asked.job)
        return {**job.as_json(), "result": job.result}

    async def drain(self, _: NoArguments) -> Mapping[str, Any]:
        self._server.drain()
        return {"draining": True}

    @property
    def _runner(self) -> JobRunner:
        return self._server.runner
