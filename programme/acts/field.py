"""Acts on shops, terminals, proxies, marks and decrees."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from programme.actors import Actor
from programme.acts.base import (
    Act,
    ActArguments,
    Day,
    MerchantId,
    NoActArguments,
    Number,
    Tell,
    TerminalId,
    Text,
)
from programme.limits import ACT_CARDS_MAX
from programme.offices import Office
from programme.registry import DecreeState, MerchantKind, MerchantRequest
from programme.registry.proxies import ProxyRequest
from programme.rows import (
    DecreeRow,
    MarkRow,
    MerchantRow,
    MerchantRows,
    ProxyRow,
    TerminalRow,
)

#: The last day that is meant, if it is known.
Until = Day | None
#: A proxy's personal number and name: kept sealed, in no repr.
Nik = Annotated[str, Field(pattern=r"^[0-9]{16}$", repr=False)]
PersonName = Annotated[str, Field(min_length=1, max_length=120, repr=False)]
ProxyDays = Annotated[int, Field(ge=1, le=366)]
Stage = Annotated[DecreeState, Field(strict=False)]


class MerchantArguments(ActArguments):
    """Which shop is meant."""

    merchant: MerchantId


class NewMerchantArguments(MerchantArguments):
    """A shop to register."""

    name: Text
    kind: Annotated[MerchantKind, Field(strict=False)]
    district: Text
    village: Text
    category: Annotated[str, Field(pattern=r"^[0-9]{4}$", examples=["5411"])]
    also: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[0-9]{4}$")], ...],
        Field(max_length=20, strict=False, description="conditional categories by name"),
    ] = ()


class SuspendArguments(MerchantArguments):
    """Which shop is suspended, why, and until which day if that is known."""

    reason: Text
    until: Until = None


class TerminalArguments(ActArguments):
    """Which terminal is meant."""

    terminal: TerminalId


class SwitchArguments(TerminalArguments):
    """Whether a terminal is switched on or off."""

    on: bool


class ProxyArguments(ActArguments):
    """Who may act for a card, for how many days from today; kept sealed."""

    card: Number
    nik: Nik
    name: PersonName
    reason: Text
    days: ProxyDays


class ProxyEndArguments(ActArguments):
    """Which proxy ends."""

    proxy: Number


class MarkArguments(ActArguments):
    """What is attested for which recipients, by registry number, until which day."""

    recipients: Annotated[list[Number], Field(min_length=1, max_length=ACT_CARDS_MAX)]
    mark: Text
    until: Day


class StageArguments(ActArguments):
    """To which stage a decree goes; execution begins with its first disbursement."""

    decree: Number
    stage: Stage


def _add(office: Office, actor: Actor, asked: NewMerchantArguments, _tell: Tell) -> MerchantRow:
    request = MerchantRequest(
        merchant_id=asked.merchant,
        name=asked.name,
        kind=asked.kind,
        district=asked.district,
        village=asked.village,
        category=asked.category,
        conditional_categories=frozenset(asked.also),
    )
    return MerchantRow.of(office, office.add_merchant(request, actor))


def _designate(office: Office, actor: Actor, asked: MerchantArguments, _tell: Tell) -> MerchantRow:
    return MerchantRow.of(office, office.designate(asked.merchant, actor))


def _suspend(office: Office, actor: Actor, asked: SuspendArguments, _tell: Tell) -> MerchantRow:
    shops = office.registry.shops
    return MerchantRow.of(office, shops.suspend(asked.merchant, actor, asked.reason, asked.until))


def _resume(office: Office, actor: Actor, asked: MerchantArguments, _tell: Tell) -> MerchantRow:
    return MerchantRow.of(office, office.registry.shops.resume(asked.merchant, actor))


def _resume_due(office: Office, actor: Actor, _asked: ActArguments, _tell: Tell) -> MerchantRows:
    shops = [office.registry.merchant(x) for x in office.registry.shops.resume_due(actor)]
    return MerchantRows(merchants=[MerchantRow.of(office, x) for x in shops if x is not None])


def _switch(office: Office, actor: Actor, asked: SwitchArguments, _tell: Tell) -> TerminalRow:
    return TerminalRow.of(office.registry.shops.set_active(asked.terminal, asked.on, actor))


def _log_off(office: Office, actor: Actor, asked: TerminalArguments, _tell: Tell) -> TerminalRow:
    return TerminalRow.of(office.registry.shops.log_off(asked.terminal, actor))


def _proxy(office: Office, actor: Actor, asked: ProxyArguments, _tell: Tell) -> ProxyRow:
    today = office.registry.today
    request = ProxyRequest(
        card_number=asked.card,
        nik=asked.nik,
        name=asked.name,
        reason=asked.reason,
        valid_from=today,
        valid_until=today + timedelta(days=asked.days - 1),
    )
    return ProxyRow.of(office.registry.proxies.register(request, actor))


def _proxy_end(office: Office, actor: Actor, asked: ProxyEndArguments, _tell: Tell) -> ProxyRow:
    return ProxyRow.of(office.registry.proxies.end(asked.proxy, actor))


def _mark(office: Office, actor: Actor, asked: MarkArguments, _tell: Tell) -> MarkRow:
    office.registry.marks.attest(asked.recipients, asked.mark, asked.until, actor)
    numbers = sorted(set(asked.recipients))
    return MarkRow(recipients=numbers, mark=asked.mark, until=asked.until.isoformat())


def _stage(office: Office, actor: Actor, asked: StageArguments, _tell: Tell) -> DecreeRow:
    return DecreeRow.of(office.registry.decrees.move(asked.decree, asked.stage, actor))


FIELD_ACTS = (
    Act("merchant-add", "register a shop", NewMerchantArguments, MerchantRow, _add),
    Act("merchant-designate", "designate a shop as E-Warong", MerchantArguments, MerchantRow,
        _designate),
    Act("merchant-suspend", "suspend a shop, in force when it answers", SuspendArguments,
        MerchantRow, _suspend),
    Act("merchant-resume", "end a suspension", MerchantArguments, MerchantRow, _resume),
    Act("merchant-resume-due", "end the suspensions whose last day has passed", NoActArguments,
        MerchantRows, _resume_due),
    Act("terminal-switch", "switch a terminal on or off", SwitchArguments, TerminalRow, _switch),
    Act("terminal-log-off", "log a terminal off its shop", TerminalArguments, TerminalRow,
        _log_off),
    Act("proxy-add", "register a proxy for a card", ProxyArguments, ProxyRow, _proxy),
    Act("proxy-end", "end a proxy", ProxyEndArguments, ProxyRow, _proxy_end),
    Act("recipient-mark", "attest what a fund asks", MarkArguments, MarkRow, _mark),
    Act("decree-stage", "move a decree one stage on", StageArguments, DecreeRow, _stage),
)  # fmt: skip
