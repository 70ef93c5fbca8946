"""What the administration interface needs from whoever composes it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from programme.actors import Actor
from programme.acts import Tell
from programme.offices import Office
from protocols.clock import Clock
from protocols.values import SecretBytes


class Rates(Protocol):
    """How often somebody may ask."""

    def take(self, name: str, now_ns: int) -> bool:
        """Take one of a name's requests at a monotonic time; False when there is none left."""


class Services(Protocol):
    """The programme as the routes see it. Every call may come from any thread."""

    clock: Clock

    def bearer(self, token: SecretBytes) -> Actor:
        """Give whose token it is; raise RuleError for one that is not valid now."""

    def look(self) -> AbstractContextManager[Office]:
        """Give the service layer for reading, of the newest durable state."""

    def registry(self) -> Office:
        """Give the service layer for what needs no ledger, of the newest state."""

    def do(
        self, name: str, arguments: Mapping[str, Any], actor: Actor, tell: Tell
    ) -> dict[str, Any]:
        """Do an act where the ledger is held; durable and in force when this returns."""

    def changed(self) -> None:
        """Have a running switch take over what this process changed in the registry."""
