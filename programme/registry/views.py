"""The registry in memory: what the switch reads, never a query (design decision 26).

Views are whole frozen values that are replaced, so a reader on another thread sees the old or the
new one and never half of a change.
"""

from collections.abc import Iterable
from datetime import date
from functools import cache
from sys import intern
from typing import Any

from sqlalchemy import Connection, Row, func, select

from programme.limits import STATEMENT_VALUES_MAX
from programme.registry import schema
from programme.registry_port import (
    BlockReason,
    CardStatus,
    CardView,
    MerchantView,
    ProxyView,
    TerminalView,
)

CARD, MERCHANT, TERMINAL, PROXY = "card", "merchant", "terminal", "proxy"
_CARD_COLUMNS = (
    schema.cards.c.pan_hmac,
    schema.cards.c.card_number,
    schema.cards.c.account_id,
    schema.cards.c.purse,
    schema.cards.c.status,
    schema.cards.c.block_reason,
    schema.cards.c.expires_on,
    schema.cards.c.pan_sequence,
    schema.cards.c.pin_offset,
    schema.cards.c.last_four,
)
_day = cache(date.fromisoformat)
_STATUS = {status.value: status for status in CardStatus}
_REASON = {reason.value: reason for reason in BlockReason}


class Views:
    """The dictionaries behind the read port, loaded from the file and kept up with it."""

    def __init__(self) -> None:
        """Start empty; `load` fills."""
        self.version = 0
        self.cards_by_pan: dict[bytes, CardView] = {}
        self.cards_by_number: dict[int, CardView] = {}
        self.merchants: dict[str, MerchantView] = {}
        self.merchant_ids: dict[int, str] = {}
        self.merchant_by_account: dict[int, str] = {}
        self.terminals: dict[str, TerminalView] = {}
        self.proxies: dict[int, ProxyView] = {}

    def load(self, connection: Connection) -> None:
        """Read everything anew."""
        self.load_cards(connection, None)
        self.load_merchants(connection, None)
        self.load_terminals(connection, None)
        self.load_proxies(connection, None)
        self.version = current_version(connection)

    def catch_up(self, connection: Connection) -> None:
        """Read again what other processes changed since our version."""
        table = schema.changes
        newer = select(table.c.subject, table.c.number).where(table.c.version > self.version)
        touched: dict[str, set[int]] = {}
        for subject, number in connection.execute(newer):
            touched.setdefault(subject, set()).add(number)
        self.reload(connection, touched)
        self.version = current_version(connection)

    def reload(self, connection: Connection, touched: dict[str, set[int]]) -> None:
        """Read again the named cards, shops and terminals."""
        if touched.get(CARD):
            many = len(touched[CARD]) * 4 > len(self.cards_by_number)
            self.load_cards(connection, None if many else touched[CARD])
        if touched.get(MERCHANT):
            self.load_merchants(connection, touched[MERCHANT])
        if touched.get(TERMINAL):
            self.load_terminals(connection, touched[TERMINAL])
        if touched.get(PROXY):
            self.load_proxies(connection, touched[PROXY])

    def load_cards(self, connection: Connection, numbers: Iterable[int] | None) -> None:
        """Read the cards with these numbers, or all."""
        wanted = select(*_CARD_COLUMNS)
        column = schema.cards.c.card_number
        for part in _parts(numbers):
            query = (wanted if part is None else wanted.where(column.in_(part))).order_by(column)
            for row in connection.execute(query):
                view = _card(row)
                self.cards_by_number[view.card_number] = view
                self.cards_by_pan[row[0]] = view

    def load_merchants(self, connection: Connection, numbers: Iterable[int] | None) -> None:
        """Read the shops with these numbers, or all."""
        table = schema.merchants
        for part in _parts(numbers):
            query = select(table).order_by(table.c.merchant_number)
            if part is not None:
                query = query.where(table.c.merchant_number.in_(part))
            rows = connection.execute(query).all()
            wanted = [row.merchant_number for row in rows]
            categories = _conditional(connection, wanted)
            payables = _payables(connection, wanted)
            for row in rows:
                number = row.merchant_number
                view = _merchant(row, categories.get(number, ()), payables.get(number, {}))
                self.merchants[view.merchant_id] = view
                self.merchant_ids[number] = view.merchant_id
                for account in view.payable_accounts.values():
                    self.merchant_by_account[account] = view.merchant_id

    def load_terminals(self, connection: Connection, numbers: Iterable[int] | None) -> None:
        """Read the terminals with these numbers, or all. Shops are read before."""
        table = schema.terminals
        for part in _parts(numbers):
            query = select(table).order_by(table.c.terminal_number)
            if part is not None:
                query = query.where(table.c.terminal_number.in_(part))
            for row in connection.execute(query):
                logged_on = row.merchant_number
                self.terminals[row.terminal_id] = TerminalView(
                    terminal_number=row.terminal_number,
                    terminal_id=row.terminal_id,
                    active=row.active,
                    home_merchant_id=self.merchant_ids[row.home_merchant_number],
                    key_label=row.key_label,
                    merchant_id=None if logged_on is None else self.merchant_ids[logged_on],
                )

    def load_proxies(self, connection: Connection, numbers: Iterable[int] | None) -> None:
        """Read the proxies with these numbers, or all."""
        table = schema.proxies
        for part in _parts(numbers):
            query = select(table).order_by(table.c.proxy_number)
            if part is not None:
                query = query.where(table.c.proxy_number.in_(part))
            for row in connection.execute(query):
                self.proxies[row.proxy_number] = ProxyView(
                    proxy_number=row.proxy_number,
                    account_id=int.from_bytes(row.account_id, "big"),
                    valid_from=_day(row.valid_from),
                    valid_until=_day(row.valid_until),
                )


def current_version(connection: Connection) -> int:
    """Give the number of the last change, 0 before the first."""
    newest = connection.execute(select(func.max(schema.changes.c.version))).scalar()
    return int(newest or 0)


def _parts(numbers: Iterable[int] | None) -> Iterable[list[int] | None]:
    """Yield pieces small enough for one statement; None once for everything."""
    if numbers is None:
        return [None]
    wanted = list(numbers)
    return [
        wanted[start : start + STATEMENT_VALUES_MAX]
        for start in range(0, len(wanted), STATEMENT_VALUES_MAX)
    ]


def _card(row: Row[*tuple[Any, ...]]) -> CardView:
    _, number, account, purse, status, reason, expires, sequence, offset, last_four = row
    return CardView(
        card_number=number,
        account_id=int.from_bytes(account, "big"),
        purse=purse,
        status=_STATUS[status],
        block_reason=_REASON[reason] if reason else None,
        expires_on=_day(expires),
        pan_sequence=intern(sequence),
        pin_offset=offset,
        last_four=intern(last_four),
    )


def _merchant(
    row: Row[*tuple[Any, ...]], categories: Iterable[str], payables: dict[int, int]
) -> MerchantView:
    return MerchantView(
        merchant_number=row.merchant_number,
        merchant_id=row.merchant_id,
        name=row.name,
        district=row.district,
        village=row.village,
        category=row.category,
        designated=row.designated,
        suspended=row.suspended,
        conditional_categories=frozenset(categories),
        payable_accounts=payables,
    )


def _conditional(connection: Connection, numbers: list[int]) -> dict[int, list[str]]:
    table = schema.conditional_categories
    found: dict[int, list[str]] = {}
    query = select(table.c.merchant_number, table.c.category)
    for part in _parts(numbers):
        assert part is not None
        for number, category in connection.execute(query.where(table.c.merchant_number.in_(part))):
            found.setdefault(number, []).append(category)
    return found


def _payables(connection: Connection, numbers: list[int]) -> dict[int, dict[int, int]]:
    table = schema.payable_accounts
    found: dict[int, dict[int, int]] = {}
    query = select(table.c.merchant_number, table.c.purse, table.c.account_id)
    for part in _parts(numbers):
        assert part is not None
        rows = connection.execute(query.where(table.c.merchant_number.in_(part)))
        for number, purse, account in rows:
            found.setdefault(number, {})[purse] = int.from_bytes(account, "big")
    return found
