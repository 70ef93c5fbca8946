"""E-Warong and terminals: who may be paid, and which shop a terminal is at (R4, R39)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update

from programme.actors import Actor
from programme.errors import DuplicateError, NotFoundError, RuleError
from programme.limits import CELL_CHARACTERS_MAX
from programme.registry import schema
from programme.registry.unit import Context, Unit
from programme.registry.views import MERCHANT, TERMINAL
from programme.registry_port import MerchantView, TerminalView
from programme.roles import require
from protocols.business_time import wita


class MerchantKind(StrEnum):
    """Who may be an E-Warong. Source: Perwali 70/2025 art. 1 no. 16-19."""

    MICRO = "mikro"
    SMALL = "kecil"
    COOPERATIVE = "koperasi"
    KUBE = "KUBE"


@dataclass(frozen=True, slots=True, kw_only=True)
class MerchantRequest:
    """A shop to register. `merchant_id` is DE42 (1 to 15 letters and digits, one a letter).

    `conditional_categories` are those the shop is registered with by name (decision 12).
    """

    merchant_id: str
    name: str
    kind: MerchantKind
    district: str
    village: str
    category: str
    conditional_categories: frozenset[str] = frozenset()
    designated: bool = False
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class MerchantStep:
    """One change of a shop: its state, why, until which day ('' for none is meant), when, who."""

    state: str
    reason: str
    until: str
    at_ns: int
    agency: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalRequest:
    """A terminal to register at its home shop. `terminal_id` is DE41 (8 characters).

    `key_label` names its master key in the keystore, `key_check_value` that key's six digits;
    `logged_on` says that it sells for its home shop from the start.
    """

    terminal_id: str
    home_merchant_id: str
    key_label: str
    key_check_value: str
    logged_on: bool = False


class ShopBook:
    """Everything that changes a shop or a terminal."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def add_merchants(
        self, requests: Sequence[MerchantRequest], actor: Actor
    ) -> list[MerchantView]:
        """Register shops, all or none; raise RuleError or DuplicateError."""
        require(actor, "merchant.register")
        if any(request.designated or request.suspended for request in requests):
            require(actor, "merchant.designate")
        rows, categories = [], []
        steps: list[tuple[int, str, str, date | None]] = []
        with self._context.change(actor) as unit:
            first = unit.next_number(schema.merchants, "merchant_number")
            taken = set(unit.views.merchants)
            for number, request in enumerate(requests, start=first):
                row = _merchant_row(number, request)
                if row["merchant_id"] in taken:
                    raise DuplicateError.of(
                        "programme.merchant_known", merchant=request.merchant_id
                    )
                taken.add(row["merchant_id"])
                rows.append(row)
                categories += [
                    {"merchant_number": number, "category": code}
                    for code in sorted(request.conditional_categories)
                ]
                unit.record(MERCHANT, number, "registered", _state_text(request))
                steps += [(number, state, "", None) for state in _states(request)]
            unit.add(schema.merchants, rows)
            unit.add(schema.conditional_categories, categories)
            _note_steps(unit, steps)
        return [self._context.views.merchants[row["merchant_id"]] for row in rows]

    def add_terminals(
        self, requests: Sequence[TerminalRequest], actor: Actor
    ) -> list[TerminalView]:
        """Register terminals, all or none; raise RuleError, DuplicateError or NotFoundError."""
        require(actor, "terminal.register")
        rows = []
        with self._context.change(actor) as unit:
            first = unit.next_number(schema.terminals, "terminal_number")
            taken = set(unit.views.terminals)
            for number, request in enumerate(requests, start=first):
                if request.terminal_id in taken:
                    raise DuplicateError.of(
                        "programme.terminal_known", terminal=request.terminal_id
                    )
                taken.add(request.terminal_id)
                rows.append(_terminal_row(number, request, unit))
                unit.record(TERMINAL, number, "registered", request.home_merchant_id)
            unit.add(schema.terminals, rows)
        return [self._context.views.terminals[request.terminal_id] for request in requests]

    def designate(self, merchant_id: str, actor: Actor) -> MerchantView:
        """Designate a shop as E-Warong (art. 1 no. 19); without it no sale is approved (R4)."""
        require(actor, "merchant.designate")
        return self._set(merchant_id, actor, "designated", {"designated": True})

    def suspend(
        self, merchant_id: str, actor: Actor, reason: str = "", until: date | None = None
    ) -> MerchantView:
        """Suspend a shop; in force when this returns, until somebody ends it.

        `until` is the last day that is meant; `resume_due` ends it after that day.
        """
        require(actor, "merchant.suspend")
        _check_text("reason", reason or "-")
        return self._set(merchant_id, actor, "suspended", {"suspended": True}, reason, until)

    def resume(self, merchant_id: str, actor: Actor) -> MerchantView:
        """End a suspension."""
        require(actor, "merchant.resume")
        return self._set(merchant_id, actor, "resumed", {"suspended": False})

    def resume_due(self, actor: Actor) -> list[str]:
        """End the suspensions whose meant last day has passed; give the shops."""
        require(actor, "merchant.resume")
        today = wita(self._context.clock.now_ns()).date().isoformat()
        due = []
        for shop in list(self._context.views.merchants.values()):
            if shop.suspended:
                newest = self.steps(shop.merchant_id)[-1]
                if newest.state == "suspended" and "" < newest.until < today:
                    self.resume(shop.merchant_id, actor)
                    due.append(shop.merchant_id)
        return due

    def steps(self, merchant_id: str) -> list[MerchantStep]:
        """Give a shop's life so far; raise NotFoundError."""
        table = schema.merchant_steps
        with self._context.storage.reading() as connection:
            shop = self._context.views.merchants.get(merchant_id.rstrip(" "))
            if shop is None:
                raise NotFoundError.of("programme.merchant_unknown", merchant=merchant_id)
            mine = table.c.merchant_number == shop.merchant_number
            rows = connection.execute(select(table).where(mine).order_by(table.c.step))
            return [
                MerchantStep(r.state, r.reason, r.until, r.at_ns, r.agency, r.person) for r in rows
            ]

    def key_check_value(self, terminal_id: str) -> str:
        """Give the check value that a terminal's master key must have; raise NotFoundError."""
        table = schema.terminals
        query = select(table.c.key_check_value).where(table.c.terminal_id == terminal_id)
        with self._context.storage.reading() as connection:
            value = connection.execute(query).scalar()
        if value is None:
            raise NotFoundError.of("programme.terminal_unknown", terminal=terminal_id)
        return str(value)

    def set_key(self, terminal_id: str, check_value: str, actor: Actor) -> None:
        """Note the check value of a terminal's new master key, by whom two people let make it."""
        require(actor, "key.propose")
        with self._context.change(actor) as unit:
            terminal = _terminal(unit, terminal_id)
            self._set_terminal(unit, terminal, {"key_check_value": _check_value(check_value)})
            after = {"check_value": check_value}
            unit.record(TERMINAL, terminal.terminal_number, "new key", after=after)

    def log_on(self, terminal_id: str, merchant_id: str, actor: Actor) -> TerminalView:
        """Note that a terminal now sells for this shop: devices move between shops (R39)."""
        require(actor, "terminal.log_on")
        with self._context.change(actor) as unit:
            terminal = _terminal(unit, terminal_id)
            if not terminal.active:
                raise RuleError.of("programme.terminal_off", terminal=terminal_id)
            shop = _merchant(unit, merchant_id)
            self._set_terminal(unit, terminal, {"merchant_number": shop.merchant_number})
            unit.record(TERMINAL, terminal.terminal_number, "logged on", shop.merchant_id)
        return self._context.views.terminals[terminal_id]

    def log_off(self, terminal_id: str, actor: Actor) -> TerminalView:
        """Note that a terminal is at no shop."""
        require(actor, "terminal.log_on")
        with self._context.change(actor) as unit:
            terminal = _terminal(unit, terminal_id)
            self._set_terminal(unit, terminal, {"merchant_number": None})
            unit.record(TERMINAL, terminal.terminal_number, "logged off")
        return self._context.views.terminals[terminal_id]

    def set_active(self, terminal_id: str, active: bool, actor: Actor) -> TerminalView:
        """Switch a terminal on or off in the registry; in force when this returns."""
        require(actor, "terminal.switch")
        with self._context.change(actor) as unit:
            terminal = _terminal(unit, terminal_id)
            self._set_terminal(unit, terminal, {"active": active})
            unit.record(TERMINAL, terminal.terminal_number, "on" if active else "off")
        return self._context.views.terminals[terminal_id]

    def _set(
        self,
        merchant_id: str,
        actor: Actor,
        action: str,
        values: dict[str, bool],
        detail: str = "",
        until: date | None = None,
    ) -> MerchantView:
        with self._context.change(actor) as unit:
            shop = _merchant(unit, merchant_id)
            table = schema.merchants
            mine = table.c.merchant_number == shop.merchant_number
            unit.connection.execute(update(table).where(mine).values(**values))
            before = {name: getattr(shop, name) for name in values}
            after = {**values, **({"until": until.isoformat()} if until else {})}
            _note_steps(unit, [(shop.merchant_number, action, detail, until)])
            number = shop.merchant_number
            unit.record(MERCHANT, number, action, detail, before=before, after=after)
        return self._context.views.merchants[shop.merchant_id]

    def _set_terminal(
        self, unit: Unit, terminal: TerminalView, values: dict[str, bool | int | str | None]
    ) -> None:
        table = schema.terminals
        mine = table.c.terminal_number == terminal.terminal_number
        unit.connection.execute(update(table).where(mine).values(**values))


def _merchant_row(number: int, request: MerchantRequest) -> dict[str, Any]:
    merchant_id = request.merchant_id.rstrip(" ")
    _check_id("merchant_id", merchant_id, 15)
    if merchant_id.isdigit():
        raise RuleError.of("programme.merchant_letter")
    for code in (request.category, *request.conditional_categories):
        _check_category(code)
    _check_text("name", request.name)
    _check_text("district", request.district)
    _check_text("village", request.village)
    return {
        "merchant_number": number,
        "merchant_id": merchant_id,
        "name": request.name,
        "kind": MerchantKind(request.kind).value,
        "district": request.district,
        "village": request.village,
        "category": request.category,
        "designated": request.designated,
        "suspended": request.suspended,
    }


def _terminal_row(number: int, request: TerminalRequest, unit: Unit) -> dict[str, Any]:
    if len(request.terminal_id) != 8:
        raise RuleError.of("programme.terminal_length")
    _check_id("terminal_id", request.terminal_id, 8)
    _check_text("key label", request.key_label)
    value = _check_value(request.key_check_value)
    home = _merchant(unit, request.home_merchant_id).merchant_number
    return {
        "terminal_number": number,
        "terminal_id": request.terminal_id,
        "home_merchant_number": home,
        "merchant_number": home if request.logged_on else None,
        "active": True,
        "key_label": request.key_label,
        "key_check_value": value,
    }


def _check_value(text: str) -> str:
    value = text.upper()
    if len(value) != 6 or set(value) - set("0123456789ABCDEF"):
        raise RuleError.of("programme.check_value")
    return value


def _note_steps(unit: Unit, steps: Sequence[tuple[int, str, str, date | None]]) -> None:
    rows = [
        {
            "merchant_number": number, "state": state, "reason": reason,
            "until": until.isoformat() if until else "", "at_ns": unit.at_ns,
            "agency": unit.actor.agency.value, "person": unit.actor.person,
        }
        for number, state, reason, until in steps
    ]  # fmt: skip
    unit.add(schema.merchant_steps, rows)


def _states(request: MerchantRequest) -> Iterator[str]:
    yield "registered"
    if request.designated:
        yield "designated"
    if request.suspended:
        yield "suspended"


def _state_text(request: MerchantRequest) -> str:
    words = [request.kind.value, request.category]
    words += ["designated"] if request.designated else []
    words += ["suspended"] if request.suspended else []
    return " ".join(words)


def _merchant(unit: Unit, merchant_id: str) -> MerchantView:
    found = unit.views.merchants.get(merchant_id.rstrip(" "))
    if found is None:
        raise NotFoundError.of("programme.merchant_unknown", merchant=merchant_id)
    return found


def _terminal(unit: Unit, terminal_id: str) -> TerminalView:
    found = unit.views.terminals.get(terminal_id)
    if found is None:
        raise NotFoundError.of("programme.terminal_unknown", terminal=terminal_id)
    return found


def _check_id(what: str, text: str, most: int) -> None:
    if not (1 <= len(text) <= most and text.isascii() and text.isalnum()):
        raise RuleError.of("programme.id_format", field=what, limit=most)


def _check_category(code: str) -> None:
    if not (len(code) == 4 and code.isascii() and code.isdigit()):
        raise RuleError.of("programme.category")


def _check_text(what: str, text: str) -> None:
    if not (text.strip() and len(text) <= CELL_CHARACTERS_MAX and text.isprintable()):
        raise RuleError.of("programme.text_field", field=what, limit=CELL_CHARACTERS_MAX)
