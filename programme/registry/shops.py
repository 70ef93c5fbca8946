"""E-Warong and terminals: who may be paid, and which shop a terminal is at (R4, R39)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import update

from programme.actors import Actor
from programme.errors import DuplicateError, NotFoundError, RuleError
from programme.limits import CELL_CHARACTERS_MAX
from programme.registry import schema
from programme.registry.unit import Context, Unit
from programme.registry.views import MERCHANT, TERMINAL
from programme.registry_port import MerchantView, TerminalView
from programme.roles import require


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
            unit.add(schema.merchants, rows)
            unit.add(schema.conditional_categories, categories)
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

    def suspend(self, merchant_id: str, actor: Actor, reason: str = "") -> MerchantView:
        """Suspend a shop; in force when this returns."""
        require(actor, "merchant.suspend")
        _check_text("reason", reason or "-")
        return self._set(merchant_id, actor, "suspended", {"suspended": True}, reason)

    def resume(self, merchant_id: str, actor: Actor) -> MerchantView:
        """End a suspension."""
        require(actor, "merchant.resume")
        return self._set(merchant_id, actor, "resumed", {"suspended": False})

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
        self, merchant_id: str, actor: Actor, action: str, values: dict[str, bool], detail: str = ""
    ) -> MerchantView:
        with self._context.change(actor) as unit:
            shop = _merchant(unit, merchant_id)
            table = schema.merchants
            mine = table.c.merchant_number == shop.merchant_number
            unit.connection.execute(update(table).where(mine).values(**values))
            unit.record(MERCHANT, shop.merchant_number, action, detail)
        return self._context.views.merchants[shop.merchant_id]

    def _set_terminal(
        self, unit: Unit, terminal: TerminalView, values: dict[str, bool | int | None]
    ) -> None:
        table = schema.terminals
        mine = table.c.terminal_number == terminal.terminal_number
        unit.connection.execute(update(table).where(mine).values(**values))


def _merchant_row(number: int, request: MerchantRequest) -> dict[str, Any]:
    merchant_id = request.merchant_id.rstrip(" ")
    _check_id("a merchant id", merchant_id, 15)
    if merchant_id.isdigit():
        raise RuleError("a merchant id must hold a letter.")
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
        raise RuleError("a terminal id has 8 characters.")
    _check_id("a terminal id", request.terminal_id, 8)
    _check_text("key label", request.key_label)
    value = request.key_check_value.upper()
    if len(value) != 6 or set(value) - set("0123456789ABCDEF"):
        raise RuleError("a key check value has 6 hexadecimal digits.")
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
        raise RuleError(f"{what} is 1 to {most} letters and digits.")


def _check_category(code: str) -> None:
    if not (len(code) == 4 and code.isascii() and code.isdigit()):
        raise RuleError("a merchant category has 4 digits (ISO 18245).")


def _check_text(what: str, text: str) -> None:
    if not (text.strip() and len(text) <= CELL_CHARACTERS_MAX and text.isprintable()):
        raise RuleError(f"the {what} must have 1 to {CELL_CHARACTERS_MAX} printable characters.")
