"""The administration interface's services over one data directory, beside a running switch."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from ledger import open_ledger
from ledger.port import Ledger
from lumbung.carrier import Carrier, beside
from lumbung.composition import Offices
from lumbung.system import system_random
from programme.actors import Actor
from programme.offices import Office
from protocols.clock import Clock
from protocols.values import SecretBytes
from switch.control_client import ControlClient, NoSwitchError


class _NoLedger:
    """Stands where a call has no business with the ledger."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"this call reads no ledger: {name}")


class AdminServices:
    """`programme.api.services.Services` over an open registry; the ledger is opened as needed."""

    def __init__(self, offices: Offices) -> None:
        """Take the registry and keystore of a directory; both stay the caller's."""
        self.clock: Clock = offices.clock
        self._offices = offices
        self._carrier = Carrier(offices.data.root, beside(offices))

    def bearer(self, token: SecretBytes) -> Actor:
        """Give whose token it is; raise RuleError for one that is not valid now."""
        return self._offices.registry.tokens.bearer(token)

    def registry(self) -> Office:
        """Give the service layer for what needs no ledger, of the newest state."""
        self._offices.registry.refresh()
        return Office(self._offices.registry, cast(Ledger, _NoLedger()))

    @contextmanager
    def look(self) -> Iterator[Office]:
        """Give the service layer for reading, of the newest durable state."""
        self._offices.registry.refresh()
        ledger = open_ledger(
            self._offices.data.ledger, now_ns=self.clock.now_ns, random_bytes=system_random,
            read_only=True, create=False,
        )  # fmt: skip
        try:
            yield Office(self._offices.registry, ledger)
        finally:
            ledger.close()

    def do(
        self,
        name: str,
        arguments: Mapping[str, Any],
        actor: Actor,
        tell: Callable[[int, int], None],
    ) -> dict[str, Any]:
        """Do an act where the ledger is held; durable and in force when this returns."""
        return self._carrier.do(name, arguments, actor, tell=tell)

    def changed(self) -> None:
        """Have a running switch take over what this process changed in the registry."""
        try:
            client = ControlClient(self._offices.data.root)
        except NoSwitchError:
            return
        with client:
            client.ask("refresh")
