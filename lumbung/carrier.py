"""Carries an act to whoever holds the ledger: the running switch, or this process where none runs.

The command line and the administration interface both use it, so that one command has one effect
whether a switch runs or not.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from ledger import open_ledger
from lumbung.bureau_acts import bureau_acts
from lumbung.composition import Composition, Offices, compose, open_keystore
from lumbung.data_directory import DataDirectory, read_manifest
from lumbung.system import SystemClock, system_random
from programme.actors import Actor, actor_text
from programme.acts import ACTS, Act, ActArguments, no_progress
from programme.decree.faults import complaint
from programme.errors import ProgrammeError
from programme.offices import Office
from protocols.clock import RandomBytes
from protocols.values import mask_free_text
from switch.changes import LoggedOff
from switch.control_client import ControlClient, NoSwitchError
from switch.state import StateFile

Tell = Callable[[int, int], None]


def random_for(_part: str) -> RandomBytes:
    """Give the operating system's random bytes to every part."""
    return system_random


class OpenComposition(Protocol):
    """Opens all parts of a locked data directory, and closes what it opened."""

    def __call__(self, data: DataDirectory, stack: ExitStack) -> Composition:
        """Give the parts; what has to be closed goes on the stack."""


def _open_all(data: DataDirectory, stack: ExitStack) -> Composition:
    return stack.enter_context(compose(data, SystemClock(), random_for))


def beside(offices: Offices) -> OpenComposition:
    """Give an opener for a process that has the registry open already, all day long.

    Only ledger and keystore are opened anew: another process may have changed them since.
    """

    def opener(data: DataDirectory, stack: ExitStack) -> Composition:
        keystore = open_keystore(data, system_random)
        offices.registry.refresh()
        ledger = open_ledger(data.ledger, now_ns=SystemClock().now_ns, random_bytes=system_random)
        stack.callback(ledger.close)
        return Composition(
            data, offices.clock, offices.random_for, keystore, offices.registry, ledger
        )

    return opener


class Carrier:
    """Does acts on the programme of one data directory."""

    def __init__(self, root: Path, opener: OpenComposition = _open_all) -> None:
        """Take the directory; nothing is opened before an act needs it."""
        self._root = root.absolute()
        self._opener = opener

    def do(
        self,
        name: str,
        arguments: Mapping[str, Any],
        actor: Actor,
        *,
        tell: Tell = no_progress,
    ) -> dict[str, Any]:
        """Do an act and give its result as JSON values; durable and in force when this returns.

        Raises what the act raises: of a running switch as NodeRefusedError with its code; and
        NoSwitchError when the switch goes away meanwhile, then the act is simply asked for again.
        """
        packed = dict(arguments)
        if name not in ACTS or not ACTS[name].is_signed:
            packed["actor"] = actor_text(actor)
        if name in ACTS:
            _checked(ACTS[name], packed)
        client = self._switch()
        if client is None:
            return self._offline(name, packed, tell)
        with client:
            return client.ask(name, packed, on_progress=lambda told: tell(told["done"], told["of"]))

    def _switch(self) -> ControlClient | None:
        try:
            return ControlClient(self._root)
        except NoSwitchError:
            return None

    def _offline(self, name: str, packed: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        with locked_parts(self._root, self._opener) as parts:
            act = ACTS.get(name) or next(one for one in bureau_acts(parts) if one.name == name)
            asked = _checked(act, packed)
            office = Office(parts.registry, parts.ledger, parts.keystore)
            done = act.run(office, asked, tell).model_dump(mode="json")
            _follow(act, done, parts)
            return done


class ArgumentsError(ProgrammeError):
    """What was asked does not fit the act; nothing was changed."""

    code = "E-CL-0002"
    exit_code = 2


def _checked(act: Act, packed: Mapping[str, Any]) -> ActArguments:
    try:
        return act.asked.model_validate(packed)
    except ValidationError as error:
        raise _argument_error(error) from None


#: Arguments of acts -> what the catalogue says of them; those that have one name each way.
_SAID_OF = {
    "period": "argument.period", "nik": "argument.nik", "name": "argument.name",
    "reason": "argument.text", "district": "argument.text", "village": "argument.text",
    "mark": "argument.text", "day": "argument.day", "until": "argument.day",
    "expires_on": "argument.day", "days": "argument.days", "card": "argument.number",
    "cards": "argument.number", "decree": "argument.number", "proposal": "argument.number",
    "proxy": "argument.number", "recipients": "argument.number", "amount_sen": "argument.amount",
    "merchant": "argument.merchant", "terminal": "argument.terminal",
    "category": "argument.category", "also": "argument.category", "sale": "argument.sale",
    "maker": "argument.actor", "checker": "argument.actor", "actor": "argument.actor",
}  # fmt: skip


def _argument_error(error: ValidationError) -> ArgumentsError:
    """Give the first fault in both languages; no value of it is repeated."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = str(fault["loc"][0]) if fault["loc"] else ""
    kind = _SAID_OF.get(field)
    how = (
        complaint(kind)
        if kind is not None
        else complaint("argument.other", why=mask_free_text(fault["msg"]))
    )
    return ArgumentsError.of("argument.field", field=field, how=how)


def _follow(act: Act, done: Mapping[str, Any], parts: Composition) -> None:
    """Do in the switch's own state what belongs to an act; the directory's lock is ours."""
    if act.name == "terminal-log-off" and parts.data.switch_state.exists():
        state = StateFile(parts.data.switch_state)
        try:
            state.commit([LoggedOff(done["terminal"])])
        finally:
            state.close()


@contextmanager
def locked_parts(root: Path, opener: OpenComposition = _open_all) -> Iterator[Composition]:
    """Open all parts of a data directory for writing: takes its lock until the end."""
    manifest = read_manifest(root)
    with ExitStack() as stack:
        data = stack.enter_context(
            DataDirectory.open(
                root, kind=manifest.kind, seed=manifest.seed, created=manifest.created
            )
        )
        yield opener(data, stack)
