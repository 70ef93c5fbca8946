"""Shops, terminals, proxies and marks as they are shown."""

from typing import Self

from pydantic import ConfigDict, Field

from programme.offices import Office
from programme.registry.shops import MerchantKind
from programme.registry_port import MerchantView, ProxyView, TerminalView
from programme.rows.base import Row
from programme.terminal_keys import KeyResult


class MerchantRow(Row):
    """A shop: what it is, where, whether it may sell."""

    merchant: str = Field(examples=["EWSMDPLR0000001"])
    name: str = Field(examples=["E-Warong Berkah"])
    kind: MerchantKind
    category: str = Field(examples=["5411"])
    also: list[str] = Field(description="conditional categories registered by name")
    district: str
    village: str
    state: str = Field(examples=["designated"], pattern="^(registered|designated|suspended)$")
    terminals: list[str]

    @classmethod
    def of(cls, office: Office, shop: MerchantView) -> Self:
        """Give the row of a shop."""
        state = "suspended" if shop.suspended else "designated" if shop.designated else "registered"
        return cls(
            merchant=shop.merchant_id,
            name=shop.name,
            kind=MerchantKind(office.registry.lists.merchant_kinds()[shop.merchant_number]),
            category=shop.category,
            also=sorted(shop.conditional_categories),
            district=shop.district,
            village=shop.village,
            state=state,
            terminals=[
                t.terminal_id
                for t in office.registry.all_terminals()
                if shop.merchant_id in (t.merchant_id, t.home_merchant_id)
            ],
        )


class MerchantRows(Row):
    """Shops in the order of registration."""

    merchants: list[MerchantRow]


class TerminalRow(Row):
    """A terminal: its home shop, the shop it is logged on to, its master key's label."""

    terminal: str = Field(examples=["12400001"])
    home: str
    logged_on: str
    state: str = Field(pattern="^(on|off)$")
    key: str = Field(examples=["tmk/12400001"])

    @classmethod
    def of(cls, view: TerminalView) -> Self:
        """Give the row of a terminal."""
        return cls(
            terminal=view.terminal_id,
            home=view.home_merchant_id,
            logged_on=view.merchant_id or "-",
            state="on" if view.active else "off",
            key=view.key_label,
        )


class TerminalRows(Row):
    """Terminals in the order of registration."""

    terminals: list[TerminalRow]


class KeyRow(Row):
    """Which master key a terminal has; its value stays in the keystore."""

    terminal: str
    key: str
    check_value: str
    generation: int

    @classmethod
    def of(cls, result: KeyResult) -> Self:
        """Give the row of a key."""
        return cls(
            terminal=result.terminal_id,
            key=result.label,
            check_value=result.check_value,
            generation=result.generation,
        )


class ProxyRow(Row):
    """Who may act for a card, both days included: a number, no person."""

    proxy: str = Field(examples=["W0000001"])
    from_day: str = Field(alias="from", examples=["2026-01-05"])
    until: str

    model_config = ConfigDict(serialize_by_alias=True)

    @classmethod
    def of(cls, view: ProxyView) -> Self:
        """Give the row of a proxy."""
        return cls(
            proxy=f"W{view.proxy_number:07d}",
            **{"from": view.valid_from.isoformat()},
            until=view.valid_until.isoformat(),
        )


class ProxyRows(Row):
    """The proxies of a card."""

    proxies: list[ProxyRow]


class MarkRow(Row):
    """What was attested for which recipients, and until when."""

    recipients: list[int]
    mark: str
    until: str
