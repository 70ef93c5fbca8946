"""Proxies (wakil): who may act for a card, until when, and for how many cards (R25; 8 Q8)."""

from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import func, select, update

from programme.actors import Actor
from programme.errors import NotFoundError, RuleError
from programme.limits import CELL_CHARACTERS_MAX
from programme.policy import policy
from programme.registry import schema
from programme.registry.cards import LIVE
from programme.registry.unit import Context
from programme.registry.views import PROXY
from programme.registry_port import ProxyView
from programme.roles import require


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRequest:
    """Who is to act for a card, why, and from which day to which. Its repr shows no person."""

    card_number: int
    nik: str = field(repr=False)
    name: str = field(repr=False)
    reason: str
    valid_from: date
    valid_until: date


class ProxyBook:
    """Everything about proxies."""

    def __init__(self, context: Context) -> None:
        """Work on one registry."""
        self._context = context

    def register(self, request: ProxyRequest, actor: Actor) -> ProxyView:
        """Register a proxy for a card; in force when this returns, also on its replacement.

        Raises: RoleError, NotFoundError; RuleError for a card that is not live, a period or a
        number of cards beyond policy.toml.
        """
        require(actor, "proxy.register")
        sealer, table = self._context.sealer, schema.proxies
        with self._context.change(actor) as unit:
            card = unit.views.cards_by_number.get(request.card_number)
            if card is None:
                raise NotFoundError.of("programme.card_unknown", card=request.card_number)
            if card.status not in LIVE:
                raise RuleError.of(
                    "programme.card_not_blockable", card=card.card_number, status=card.status.value
                )
            _check(request, unit.today)
            nik = sealer.nik(request.nik)
            held = select(func.count()).where(
                table.c.nik_hmac == nik, table.c.valid_until >= unit.today.isoformat()
            )
            count, limit = unit.connection.execute(held).scalar_one(), policy().proxy_cards_max
            if count >= limit:
                raise RuleError.of("programme.proxy_cards", count=count, limit=limit)
            number = unit.next_number(table, "proxy_number")
            row = {
                "proxy_number": number, "account_id": card.account_id.to_bytes(16, "big"),
                "nik_hmac": nik,
                "sealed": sealer.seal({"nik": request.nik, "name": request.name}, nik),
                "reason": request.reason, "valid_from": request.valid_from.isoformat(),
                "valid_until": request.valid_until.isoformat(),
            }  # fmt: skip
            unit.add(table, [row])
            after = {
                "card": card.card_number, "from": row["valid_from"], "until": row["valid_until"]
            }  # fmt: skip
            unit.record(PROXY, number, "registered", request.reason, after=after)
        return self._context.views.proxies[number]

    def end(self, number: int, actor: Actor) -> ProxyView:
        """End a proxy today; in force when this returns. Raises: RoleError, NotFoundError."""
        require(actor, "proxy.end")
        table = schema.proxies
        with self._context.change(actor) as unit:
            known = unit.views.proxies.get(number)
            if known is None:
                raise NotFoundError.of("programme.proxy_unknown", proxy=number)
            last = (unit.today - timedelta(days=1)).isoformat()
            if known.valid_until.isoformat() > last:
                mine = table.c.proxy_number == number
                unit.connection.execute(update(table).where(mine).values(valid_until=last))
                before = {"until": known.valid_until.isoformat()}
                unit.record(PROXY, number, "ended", before=before, after={"until": last})
        return self._context.views.proxies[number]

    def of_card(self, card_number: int) -> list[ProxyView]:
        """Give the proxies of a card, ended ones too; raise NotFoundError."""
        card = self._context.views.cards_by_number.get(card_number)
        if card is None:
            raise NotFoundError.of("programme.card_unknown", card=card_number)
        proxies = self._context.views.proxies.values()
        return [proxy for proxy in proxies if proxy.account_id == card.account_id]


def _check(request: ProxyRequest, today: date) -> None:
    days = (request.valid_until - request.valid_from).days + 1
    longest = policy().proxy_days_max
    if not 1 <= days <= longest:
        raise RuleError.of(
            "programme.proxy_period",
            days=longest,
            first=request.valid_from.isoformat(),
            last=request.valid_until.isoformat(),
        )
    if request.valid_until < today:
        raise RuleError.of("programme.until_past", day=request.valid_until.isoformat())
    if not (len(request.nik) == 16 and request.nik.isascii() and request.nik.isdigit()):
        raise RuleError.of("decree.digit_count", found=len(request.nik))
    for name, text in (("nama", request.name), ("alasan", request.reason)):
        if not (text.strip() and len(text) <= CELL_CHARACTERS_MAX and text.isprintable()):
            raise RuleError.of("programme.text_field", field=name, limit=CELL_CHARACTERS_MAX)
