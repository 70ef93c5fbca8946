"""E-Warong and terminals: who may be paid, and which shop a terminal is at (R4, R39)."""

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import insert, update

from programme.actors import Actor, Agency
from programme.errors import DuplicateError, NotFoundError, RuleError
from programme.limits import CELL_CHARACTERS_MAX
from programme.registry import schema
from programme.registry.unit import Context, Unit
from programme.registry.views import MERCHANT, TERMINAL
from programme.registry_port import MerchantView, TerminalView


class MerchantKind(StrEnum):
    """Who may be an E-Warong. Source: Perwali 70/2025 art. 1 no. 16-19."""

    MICRO = "mikro"
    SMALL = "kecil"
    COOPERATIVE = "koperasi"
    KUBE = "KUBE"


#: Who registers shops and devices; designation is the city's with the bank (art. 1 no. 19).
_KEEPERS = frozenset({Agency.BANK, Agency.DINSOS_PM, Agency.DISKOMINFO})
_DESIGNATORS = frozenset({Agency.WALI_KOTA, Agency.DINSOS_PM, Agency.BANK})


class ShopBook:
    """Everything that changes a shop or a terminal."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def add_merchant(
        self,
        merchant_id: str,
        *,
        name: str,
        kind: MerchantKind,
        district: str,
        village: str,
        category: str,
        conditional_categories: Iterable[str] = (),
        actor: Actor,
    ) -> MerchantView:
        """Register a shop, not yet designated. `merchant_id` is DE42 (1 to 15 characters).

        It must hold a letter, so that it is never taken for a card number (decision 19).
        Raises: RuleError, DuplicateError.
        """
        _may(actor, _KEEPERS, "register a shop")
        merchant_id = merchant_id.rstrip(" ")
        _check_id("a merchant id", merchant_id, 15)
        if merchant_id.isdigit():
            raise RuleError("a merchant id must hold a letter.")
        extra = sorted(set(conditional_categories))
        for code in (category, *extra):
            _check_category(code)
        for what, text in (("name", name), ("district", district), ("village", village)):
            _check_text(what, text)
        with self._context.change(actor) as unit:
            if merchant_id in unit.views.merchants:
                raise DuplicateError(f"shop {merchant_id} is registered already.")
            number = unit.next_number(schema.merchants, "merchant_number")
            row = {
                "merchant_number": number,
                "merchant_id": merchant_id,
                "name": name,
                "kind": MerchantKind(kind).value,
                "district": district,
                "village": village,
                "category": category,
                "designated": False,
                "suspended": False,
            }
            unit.connection.execute(insert(schema.merchants).values(row))
            named = [{"merchant_number": number, "category": code} for code in extra]
            unit.add(schema.conditional_categories, named)
            unit.record(MERCHANT, number, "registered", f"{kind} {category}")
        return self._context.views.merchants[merchant_id]

    def designate(self, merchant_id: str, actor: Actor) -> MerchantView:
        """Designate a shop as E-Warong (art. 1 no. 19); without it no sale is approved (R4)."""
        _may(actor, _DESIGNATORS, "designate a shop")
        return self._set(merchant_id, actor, "designated", {"designated": True})

    def suspend(self, merchant_id: str, actor: Actor, reason: str = "") -> MerchantView:
        """Suspend a shop; in force when this returns."""
        _may(actor, _DESIGNATORS, "suspend a shop")
        _check_text("reason", reason or "-")
        return self._set(merchant_id, actor, "suspended", {"suspended": True}, reason)

    def resume(self, merchant_id: str, actor: Actor) -> MerchantView:
        """End a suspension."""
        _may(actor, _DESIGNATORS, "end a suspension")
        return self._set(merchant_id, actor, "resumed", {"suspended": False})

    def add_terminal(
        self,
        terminal_id: str,
        *,
        home_merchant_id: str,
        key_label: str,
        key_check_value: str,
        actor: Actor,
    ) -> TerminalView:
        """Register a terminal at its home shop. `terminal_id` is DE41 (8 characters).

        `key_label` names its master key in the keystore, `key_check_value` that key's six digits.
        Raises: RuleError, DuplicateError, NotFoundError.
        """
        _may(actor, _KEEPERS, "register a terminal")
        if len(terminal_id) != 8:
            raise RuleError("a terminal id has 8 characters.")
        _check_id("a terminal id", terminal_id, 8)
        _check_text("key label", key_label)
        value = key_check_value.upper()
        if len(value) != 6 or set(value) - set("0123456789ABCDEF"):
            raise RuleError("a key check value has 6 hexadecimal digits.")
        with self._context.change(actor) as unit:
            if terminal_id in unit.views.terminals:
                raise DuplicateError(f"terminal {terminal_id} is registered already.")
            number = unit.next_number(schema.terminals, "terminal_number")
            row = {
                "terminal_number": number,
                "terminal_id": terminal_id,
                "home_merchant_number": _merchant(unit, home_merchant_id).merchant_number,
                "merchant_number": None,
                "active": True,
                "key_label": key_label,
                "key_check_value": value,
            }
            unit.connection.execute(insert(schema.terminals).values(row))
            unit.record(TERMINAL, number, "registered", home_merchant_id)
        return self._context.views.terminals[terminal_id]

    def log_on(self, terminal_id: str, merchant_id: str, actor: Actor) -> TerminalView:
        """Note that a terminal now sells for this shop: devices move between shops (R39)."""
        with self._context.change(actor) as unit:
            terminal = _terminal(unit, terminal_id)
            if not terminal.active:
                raise RuleError(f"terminal {terminal_id} is switched off in the registry.")
            shop = _merchant(unit, merchant_id)
            self._set_terminal(unit, terminal, {"merchant_number": shop.merchant_number})
            unit.record(TERMINAL, terminal.terminal_number, "logged on", shop.merchant_id)
        return self._context.views.terminals[terminal_id]

    def log_off(self, terminal_id: str, actor: Actor) -> TerminalView:
        """Note that a terminal is at no shop."""
        with self._context.change(actor) as unit:
            terminal = _terminal(unit, terminal_id)
            self._set_terminal(unit, terminal, {"merchant_number": None})
            unit.record(TERMINAL, terminal.terminal_number, "logged off")
        return self._context.views.terminals[terminal_id]

    def set_active(self, terminal_id: str, active: bool, actor: Actor) -> TerminalView:
        """Switch a terminal on or off in the registry; in force when this returns."""
        _may(actor, _KEEPERS, "switch a terminal on or off")
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


def _merchant(unit: Unit, merchant_id: str) -> MerchantView:
    found = unit.views.merchants.get(merchant_id.rstrip(" "))
    if found is None:
        raise NotFoundError(f"shop {merchant_id} is not registered.")
    return found


def _terminal(unit: Unit, terminal_id: str) -> TerminalView:
    found = unit.views.terminals.get(terminal_id)
    if found is None:
        raise NotFoundError(f"terminal {terminal_id} is not registered.")
    return found


def _may(actor: Actor, agencies: frozenset[Agency], what: str) -> None:
    if actor.agency not in agencies:
        names = ", ".join(sorted(agencies))
        raise RuleError(f"{actor.agency.value} may not {what}; that is for {names}.")


def _check_id(what: str, text: str, most: int) -> None:
    if not (1 <= len(text) <= most and text.isascii() and text.isalnum()):
        raise RuleError(f"{what} is 1 to {most} letters and digits.")


def _check_category(code: str) -> None:
    if not (len(code) == 4 and code.isascii() and code.isdigit()):
        raise RuleError("a merchant category has 4 digits (ISO 18245).")


def _check_text(what: str, text: str) -> None:
    if not (text.strip() and len(text) <= CELL_CHARACTERS_MAX and text.isprintable()):
        raise RuleError(f"the {what} must have 1 to {CELL_CHARACTERS_MAX} printable characters.")
