"""The cards: issue, life cycle, block, replacement (R21, R22). Each change dated with its actor."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from sqlalchemy import Row, select, update

from programme.actors import Actor
from programme.chart import Purse
from programme.errors import DuplicateError, NotFoundError, RuleError
from programme.limits import BULK_CARDS_MAX
from programme.registry import schema
from programme.registry.unit import Context, Unit, parts
from programme.registry.views import CARD
from programme.registry_port import BlockReason, CardStatus, CardView
from programme.roles import require
from protocols.values import Pan

#: States in which a card still stands for its account; one per recipient and purse.
LIVE = frozenset(CardStatus) - {CardStatus.REPLACED, CardStatus.CLOSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRequest:
    """What the card bureau hands in for one card. `pin_offset` is six digits (IBM 3624)."""

    recipient_number: int
    pan: Pan
    pan_sequence: str
    expires_on: date
    pin_offset: str
    purse: int = Purse.FOOD


@cache
def _life_cycle() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(
        files("programme.registry").joinpath("card_states.toml").read_text("utf-8")
    )


class CardBook:
    """Everything that changes a card."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def issue(self, requests: Sequence[CardRequest], actor: Actor) -> list[CardView]:
        """Register printed cards, all or none, each with a new account id (art. 11).

        Raises: NotFoundError, DuplicateError (the card number is taken, or the person has a live
        card of this purse), RuleError.
        """
        _check_bulk(len(requests))
        require(actor, "card.printed")
        with self._context.change(actor) as unit:
            first = unit.next_number(schema.cards, "card_number")
            accounts = self._context.new_account_ids(unit.connection, len(requests))
            wanted = [request.recipient_number for request in requests]
            holders = _live_holders(unit, wanted)
            people = _registered(unit, wanted)
            rows = []
            for number, (request, account) in enumerate(
                zip(requests, accounts, strict=True), start=first
            ):
                if request.recipient_number not in people:
                    raise NotFoundError.of(
                        "programme.recipient_unknown", recipient=request.recipient_number
                    )
                holder = (request.recipient_number, int(request.purse))
                if holder in holders:
                    raise DuplicateError.of(
                        "programme.card_live", recipient=holder[0], purse=holder[1]
                    )
                holders.add(holder)
                rows.append(self._row(number, request, account))
            self._insert(unit, rows)
        return [self._context.views.cards_by_number[row["card_number"]] for row in rows]

    def move(self, numbers: Sequence[int], status: CardStatus, actor: Actor) -> None:
        """Move cards one step of their life cycle, all or none.

        Raises: NotFoundError; RuleError when the step or the agency does not fit.
        """
        _check_bulk(len(numbers))
        require(actor, f"card.{status.value}")
        if status in (CardStatus.BLOCKED, CardStatus.REPLACED):
            raise RuleError.of("programme.card_own_call", wanted=status.value)
        with self._context.change(actor) as unit:
            for number in numbers:
                view = _view(unit, number)
                if view.status.value not in _life_cycle()[status.value]["from"]:
                    raise RuleError.of(
                        "programme.card_step",
                        card=number,
                        status=view.status.value,
                        wanted=status.value,
                    )
            _set(unit, numbers, status, {"block_reason": None, "status_before_block": None})

    def first_use(self, number: int, actor: Actor) -> bool:
        """Make a collected card active; give False, with nothing changed, for any other (R24).

        A card that was blocked meanwhile stays blocked. Raises: NotFoundError.
        """
        require(actor, "card.active")
        with self._context.change(actor) as unit:
            if _view(unit, number).status is not CardStatus.COLLECTED:
                return False
            _set(unit, [number], CardStatus.ACTIVE, {})
        return True

    def block(self, numbers: Sequence[int], reason: BlockReason, actor: Actor) -> None:
        """Block live cards, all or none; in force when this returns (R22).

        A card that is blocked already takes the new reason. Raises: NotFoundError, RuleError.
        """
        _check_bulk(len(numbers))
        require(actor, "card.blocked")
        with self._context.change(actor) as unit:
            for number in numbers:
                status = _view(unit, number).status
                if status not in LIVE:
                    raise RuleError.of(
                        "programme.card_not_blockable", card=number, status=status.value
                    )
                before = (
                    {} if status is CardStatus.BLOCKED else {"status_before_block": status.value}
                )
                changed = {"block_reason": reason.value, **before}
                _set(unit, [number], CardStatus.BLOCKED, changed, reason)

    def unblock(self, numbers: Sequence[int], actor: Actor) -> None:
        """Give blocked cards the states back that they had, all or none.

        Raises: NotFoundError; RuleError for one that is not blocked, or for the agency.
        """
        _check_bulk(len(numbers))
        require(actor, "card.unblocked")
        with self._context.change(actor) as unit:
            for number in numbers:
                row = _row(unit, number)
                if row.status != CardStatus.BLOCKED.value:
                    raise RuleError.of("programme.card_not_blocked", card=number, status=row.status)
                before = CardStatus(row.status_before_block)
                _set(unit, [number], before, {"block_reason": None, "status_before_block": None})

    def check_replaceable(self, number: int) -> None:
        """Raise NotFoundError, or RuleError for a card that was replaced or closed before."""
        view = self._context.views.cards_by_number.get(number)
        if view is None:
            raise NotFoundError.of("programme.card_unknown", card=number)
        _check_live(number, view.status)

    def replace(
        self,
        number: int,
        *,
        pan: Pan,
        pan_sequence: str,
        expires_on: date,
        pin_offset: str,
        actor: Actor,
    ) -> CardView:
        """Give a new printed card on the same account; the old one is refused from now on (R22).

        Raises: RuleError when the card was replaced or closed before; DuplicateError.
        """
        require(actor, "card.replaced")
        with self._context.change(actor) as unit:
            old = _row(unit, number)
            _check_live(number, CardStatus(old.status))
            _set(unit, [number], CardStatus.REPLACED, {"status_before_block": None})
            request = CardRequest(
                recipient_number=old.recipient_number,
                pan=pan,
                pan_sequence=pan_sequence,
                expires_on=expires_on,
                pin_offset=pin_offset,
                purse=old.purse,
            )
            row = self._row(unit.next_number(schema.cards, "card_number"), request, old.account_id)
            self._insert(unit, [{**row, "replaces_card_number": number}])
        return self._context.views.cards_by_number[row["card_number"]]

    def set_pin_offset(self, number: int, pin_offset: str, actor: Actor) -> None:
        """Keep the reference of a changed PIN."""
        require(actor, "card.pin")
        _check_digits("programme.pin_offset", pin_offset, 6, 6)
        with self._context.change(actor) as unit:
            _view(unit, number)
            table = schema.cards
            unit.connection.execute(
                update(table).where(table.c.card_number == number).values(pin_offset=pin_offset)
            )
            unit.record(CARD, number, "pin changed")

    def steps(self, number: int) -> list[tuple[CardStatus, BlockReason | None, int, str, str]]:
        """Give a card's life so far: (state, reason, UTC nanoseconds, agency, person)."""
        table = schema.card_steps
        with self._context.storage.reading() as connection:
            query = select(table).where(table.c.card_number == number).order_by(table.c.step)
            return [
                (
                    CardStatus(row.status),
                    BlockReason(row.block_reason) if row.block_reason else None,
                    row.at_ns,
                    row.agency,
                    row.person,
                )
                for row in connection.execute(query)
            ]

    def _row(self, number: int, request: CardRequest, account: bytes) -> dict[str, Any]:
        _check_digits("programme.card_sequence", request.pan_sequence, 2, 3)
        _check_digits("programme.pin_offset", request.pin_offset, 6, 6)
        return {
            "card_number": number,
            "recipient_number": request.recipient_number,
            "purse": int(request.purse),
            "account_id": account,
            "pan_hmac": self._context.sealer.pan(request.pan),
            "last_four": request.pan.last_four,
            "pan_sequence": request.pan_sequence,
            "expires_on": request.expires_on.isoformat(),
            "pin_offset": request.pin_offset,
            "status": CardStatus.PRINTED.value,
            "block_reason": None,
            "status_before_block": None,
            "replaces_card_number": None,
        }

    def _insert(self, unit: Unit, rows: list[dict[str, Any]]) -> None:
        known = unit.views.cards_by_pan
        fresh = {row["pan_hmac"] for row in rows}
        if len(fresh) < len(rows) or any(value in known for value in fresh):
            raise DuplicateError.of("programme.card_known")
        unit.add(schema.cards, rows)
        unit.add(
            schema.card_steps, [_step(unit, row["card_number"], row["status"]) for row in rows]
        )
        for row in rows:
            replaces = row["replaces_card_number"]
            after = {"status": row["status"], "purse": row["purse"], "replaces": replaces}
            unit.record(CARD, row["card_number"], "printed", after=after)


def _set(
    unit: Unit,
    numbers: Sequence[int],
    status: CardStatus,
    changed: Mapping[str, str | None],
    reason: BlockReason | None = None,
) -> None:
    table = schema.cards
    for part in parts(numbers):
        query = update(table).where(table.c.card_number.in_(part))
        unit.connection.execute(query.values(status=status.value, **changed))
    unit.add(schema.card_steps, [_step(unit, number, status.value, reason) for number in numbers])
    after = {"status": status.value, "reason": reason.value if reason else None}
    for number in numbers:
        old = unit.views.cards_by_number[number]
        why = old.block_reason.value if old.block_reason else None
        before = {"status": old.status.value, "reason": why}
        unit.record(CARD, number, status.value, after["reason"] or "", before=before, after=after)


def _step(
    unit: Unit, number: int, status: str, reason: BlockReason | None = None
) -> dict[str, Any]:
    return {
        "card_number": number,
        "status": status,
        "block_reason": reason.value if reason else None,
        "at_ns": unit.at_ns,
        "agency": unit.actor.agency.value,
        "person": unit.actor.person,
    }


def _live_holders(unit: Unit, recipients: Sequence[int]) -> set[tuple[int, int]]:
    table = schema.cards
    live = [status.value for status in LIVE]
    query = select(table.c.recipient_number, table.c.purse).where(table.c.status.in_(live))
    column = table.c.recipient_number
    return {
        (recipient, purse)
        for part in parts(recipients)
        for recipient, purse in unit.connection.execute(query.where(column.in_(part)))
    }


def _registered(unit: Unit, recipients: Sequence[int]) -> set[int]:
    column = schema.recipients.c.recipient_number
    return {
        number
        for part in parts(recipients)
        for (number,) in unit.connection.execute(select(column).where(column.in_(part)))
    }


def _row(unit: Unit, number: int) -> Row[tuple[Any, ...]]:
    query = select(schema.cards).where(schema.cards.c.card_number == number)
    row = unit.connection.execute(query).first()
    if row is None:
        raise NotFoundError.of("programme.card_unknown", card=number)
    return row


def _view(unit: Unit, number: int) -> CardView:
    view = unit.views.cards_by_number.get(number)
    if view is None:
        raise NotFoundError.of("programme.card_unknown", card=number)
    return view


def _check_live(number: int, status: CardStatus) -> None:
    if status not in LIVE:
        raise RuleError.of("programme.card_replaced_before", card=number, status=status.value)


def _check_digits(key: str, text: str, least: int, most: int) -> None:
    if not (least <= len(text) <= most and text.isascii() and text.isdigit()):
        raise RuleError.of(key)


def _check_bulk(count: int) -> None:
    if count > BULK_CARDS_MAX:
        raise RuleError.of("programme.bulk", limit=BULK_CARDS_MAX)
