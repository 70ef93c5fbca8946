"""Types of the native core of plain sales; `switch.plain` is its only caller."""

from collections import deque
from collections.abc import Mapping, Sized
from datetime import date
from typing import Any, final

from ledger.structures import Transfer
from programme.registry_port import CardView, MerchantView
from protocols.iso8583 import MessageUse
from protocols.values import SecretBytes
from switch.decision import LedgerStep, StepResult
from switch.reception import Accepted
from switch.request import Request
from switch.session import Arrival, Departure
from switch.turn import Active

@final
class PlainSale:
    """A purchase that every stage has let pass; the ledger has the next word."""

    @property
    def arrival(self) -> Arrival: ...
    @property
    def accepted(self) -> Accepted: ...
    @property
    def usage(self) -> MessageUse: ...
    @property
    def merchant(self) -> MerchantView: ...
    @property
    def card(self) -> CardView: ...
    @property
    def transfer(self) -> Transfer: ...
    @property
    def step(self) -> LedgerStep: ...
    @property
    def transfer_id(self) -> int: ...
    @property
    def cryptogram_key(self) -> SecretBytes: ...

@final
class PlainSales:
    """Decides plain sales for one node; None means that the stages must look."""

    def __new__(
        cls,
        memory: Mapping[str, Any],
        parts: Mapping[str, Any],
        ending: Mapping[str, Any],
        door: Mapping[str, Any],
        request: type[Request],
        transfer: type[Transfer],
        step: type[LedgerStep],
        /,
    ) -> PlainSales: ...
    def use_terms(self, terms: Mapping[str, Any] | None) -> None: ...
    def receive(
        self,
        core: Mapping[str, Any],
        arrivals: list[Arrival],
        now_ns: int,
        today: date,
        queue: deque[tuple[Active | PlainSale, LedgerStep]],
    ) -> None: ...
    def complete(
        self,
        core: Mapping[str, Any],
        stepping: list[Active | PlainSale],
        results: list[StepResult],
        departures: list[Departure],
        parked: Sized,
    ) -> None: ...
